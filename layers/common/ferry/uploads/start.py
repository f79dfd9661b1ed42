"""Start an upload, or go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferry.engine import MINUTE, SECOND, Engine
from ferry.errors import FileExists, InvalidField, UploadCompleting, UploadInProgress
from ferry.grid import MAX_CHUNK_SIZE, Grid
from ferry.model import File, Progress, Quota, Session, Slot, State, StoredPart, Upload
from ferry.ports import Moved
from ferry.quotas import refuse, without
from ferry.uploads.current import decide, is_expired
from ferry.uploads.ending import end
from ferry.uploads.opening import ensure_open
from ferry.uploads.received import landed_parts

CREATING_TIMEOUT = 15 * MINUTE
DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class StartRequest:
    """`size` and `chunk_size` are bytes, `fingerprint` any string the client derives from its file."""

    name: str
    size: int
    content_type: str | None = None
    chunk_size: int | None = None
    crc32c: int | None = None
    fingerprint: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """An upload with the parts already in S3, or the finished `file` that is the very same; `created` tells a new
    upload.
    """

    upload: Upload | None = None
    parts: Mapping[int, StoredPart] = field(default_factory=dict)
    file: File | None = None
    created: bool = False


def start(engine: Engine, ns: str, request: StartRequest) -> Started:
    """Start, resume, or find that there is nothing to do.

    Raises:
        InvalidField: size or chunk size outside the limits.
        UploadInProgress: another upload of the name is open (`upload_id`, `size`, `expires_at`).
        UploadCompleting: asked to restart one that is being completed.
        FileExists: there is another file, and it is not to be replaced.
        QuotaExceeded: the namespace's limits leave no room for it (`quota`); nothing was begun, nothing cancelled.
    """
    try:
        grid = Grid.plan(request.size, request.chunk_size or MAX_CHUNK_SIZE)
    except ValueError as error:
        raise InvalidField.at("size" if str(error).startswith("size") else "chunk_size", str(error)) from error
    asked = _Asked(request, grid)
    return decide(lambda: _start(engine, ns, asked))


@dataclass(slots=True)
class _Asked:
    """A request, and what it has done already when it decides anew: it cancels one upload at most, or two that insist
    on a restart would cancel each other's for ever, and never the one it has begun.
    """

    request: StartRequest
    grid: Grid
    cancelled: bool = False
    began: str | None = None


def _start(engine: Engine, ns: str, asked: _Asked) -> Started:
    request = asked.request
    file, slot, quota = engine.ledger.look_up(ns, request.name)
    if file is not None and _is_very_same(file, request):
        return Started(file=file)
    if slot is not None and slot.open:
        return _go_on(engine, slot, asked, quota)
    if file is not None and not request.replace:
        raise FileExists
    if file is not None:
        _outwait(engine, file)
    return _begin(engine, ns, asked, slot, quota)


def _outwait(engine: Engine, file: File) -> None:
    """Let the second end that is the date of the file to be replaced.

    S3 dates an object by the start of its upload, in whole seconds. Two files of one name must not share a date, or
    whoever resumes by it would mix them.
    """
    left = (file.last_modified + 1) * SECOND - engine.clock()
    if left > 0:
        engine.sleep(min(left, SECOND) / SECOND)


def _is_very_same(file: File, request: StartRequest) -> bool:
    pairs = ((file.crc32c, request.crc32c), (file.fingerprint, request.fingerprint))
    known = [(have, want) for have, want in pairs if have is not None and want is not None]
    return file.size == request.size and bool(known) and all(have == want for have, want in known)


def _go_on(engine: Engine, slot: Slot, asked: _Asked, quota: Quota | None) -> Started:
    request = asked.request
    upload = engine.ledger.upload(slot.upload_id)
    if upload is None or not upload.session.state.in_progress:
        raise Moved
    session = upload.session
    if is_expired(engine, upload):
        end(engine, upload, State.EXPIRED)
        raise Moved
    not_mine = request.restart and session.upload_id != asked.began
    if not_mine and not asked.cancelled and asked.began is None:
        if session.state is State.COMPLETING:
            raise UploadCompleting
        if quota is not None:
            refuse(without(quota, session), request.size)
        end(engine, upload, State.CANCELLED)
        asked.cancelled = True
        raise Moved
    wanted = (request.size, request.crc32c, request.fingerprint)
    if not_mine or (session.grid.size, session.crc32c, session.fingerprint) != wanted:
        raise UploadInProgress(upload_id=session.upload_id, size=session.grid.size, expires_at=upload.expires_at)
    upload = ensure_open(engine, upload)
    engine.hints.put(session.ns, session.name, session.upload_id)
    return Started(upload=upload, parts=landed_parts(engine, upload))


def _begin(engine: Engine, ns: str, asked: _Asked, over: Slot | None, quota: Quota | None) -> Started:
    request, grid = asked.request, asked.grid
    if quota is not None:
        refuse(quota, request.size)
    now = engine.clock()
    session = Session(
        upload_id=engine.new_id(),
        ns=ns,
        name=request.name,
        grid=grid,
        state=State.CREATING,
        created=now,
        idle=engine.session_idle,
        max_age=engine.session_max_age,
        content_type=request.content_type or DEFAULT_CONTENT_TYPE,
        metadata=request.metadata,
        crc32c=request.crc32c,
        fingerprint=request.fingerprint,
        replace=request.replace,
        untold=engine.events is not None,
        counted=quota is not None and quota.counts,
        version=now,
    )
    stripes = tuple(Progress(stripe=index, open=True, touched=now) for index in range(grid.stripe_count))
    engine.ledger.begin(session, over=over, due=now + CREATING_TIMEOUT, within=quota)
    asked.began = session.upload_id
    engine.hints.put(ns, request.name, session.upload_id)
    return Started(upload=ensure_open(engine, Upload(session, stripes)), created=True)
