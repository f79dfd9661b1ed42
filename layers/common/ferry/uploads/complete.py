"""Turn an upload into a file: a lease, what is missing mended, one S3 call, one switch of the pointer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from ferry.engine import HOUR, SECOND, Engine
from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, UploadIncomplete
from ferry.grid import gaps_in
from ferry.model import File, Session, State, StoredObject, Upload
from ferry.ports import Moved, NoSuchMultipart
from ferry.telling import tell, tell_by, untold
from ferry.uploads.current import decide, find, refuse_ended
from ferry.uploads.ending import memory_ttl
from ferry.uploads.files import GRACE
from ferry.uploads.making import MISMATCH, OutOfTime, Parts, StillMaking, WrongObject, make
from ferry.uploads.opening import ensure_open
from ferry.uploads.received import list_parts, received

logger = logging.getLogger(__name__)

MAX_MISSING = 1_000
PATIENCE = 8
"""Seconds a caller waits for another's completion: what it then does itself must end within the gateway's 30 too."""

HANDED_ON = 5
"""Seconds after which to ask about a completion that goes on elsewhere."""


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """`crc32c` and `replace` override what was said at start; None leaves it."""

    name: str
    upload_id: str | None = None
    crc32c: int | None = None
    replace: bool | None = None


@dataclass(frozen=True, slots=True)
class StillCompleting:
    """Ask again in `retry_after` seconds."""

    upload_id: str
    retry_after: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one attempt is asked for: the file's CRC32C if known, and whether another file may be replaced."""

    crc32c: int | None
    replace: bool


def complete(engine: Engine, ns: str, request: CompleteRequest) -> File | StillCompleting:
    """Complete, or say what is in the way. Repeated or raced, everybody gets the same file.

    Raises:
        UploadIncomplete: bytes are missing (`missing`: chunk ranges); the upload goes on.
        ChecksumMismatch: the whole file does not have the checksum; the upload stays as it is.
        FileExists: a file of that name is there and not to be replaced; the upload stays.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled: no upload to complete.
    """
    give_up = engine.clock() + PATIENCE * SECOND
    while True:
        result = decide(lambda: _step(engine, ns, request))
        if isinstance(result, File) or result.retry_after > PATIENCE or engine.clock() >= give_up:
            return result
        engine.sleep(0.5)


def resume(engine: Engine, upload: Upload) -> File | StillCompleting:
    """Take over a completion whose lease has lapsed, as it was asked for: the clean-up's way.

    Raises:
        BackendUnavailable: the lease lapses again, and the next sweep goes on.
        Moved: somebody else did.
        UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `complete`; the session is open again, or
        ended.
    """
    session = upload.session
    return _attempt(engine, upload, _Wanted(session.lease_crc32c, session.lease_replace), patient=True)


def recover(engine: Engine, upload: Upload) -> File | StillCompleting:
    """Complete an upload whose object S3 has made though no row says so: an answer was lost and nobody came back, or
    the ledger was set back to an earlier time.

    Raises:
        Moved, UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `resume`.
    """
    session = upload.session
    if session.state is State.CREATING:
        engine.ledger.opened(session.upload_id, None, due=upload.expires_at)
        session = replace(session, state=State.OPEN, version=session.version + 1)
    wanted = _Wanted(session.crc32c, session.replace)
    return _attempt(engine, replace(upload, session=session), wanted, patient=True)


def take_over(engine: Engine, upload_id: str, attempt: str) -> File | StillCompleting | None:
    """Go on at once with a completion that the holder of its lease, `attempt`, has handed on.

    None: it is no longer under that lease, so others are at it, or have ended it. The same hand-over may come twice.

    Raises:
        UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `resume`.
    """
    upload = engine.ledger.upload(upload_id)
    if upload is None or upload.session.state is not State.COMPLETING or upload.session.attempt != attempt:
        return None
    wanted = _Wanted(upload.session.lease_crc32c, upload.session.lease_replace)
    try:
        return _attempt(engine, upload, wanted, after=attempt, patient=True)
    except Moved:
        return None


def _step(engine: Engine, ns: str, request: CompleteRequest) -> File | StillCompleting:
    upload = find(engine, ns, request.name, request.upload_id, or_complete=True)
    session = upload.session
    if session.state is State.COMPLETE and session.answer is not None:
        if request.crc32c not in (None, session.answer.crc32c):
            raise ChecksumMismatch("the upload is complete, and its file has another checksum")
        return session.answer
    refuse_ended(engine, upload)
    if session.state is State.COMPLETING:
        if session.lease_until >= engine.clock():
            return StillCompleting(session.upload_id, retry_after=2)
        crc, over = session.lease_crc32c, session.lease_replace
    else:
        upload = ensure_open(engine, upload)
        crc, over = session.crc32c, session.replace
    wanted = _Wanted(
        crc if request.crc32c is None else request.crc32c, over if request.replace is None else request.replace
    )
    listed = None
    if session.state is not State.COMPLETING:
        listed = _refuse_early(engine, upload, wanted)
    return _attempt(engine, upload, wanted, listed=listed)


def _refuse_early(engine: Engine, upload: Upload, wanted: _Wanted) -> Parts | None:
    """The usual refusals, before anything is changed. Returns the parts, if that took a listing."""
    session = upload.session
    # Only then may there be one: nobody else begins an upload of the name meanwhile, and a start looks.
    if not wanted.replace and (session.replace or session.made is not None):
        file = engine.ledger.file(session.ns, session.name)
        if file is not None and file.upload_id != session.upload_id:
            raise FileExists
    if session.made is not None:
        return None
    listed: Parts | None = None
    if upload.direct:
        try:
            listed = list_parts(engine, session)
        except NoSuchMultipart:
            return None  # under the lease it is settled what became of it
    there = received(upload, listed or {})
    if there.bytes != session.grid.size:
        missing = list(gaps_in(there.chunks, session.grid.chunk_count))
        raise UploadIncomplete(missing=missing[:MAX_MISSING])
    return listed


