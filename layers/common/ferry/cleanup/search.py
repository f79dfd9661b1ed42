"""The search for orphans: what S3 has under Ferry's prefixes and no row knows (docs/decisions/0005).

A few pages at each tick, from where the last one came to, once around a day at the most.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ferry.cleanup.report import Report
from ferry.engine import DAY, HOUR, Engine
from ferry.errors import InvalidField
from ferry.model import Phase, Search, Session, State, object_key, stage_prefix
from ferry.ports import Moved
from ferry.uploads.ending import remove_stages

logger = logging.getLogger(__name__)

PAGES = 4
PAGE = 1_000
EVERY = DAY
"""From the beginning of one round to that of the next."""
SETTLED = HOUR
"""A multipart upload younger than this may belong to a start that is just going on."""
UNKNOWN_AGE = 8 * DAY
"""When what belongs to no session can be of no use to anybody: a day beyond the greatest age of an upload."""

_NEXT = {Phase.MULTIPARTS: Phase.STAGES, Phase.STAGES: Phase.OBJECTS, Phase.OBJECTS: Phase.DONE}
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")

HasTime = Callable[[], bool]


def search_orphans(engine: Engine, report: Report, has_time: HasTime) -> None:
    """Go on with the search. Who finds that somebody else has leaves it to them."""
    report.guarded("the search for orphans", lambda: _search(engine, report, has_time))


def _search(engine: Engine, report: Report, has_time: HasTime) -> None:
    search = engine.ledger.search() or Search(engine.clock(), version=0)
    for _ in range(PAGES):
        if search.phase is Phase.DONE:
            if engine.clock() < search.began + EVERY:
                return
            search = Search(engine.clock(), version=search.version)
        try:
            done, cursor = _pages[search.phase](engine, search.cursor, report, has_time)
        except InvalidField:
            logger.warning("the %s could not be listed from where the search had come to", search.phase)
            done, cursor = True, None
        if not done:
            report.complete = False
            return
        search = replace(search, cursor=cursor, version=search.version + 1)
        if cursor is None:
            search = replace(search, phase=_NEXT[search.phase])
        engine.ledger.save_search(search)


def _multiparts(engine: Engine, cursor: str | None, report: Report, has_time: HasTime) -> tuple[bool, str | None]:
    now = engine.clock()
    page = engine.objects.multiparts(cursor, PAGE)
    found = [(_id_of(key, object_key), key, multipart_id, now - begun) for key, multipart_id, begun in page.items]
    old = [(upload_id, key, mp, age) for upload_id, key, mp, age in found if upload_id and age >= SETTLED]
    sessions = engine.ledger.sessions(upload_id for upload_id, *_ in old)
    orphans = (
        partial(_abort, engine, key, multipart_id, report)
        for upload_id, key, multipart_id, age in old
        if _is_stray(sessions.get(upload_id), multipart_id, age)
    )
    return _each(orphans, report, has_time), page.cursor


def _is_stray(session: Session | None, multipart_id: str, age: int) -> bool:
    if session is None:
        return age >= UNKNOWN_AGE
    return session.multipart_id != multipart_id or session.swept


def _abort(engine: Engine, key: str, multipart_id: str, report: Report) -> None:
    engine.objects.abort_multipart(key, multipart_id)
    report.orphans.multipart_uploads += 1


def _stages(engine: Engine, cursor: str | None, report: Report, has_time: HasTime) -> tuple[bool, str | None]:
    page = engine.objects.folders("st/", cursor, PAGE)
    ids = [upload_id for folder in page.items if (upload_id := _id_of(folder, stage_prefix))]
    known = engine.ledger.sessions(ids)
    orphans = (partial(_remove_stages, engine, upload_id, report) for upload_id in ids if upload_id not in known)
    return _each(orphans, report, has_time), page.cursor


def _remove_stages(engine: Engine, upload_id: str, report: Report) -> None:
    """Those of one upload, if the youngest is old enough. What is too much for now is found by the next round."""
    first = engine.objects.listing(stage_prefix(upload_id), None, PAGE)
    youngest = max((stage.modified for stage in first.items), default=0)
    if engine.clock() - youngest < UNKNOWN_AGE:
        return
    removed = remove_stages(engine, upload_id)
    report.orphans.staged_objects += len(first.items)
    report.bytes_reclaimed += removed.size


def _objects(engine: Engine, cursor: str | None, report: Report, has_time: HasTime) -> tuple[bool, str | None]:
    now = engine.clock()
    page = engine.objects.listing("o/", cursor, PAGE)
    found = ((_id_of(item.key, object_key), now - item.modified) for item in page.items)
    ids = [upload_id for upload_id, age in found if upload_id and age >= DAY]
    owned = engine.ledger.owners(ids)
    rest = [upload_id for upload_id in ids if upload_id not in owned]
    sessions = engine.ledger.sessions(rest)
    unowned = (partial(_keep, engine, upload_id, sessions.get(upload_id), report) for upload_id in rest)
    return _each(unowned, report, has_time), page.cursor


def _keep(engine: Engine, upload_id: str, session: Session | None, report: Report) -> None:
    """Give the object a row, from which the sweep takes it when its time is up, and if nobody wants it then."""
    if session is not None and (session.state.in_progress or not (session.swept or session.state is State.COMPLETE)):
        return
    report.orphans.objects += 1
    if engine.keep_objects:
        owner = (session.ns, session.name) if session else None
        with suppress(Moved):
            engine.ledger.keep(upload_id, owner, due=engine.clock() + engine.keep_objects)


def _each(steps: Iterable[Callable[[], None]], report: Report, has_time: HasTime) -> bool:
    """Take each step, for as long as there is time; whether there was."""
    for step in steps:
        if not has_time():
            return False
        report.guarded("an orphan", step)
    return True


def _id_of(key: str, key_of: Callable[[str], str]) -> str:
    """The upload that a key is of, empty where it is none of ours."""
    upload_id = key.partition("/")[2].removesuffix("/")
    return upload_id if _UPLOAD_ID.fullmatch(upload_id) and key_of(upload_id) == key else ""


_pages = {Phase.MULTIPARTS: _multiparts, Phase.STAGES: _stages, Phase.OBJECTS: _objects}
