"""Wait for news of an upload: a status that is answered once there is something newer.

A waiting call keeps a copy of the function to itself. So only so many may wait at once, and each looks at as little as
tells whether anything is new: one read of the ledger a second, and where URLs were signed a page of S3's listing
(docs/decisions/0010).
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress

from ferry.engine import SECOND, Engine
from ferry.errors import BackendUnavailable
from ferry.model import Upload
from ferry.ports import NoSuchMultipart
from ferry.progress import Look, Status, look, look_at
from ferry.uploads.current import is_expired

logger = logging.getLogger(__name__)

PAUSE = SECOND
"""From one look to the next, in milliseconds."""


def wait(engine: Engine, ns: str, name: str, *, since: int, seconds: float) -> Status:
    """As `progress.status`, but not before there is a version newer than `since`, or the `seconds` are over.

    What changes while it waits is news whatever its version: a ledger that was set back tells versions again that a
    client has seen. When too many wait already it is answered at once.

    Raises:
        NotFound: as `status` does, at once; also when what there was goes away meanwhile.
    """
    until = engine.clock() + int(seconds * SECOND)
    first = look(engine, ns, name)
    if first.status.version > since:
        return first.status
    with _seat(engine, until) as seated:
        return _watch(engine, ns, name, first, until) if seated else first.status


def _watch(engine: Engine, ns: str, name: str, first: Look, until: int) -> Status:
    seen, next_look = first, engine.clock()
    while (now := engine.clock()) < until:
        next_look = min(until, max(next_look + PAUSE, now))
        engine.sleep((next_look - now) / SECOND)
        seen = _look_again(engine, ns, name, seen)
        if seen.status.version != first.status.version:
            break
    return seen.status


def _look_again(engine: Engine, ns: str, name: str, seen: Look) -> Look:
    """One read tells whether anything has changed; only if so, what."""
    if seen.upload is None or not seen.status.state.in_progress:
        file, slot, _ = engine.ledger.look_up(ns, name)
        return seen if (file, slot) == (seen.file, seen.slot) else look(engine, ns, name)
    upload = engine.ledger.upload(seen.upload.session.upload_id)
    if upload is None or not upload.session.state.in_progress:
        return look(engine, ns, name)
    if upload == seen.upload and not is_expired(engine, upload) and not _more_has_landed(engine, seen, upload):
        return seen
    return look_at(engine, seen.slot, upload, seen.file)


def _more_has_landed(engine: Engine, seen: Look, upload: Upload) -> bool:
    """Whether S3 has a part that it had not. Asked from the first one missing on: what comes before cannot be news, and
    of the rest only as many pages are read as landed parts lie behind gaps, one as a rule.
    """
    if seen.parts is None:
        return False
    session, known = upload.session, seen.parts
    last = session.grid.part_count
    gap = _first_gap(known, 1, last)
    while gap is not None:
        try:
            page, listed_to = engine.objects.page_of_parts(session.object_key, session.multipart_id or "", gap - 1)
        except NoSuchMultipart:
            return True
        upto = last if listed_to is None else listed_to
        if page.keys() != {number for number in known if gap <= number <= upto}:
            return True
        gap = _first_gap(known, upto + 1, last)
    return False


def _first_gap(known: Container[int], first: int, last: int) -> int | None:
    return next((number for number in range(first, last + 1) if number not in known), None)


@contextmanager
def _seat(engine: Engine, until: int) -> Iterator[bool]:
    """A place among those who may wait, if there is one; where that cannot be told, there is none."""
    if engine.seats is None:
        yield True
        return
    try:
        seat = engine.seats.take(until=until, now=engine.clock())
    except BackendUnavailable as error:
        logger.warning("nobody can wait just now: %s", error.__cause__ or error)
        seat = None
    try:
        yield seat is not None
    finally:
        if seat is not None:
            with suppress(BackendUnavailable):  # it lapses by itself
                engine.seats.leave(seat)