def _attempt(
    engine: Engine,
    seen: Upload,
    wanted: _Wanted,
    *,
    after: str | None = None,
    listed: Parts | None = None,
    patient: bool = False,
) -> File | StillCompleting:
    """Take the lease, and do the work under it. Only what stands when the stripes are closed is judged.

    `patient`: where a backend fails, the lease is left to lapse, for the next sweep to go on, as long as the upload
    may last, and beyond that when its object is made. Whoever asked for it was told to wait, and may not ask again.
    """
    attempt, now = engine.new_id(), engine.clock()
    mine = replace(seen, session=replace(seen.session, attempt=attempt))
    made = seen.session.made
    try:
        mine = engine.ledger.lease(
            seen,
            attempt=attempt,
            until=now + engine.lease,
            now=now,
            replace=wanted.replace,
            crc32c=wanted.crc32c,
            after=after,
        )
        if made is None:
            made = make(engine, mine, wanted.crc32c, tried_before=seen.session.leased_at is not None, listed=listed)
        return _switch(engine, mine, made, wanted)
    except OutOfTime:
        try:
            engine.worker.finish(mine.session.upload_id, attempt)
        except BackendUnavailable as error:
            # The guarantee is not this but the lease, which lapses: the sweep over those, or the next request, goes on.
            logger.warning("%s could not be handed on: %s", mine.session.upload_id, error.__cause__ or error)
        return StillCompleting(mine.session.upload_id, retry_after=HANDED_ON)
    except StillMaking:
        return StillCompleting(mine.session.upload_id, retry_after=max(1, engine.lease // SECOND))
    except WrongObject as wrong:
        _give_back(engine, mine, wrong.made)
        raise ChecksumMismatch(MISMATCH) from None
    except UploadIncomplete as error:
        lost = [index for first, last in error.extra["missing"] for index in range(first, last + 1)]
        _give_back(engine, mine, made, forget=lost)
        raise
    except (ChecksumMismatch, FileExists):
        _give_back(engine, mine, made)
        raise
    except BackendUnavailable:
        session = seen.session
        lasting = made is not None or engine.clock() < session.created + session.max_age
        if not (patient and lasting):
            with suppress(Moved):
                _give_back(engine, mine, made)
        raise


def _give_back(engine: Engine, upload: Upload, made: StoredObject | None, forget: Iterable[int] = ()) -> None:
    """End the lease. Where that fails, it lapses by itself.

    Raises:
        Moved: it was not ours any more. Whoever took it judges anew, and what was found under it counts no longer.
    """
    session = upload.session
    with suppress(BackendUnavailable):
        engine.ledger.unlease(upload, attempt=session.attempt or "", made=made, forget=forget, due=upload.expires_at)


def _settled(engine: Engine, session: Session) -> File:
    """The file that another attempt has made of the upload meanwhile. Raises `Moved` when none has, yet."""
    settled = engine.ledger.upload(session.upload_id)
    if settled is None or settled.session.answer is None:
        raise Moved
    return settled.session.answer


def _switch(engine: Engine, upload: Upload, made: StoredObject, wanted: _Wanted) -> File:
    """Point the name to the object, or find that somebody already has."""
    session, crc, modified = upload.session, made.crc32c, made.modified
    if wanted.crc32c not in (None, crc):
        raise ChecksumMismatch(MISMATCH)
    if crc is None or modified is None:
        raise BackendUnavailable("the store did not tell the checksum or the date of the object it has made")
    look = wanted.replace

    def once() -> File:
        # Where nothing may be replaced there is hardly anything: the write's condition finds out, and only then is it
        # read.
        nonlocal look
        over = engine.ledger.file(session.ns, session.name) if look else None
        look = True
        if over is not None and over.upload_id == session.upload_id:
            return _settled(engine, session)
        if over is not None and not wanted.replace:
            raise FileExists
        now = engine.clock()
        file = File(
            ns=session.ns,
            name=session.name,
            upload_id=session.upload_id,
            size=session.grid.size,
            etag=made.etag,
            crc32c=crc,
            content_type=session.content_type,
            metadata=session.metadata,
            fingerprint=session.fingerprint,
            uploaded_at=now,
            # Later than the old file's already (start sees to it), but for clocks that disagree.
            last_modified=modified if over is None else max(modified, over.last_modified + 1),
            counted=session.counted,
        )
        try:
            engine.ledger.finish(
                session,
                file,
                over=over,
                stages_due=now + HOUR,
                object_due=now + GRACE,
                ttl=memory_ttl(engine),
                tell_by=tell_by(engine),
            )
        except Moved:
            return _settled(engine, session)
        replaced = over.upload_id if over else None
        tell_completed(
            engine, replace(session, state=State.COMPLETE, answer=file, replaced=replaced, ended=file.uploaded_at)
        )
        return file

    return decide(once)


def tell_completed(engine: Engine, session: Session) -> None:
    """Tell it, and clear the note. Where either fails the file is there all the same, and the note with it."""
    if engine.events is not None and tell(engine, untold(session)):
        with suppress(Moved, BackendUnavailable):
            engine.ledger.told(session, due=None, ttl=memory_ttl(engine))
