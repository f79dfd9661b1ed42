"""Clean-up: what nobody will come back for. The schedule's sweep over everything due, and a namespace's on request.

It decides on the rows themselves, by condition, never on the index or on what S3 lists; so it may run while uploads
run, twice at once, and die in the middle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from ferry.engine import DAY, HOUR, SECOND, Engine
from ferry.errors import BackendUnavailable, ChecksumMismatch, FerryError, FileExists, UploadIncomplete
from ferry.model import Due, DueKind, Session, State, Upload, object_key
from ferry.ports import Moved
from ferry.telling import tell, untold
from ferry.uploads.complete import resume, take_over
from ferry.uploads.ending import end, memory_ttl, remove_remains, remove_stages, sweep
from ferry.uploads.files import tell_deleted
from ferry.uploads.received import landed_parts, received

logger = logging.getLogger(__name__)

PAGE = 100
REQUEST_PAGE = 10
"""Uploads between two cursors of a request: the last ones are ended without their bytes when time is short."""
ORPHAN_AGE = HOUR
"""A multipart upload younger than this may belong to a start that is just going on."""
UNTOLD = "an event could not be sent; it stays noted"


@dataclass(slots=True)
class Orphans:
    multipart_uploads: int = 0
    staged_objects: int = 0
    objects: int = 0


@dataclass(slots=True)
class Report:
    """What a run did (or, dry, would do). `bytes_reclaimed` are those of ended uploads; `cursor` is where to go on."""

    dry_run: bool = False
    examined: int = 0
    expired: int = 0
    bytes_reclaimed: int = 0
    orphans: Orphans = field(default_factory=Orphans)
    errors: int = 0
    complete: bool = True
    cursor: str | None = None


def finish(engine: Engine, upload_id: str, attempt: str) -> None:
    """Go on with a completion that was handed on. What stands in its way is told whoever asks next.

    Raises:
        BackendUnavailable: to be tried again; where the lease was taken already, that finds nothing to do.
    """
    try:
        take_over(engine, upload_id, attempt)
    except BackendUnavailable:
        raise
    except FerryError as error:
        logger.info("%s is not completed: %s", upload_id, error.code)


def clean_namespace(
    engine: Engine,
    ns: str,
    *,
    has_time: Callable[[], bool],
    older_than: int | None = None,
    filename: str | None = None,
    dry_run: bool = False,
    cursor: str | None = None,
) -> Report:
    """End the stale uploads of a namespace: past their expiry, or idle for `older_than` seconds. Completing ones stay.

    Raises:
        InvalidField: the cursor is not one of this route's.
    """
    report = Report(dry_run=dry_run)
    if filename is not None:
        slot = engine.ledger.slot(ns, filename)
        if slot is not None and slot.open:
            _clean(engine, slot.upload_id, older_than, report, has_time)
        return report
    while True:
        page = engine.ledger.open_slots(ns, cursor, REQUEST_PAGE)
        for slot in page.items:
            _clean(engine, slot.upload_id, older_than, report, has_time)
        cursor = page.cursor
        if cursor is None:
            return report
        if not has_time():
            report.complete, report.cursor = False, cursor
            return report


def _clean(
    engine: Engine, upload_id: str, older_than: int | None, report: Report, has_time: Callable[[], bool]
) -> None:
    """End one upload if it is stale. When time is short its bytes are left to the schedule's next run."""

    def look() -> None:
        upload = engine.ledger.upload(upload_id)
        if upload is None or upload.session.state not in (State.CREATING, State.OPEN):
            return
        now = engine.clock()
        stale = now >= upload.expires_at if older_than is None else now - upload.touched >= older_than * SECOND
        if stale:
            _expire(engine, upload, report, thorough=has_time())

    report.examined += 1
    _guarded(report, upload_id, look)


def _expire(engine: Engine, upload: Upload, report: Report, *, thorough: bool = True) -> None:
    size = received(upload, landed_parts(engine, upload)).bytes
    if not report.dry_run:
        end(engine, upload, State.EXPIRED, thorough=thorough)
    report.expired += 1
    report.bytes_reclaimed += size


def _guarded(report: Report, subject: str, step: Callable[[], None]) -> None:
    """One entry that cannot be dealt with must not keep the others waiting; it stays due, and is counted."""
    try:
        step()
    except Moved:
        logger.info("%s moved on while it was looked at", subject)
    except FerryError as error:
        report.errors += 1
        logger.warning("%s could not be cleaned up: %s", subject, error.code)


