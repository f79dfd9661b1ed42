"""One entry of what is due, settled."""

from __future__ import annotations

from ferry.cleanup.fate import Fate, carry_out, judge
from ferry.cleanup.report import Report
from ferry.engine import DAY, Engine
from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, UploadExpired, UploadIncomplete
from ferry.model import Due, DueKind, Session, State, Upload, object_key
from ferry.telling import tell, untold
from ferry.uploads.complete import resume
from ferry.uploads.ending import PATIENCE, memory_ttl, remove_remains, remove_stages, sweep
from ferry.uploads.files import tell_deleted
from ferry.uploads.making import SETTLING

UNTOLD = "an event could not be sent; it stays noted"
STRAYS = 1_000
"""Multipart uploads on one key that a look sees: a start makes one, and rarely a second."""


def settle(engine: Engine, entry: Due, report: Report) -> None:
    """Do what is to be done now, going by the row itself; what cannot be done yet stays due, or is due again later."""
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
        _settle_stages(engine, entry, upload, report)


def _settle_session(engine: Engine, entry: Due, upload: Upload, report: Report) -> None:
    session, now = upload.session, engine.clock()
    if session.state in (State.CANCELLED, State.EXPIRED):
        if not session.swept:
            report.note_stale(now - (session.ended or now))
            size = sweep(engine, session, session.state)
            if session.state is State.CANCELLED:  # those of an expired one were counted when it expired
                report.bytes_reclaimed += size
    elif session.state is State.COMPLETING:
        if session.lease_until < now:
            report.note_stale(now - session.lease_until)
            _go_on(engine, upload, report)
    elif session.state is State.COMPLETE:
        if session.untold:
            _settle_note(engine, session, due=None)
    else:
        _settle_open(engine, entry, upload, report)


def _settle_open(engine: Engine, entry: Due, upload: Upload, report: Report) -> None:
    now = engine.clock()
    creating = upload.session.state is State.CREATING
    stale = creating or now >= upload.expires_at
    if stale:
        report.note_stale(now - (entry.due if creating else upload.expires_at))
    verdict = judge(engine, upload, stale=stale)
    if verdict.fate is Fate.LEAVE and upload.session.untold:
        _settle_note(engine, upload.session, due=upload.expires_at)
    elif verdict.fate is Fate.LEAVE:
        engine.ledger.reschedule(entry, upload.expires_at)
    elif verdict.fate is Fate.WAIT:
        engine.ledger.reschedule(entry, now + SETTLING)
    else:
        carry_out(engine, upload, verdict, report)


def _settle_note(engine: Engine, session: Session, *, due: int | None) -> None:
    """An upload whose start or completion has not been told: the bus was down, or the teller has died."""
    if not tell(engine, untold(session)):
        raise BackendUnavailable(UNTOLD)
    engine.ledger.told(session, due=due, ttl=memory_ttl(engine) if due is None else None)


def _settle_deletion(engine: Engine, entry: Due) -> None:
    deletion = engine.ledger.deletion(entry.subject)
    if deletion is not None and not tell_deleted(engine, deletion, entry):
        raise BackendUnavailable(UNTOLD)


def _go_on(engine: Engine, upload: Upload, report: Report) -> None:
    """With a completion whose lease has lapsed. What refuses it opens the upload again, as its client is told."""
    report.lapsed += 1
    try:
        resume(engine, upload)
    except UploadExpired:
        report.expired += 1
    except (UploadIncomplete, ChecksumMismatch, FileExists):
        return


def _settle_object(engine: Engine, entry: Due, upload: Upload | None) -> None:
    """The object of a file that was replaced or deleted, of an upload that expired, or of nobody.

    It goes, unless (the ledger was set back) an upload in progress may still turn it into a file, or a name points
    to it.
    """
    session = upload.session if upload else None
    if session is not None and session.state.in_progress:
        engine.ledger.reschedule(entry, engine.clock() + DAY)
        return
    owner = engine.ledger.owners([entry.subject]).get(entry.subject)
    if owner is None and session is not None:
        owner = session.ns, session.name
    file = engine.ledger.file(*owner) if owner else None
    if file is not None and file.upload_id == entry.subject:
        engine.ledger.acquit(entry)
        return
    engine.objects.delete(object_key(entry.subject))
    engine.ledger.bury(entry)


def _settle_stages(engine: Engine, entry: Due, upload: Upload | None, report: Report) -> None:
    """The stages and rows of an ended upload; of a cancelled or expired one, once more whatever was in flight."""
    session = upload.session if upload else None
    if session is not None and session.state.in_progress:
        engine.ledger.reschedule(entry, engine.clock() + DAY)
        return
    if session is not None and session.state is not State.COMPLETE:
        removed = remove_remains(engine, session, session.state)
        _abort_strays(engine, session.object_key, report)
    else:
        removed = remove_stages(engine, entry.subject)
    if removed.done and engine.ledger.erase_rows(entry.subject, until=engine.clock() + PATIENCE):
        engine.ledger.bury(entry)


def _abort_strays(engine: Engine, key: str, report: Report) -> None:
    """Multipart uploads that an ended upload's row does not name: of starts that died half way."""
    for found, multipart_id, _ in engine.objects.multiparts(None, STRAYS, key).items:
        engine.objects.abort_multipart(found, multipart_id)
        report.orphans.multipart_uploads += 1
