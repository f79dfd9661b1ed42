"""Wait for news of an upload: a status that is answered once there is something newer.

A waiting call keeps a copy of the function to itself. So only so many may wait at once, and each looks at as little as
tells whether anything is new: one read of the ledger a second, and where URLs were signed a page of S3's listing
(docs/decisions/0010).
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress

from ferry.errors import BackendUnavailable
from ferry.model.uploads import Upload
from ferry.ports.errors import MultipartUploadNotFound
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.status.snapshot import StatusReport, StatusSnapshot, read_snapshot, snapshot_of
from ferry.uploads.lookup import is_expired

logger = logging.getLogger(__name__)

POLL_INTERVAL_MS = SECOND_MS
"""From one look to the next, in milliseconds."""


def wait_for_update(
    services: Services, ns: str, name: str, *, since_version: int, timeout_seconds: float
) -> StatusReport:
    """As `progress.status`, but not before there is a version newer than `since`, or the `seconds` are over.

    What changes while it waits is news whatever its version: a ledger that was set back tells versions again that a
    client has seen. When too many wait already it is answered at once.

    Raises:
        NotFound: as `status` does, at once; also when what there was goes away meanwhile.
    """
    until = services.clock() + int(timeout_seconds * SECOND_MS)
    first = read_snapshot(services, ns, name)
    if first.status.version > since_version:
        return first.status
    with _permit(services, until) as seated:
        return _poll(services, ns, name, first, until) if seated else first.status


def _poll(services: Services, ns: str, name: str, initial: StatusSnapshot, deadline: int) -> StatusReport:
    seen, next_look = initial, services.clock()
    while (now := services.clock()) < deadline:
        next_look = min(deadline, max(next_look + POLL_INTERVAL_MS, now))
        services.sleep((next_look - now) / SECOND_MS)
        seen = _refresh(services, ns, name, seen)
        if seen.status.version != initial.status.version:
            break
    return seen.status


def _refresh(services: Services, ns: str, name: str, snapshot: StatusSnapshot) -> StatusSnapshot:
    """One read tells whether anything has changed; only if so, what."""
    if snapshot.upload is None or not snapshot.status.state.in_progress:
        file, slot, _ = services.upload_repository.get_name(ns, name)
        return (
            snapshot if (file, slot) == (snapshot.file, snapshot.current_upload) else read_snapshot(services, ns, name)
        )
    upload = services.upload_repository.get_upload(snapshot.upload.record.upload_id)
    if upload is None or not upload.record.state.in_progress:
        return read_snapshot(services, ns, name)
    if (
        upload == snapshot.upload
        and not is_expired(services, upload)
        and not _has_new_parts(services, snapshot, upload)
    ):
        return snapshot
    return snapshot_of(services, snapshot.current_upload, upload, snapshot.file)


def _has_new_parts(services: Services, snapshot: StatusSnapshot, upload: Upload) -> bool:
    """Whether S3 has a part that it had not. Asked from the first one missing on: what comes before cannot be news, and
    of the rest only as many pages are read as landed parts lie behind gaps, one as a rule.
    """
    if snapshot.parts is None:
        return False
    session, known = upload.record, snapshot.parts
    last = session.layout.part_count
    gap = _first_missing(known, 1, last)
    while gap is not None:
        try:
            page, listed_to = services.object_store.list_parts_page(
                session.object_key, session.multipart_id or "", gap - 1
            )
        except MultipartUploadNotFound:
            return True
        upto = last if listed_to is None else listed_to
        if page.keys() != {number for number in known if gap <= number <= upto}:
            return True
        gap = _first_missing(known, upto + 1, last)
    return False


def _first_missing(known_parts: Container[int], first: int, last: int) -> int | None:
    return next((number for number in range(first, last + 1) if number not in known_parts), None)


@contextmanager
def _permit(services: Services, deadline: int) -> Iterator[bool]:
    """A place among those who may wait, if there is one; where that cannot be told, there is none."""
    if services.permit_pool is None:
        yield True
        return
    try:
        seat = services.permit_pool.acquire(expires_at=deadline, now=services.clock())
    except BackendUnavailable as error:
        logger.warning("nobody can wait just now: %s", error.__cause__ or error)
        seat = None
    try:
        yield seat is not None
    finally:
        if seat is not None:
            with suppress(BackendUnavailable):  # it lapses by itself
                services.permit_pool.release(seat)