def sweep_due(engine: Engine, *, has_time: Callable[[], bool]) -> Report:
    """Everything whose time has come, over all namespaces: the schedule's run. What is left is due at the next."""
    report = Report()
    cursor = None
    while True:
        page = engine.ledger.due(engine.clock(), cursor, PAGE)
        for entry in page.items:
            if not has_time():
                report.complete = False
                return report
            report.examined += 1
            _guarded(report, entry.subject, partial(_settle, engine, entry, report))
        cursor = page.cursor
        if cursor is None:
            break
    _abort_orphans(engine, report, has_time)
    return report


def _settle(engine: Engine, entry: Due, report: Report) -> None:
    if entry.kind is DueKind.DELETED:
        _settle_deletion(engine, entry)
        return
    upload = engine.ledger.upload(entry.subject)
    if entry.kind is DueKind.SESSION:
        if upload is not None:
            _settle_session(engine, entry, upload, report)
    elif entry.kind is DueKind.OBJECT:
        _settle_object(engine, entry, upload)
    else:
        _settle_stages(engine, entry, upload)


def _settle_session(engine: Engine, entry: Due, upload: Upload, report: Report) -> None:
    session, now = upload.session, engine.clock()
    if session.state in (State.CANCELLED, State.EXPIRED):
        if not session.swept:
            report.bytes_reclaimed += sweep(engine, session)
    elif session.state is State.COMPLETING:
        if session.lease_until < now:
            with suppress(UploadIncomplete, ChecksumMismatch, FileExists):  # as told to the client; it is open again
                resume(engine, upload)
    elif session.state is State.COMPLETE:
        if session.untold:
            _settle_note(engine, session, due=None)
    elif session.state is State.CREATING or now >= upload.expires_at:
        _expire(engine, upload, report)
    elif session.untold:
        _settle_note(engine, session, due=upload.expires_at)
    else:
        engine.ledger.reschedule(entry, upload.expires_at)


def _settle_note(engine: Engine, session: Session, *, due: int | None) -> None:
    """An upload whose start or completion has not been told: the bus was down, or the teller has died."""
    if not tell(engine, untold(session)):
        raise BackendUnavailable(UNTOLD)
    engine.ledger.told(session, due=due, ttl=memory_ttl(engine) if due is None else None)


def _settle_deletion(engine: Engine, entry: Due) -> None:
    deletion = engine.ledger.deletion(entry.subject)
    if deletion is not None and not tell_deleted(engine, deletion, entry):
        raise BackendUnavailable(UNTOLD)


def _settle_object(engine: Engine, entry: Due, upload: Upload | None) -> None:
    """The object of a file that was replaced or deleted, unless (the ledger was set back) a name points to it."""
    if upload is not None:
        session = upload.session
        file = engine.ledger.file(session.ns, session.name)
        if file is not None and file.upload_id == entry.subject:
            engine.ledger.bury(entry)
            return
    engine.objects.delete(object_key(entry.subject))
    engine.ledger.bury(entry)


def _settle_stages(engine: Engine, entry: Due, upload: Upload | None) -> None:
    """The stages and rows of an ended upload; of a cancelled or expired one, once more whatever was in flight."""
    if upload is not None and upload.session.state.in_progress:
        engine.ledger.reschedule(entry, engine.clock() + DAY)
        return
    if upload is not None and upload.session.state is not State.COMPLETE:
        removed = remove_remains(engine, upload.session)
    else:
        removed = remove_stages(engine, entry.subject)
    if not removed.done:
        return
    engine.ledger.erase_rows(entry.subject)
    engine.ledger.bury(entry)


def _abort_orphans(engine: Engine, report: Report, has_time: Callable[[], bool]) -> None:
    """Multipart uploads under Ferry's prefix that no session in progress names: starts that died half way."""
    cursor = None
    while has_time():
        page = engine.objects.multiparts(cursor, PAGE)
        for key, multipart_id, initiated in page.items:
            if not has_time():
                report.complete = False
                return
            if engine.clock() - initiated >= ORPHAN_AGE:
                _guarded(report, key, partial(_abort_orphan, engine, key, multipart_id, report))
        cursor = page.cursor
        if cursor is None:
            return
    report.complete = False


def _abort_orphan(engine: Engine, key: str, multipart_id: str, report: Report) -> None:
    upload = engine.ledger.upload(key.removeprefix("o/"))
    if upload is not None and upload.session.state.in_progress and upload.session.multipart_id == multipart_id:
        return
    engine.objects.abort_multipart(key, multipart_id)
    report.orphans.multipart_uploads += 1
