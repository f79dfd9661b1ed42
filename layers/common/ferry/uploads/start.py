"""Start an upload, or go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferry.errors import CompletionInProgress, FileExists, InvalidField, UploadInProgress
from ferry.model.files import File
from ferry.model.objects import StoredPart
from ferry.model.quotas import Quota
from ferry.model.uploads import CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.layout import MAX_CHUNK_BYTES, ChunkLayout
from ferry.services import Services
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.lookup import is_expired
from ferry.uploads.quotas import check_quota, quota_without
from ferry.uploads.received import uploaded_parts
from ferry.uploads.terminate import terminate

CREATING_TIMEOUT_MS = 15 * MINUTE_MS
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
    replace_existing: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class StartResult:
    """An upload with the parts already in S3, or the finished `file` that is the very same; `created` tells a new
    upload.
    """

    upload: Upload | None = None
    parts: Mapping[int, StoredPart] = field(default_factory=dict)
    file: File | None = None
    created: bool = False


def start(services: Services, ns: str, request: StartRequest) -> StartResult:
    """Start, resume, or find that there is nothing to do.

    Raises:
        InvalidField: size or chunk size outside the limits.
        UploadInProgress: another upload of the name is open (`upload_id`, `size`, `expires_at`).
        UploadCompleting: asked to restart one that is being completed.
        FileExists: there is another file, and it is not to be replaced.
        QuotaExceeded: the namespace's limits leave no room for it (`quota`); nothing was begun, nothing cancelled.
    """
    try:
        grid = ChunkLayout.plan(request.size, request.chunk_size or MAX_CHUNK_BYTES)
    except ValueError as error:
        raise InvalidField.for_member("size" if str(error).startswith("size") else "chunk_size", str(error)) from error
    asked = _StartAttempt(request, grid)
    return retry_on_conflict(lambda: _try_start(services, ns, asked))


@dataclass(slots=True)
class _StartAttempt:
    """A request, and what it has done already when it decides anew: it cancels one upload at most, or two that insist
    on a restart would cancel each other's for ever, and never the one it has begun.
    """

    request: StartRequest
    layout: ChunkLayout
    has_cancelled: bool = False
    created_upload_id: str | None = None


def _try_start(services: Services, ns: str, start_attempt: _StartAttempt) -> StartResult:
    request = start_attempt.request
    file, slot, quota = services.upload_repository.get_name(ns, request.name)
    if file is not None and _same_content(file, request):
        return StartResult(file=file)
    if slot is not None and slot.in_progress:
        return _resume_or_conflict(services, slot, start_attempt, quota)
    if file is not None and not request.replace_existing:
        raise FileExists
    if file is not None:
        _wait_for_new_mtime(services, file)
    return _create_upload(services, ns, start_attempt, slot, quota)


def _wait_for_new_mtime(services: Services, file: File) -> None:
    """Let the second end that is the date of the file to be replaced.

    S3 dates an object by the start of its upload, in whole seconds. Two files of one name must not share a date, or
    whoever resumes by it would mix them.
    """
    left = (file.last_modified_seconds + 1) * SECOND_MS - services.clock()
    if left > 0:
        services.sleep(min(left, SECOND_MS) / SECOND_MS)


def _same_content(file: File, request: StartRequest) -> bool:
    pairs = ((file.crc32c, request.crc32c), (file.fingerprint, request.fingerprint))
    known = [(have, want) for have, want in pairs if have is not None and want is not None]
    return file.size == request.size and bool(known) and all(have == want for have, want in known)


def _resume_or_conflict(
    services: Services, current_upload: CurrentUpload, start_attempt: _StartAttempt, quota: Quota | None
) -> StartResult:
    request = start_attempt.request
    upload = services.upload_repository.get_upload(current_upload.upload_id)
    if upload is None or not upload.record.state.in_progress:
        raise ConcurrentUpdate
    session = upload.record
    if is_expired(services, upload):
        terminate(services, upload, UploadState.EXPIRED)
        raise ConcurrentUpdate
    not_mine = request.restart and session.upload_id != start_attempt.created_upload_id
    if not_mine and not start_attempt.has_cancelled and start_attempt.created_upload_id is None:
        if session.state is UploadState.COMPLETING:
            raise CompletionInProgress
        if quota is not None:
            check_quota(quota_without(quota, session), request.size)
        terminate(services, upload, UploadState.CANCELLED)
        start_attempt.has_cancelled = True
        raise ConcurrentUpdate
    wanted = (request.size, request.crc32c, request.fingerprint)
    if not_mine or (session.layout.size, session.crc32c, session.fingerprint) != wanted:
        raise UploadInProgress(upload_id=session.upload_id, size=session.layout.size, expires_at=upload.expires_at)
    upload = ensure_open(services, upload)
    services.upload_id_cache.put(session.ns, session.name, session.upload_id)
    return StartResult(upload=upload, parts=uploaded_parts(services, upload))


def _create_upload(
    services: Services, ns: str, start_attempt: _StartAttempt, expected: CurrentUpload | None, quota: Quota | None
) -> StartResult:
    request, grid = start_attempt.request, start_attempt.layout
    if quota is not None:
        check_quota(quota, request.size)
    now = services.clock()
    session = UploadRecord(
        upload_id=services.new_id(),
        ns=ns,
        name=request.name,
        layout=grid,
        state=UploadState.CREATING,
        created_at=now,
        idle_timeout_ms=services.upload_idle_timeout_ms,
        max_age_ms=services.upload_max_age_ms,
        content_type=request.content_type or DEFAULT_CONTENT_TYPE,
        metadata=request.metadata,
        crc32c=request.crc32c,
        fingerprint=request.fingerprint,
        replace_existing=request.replace_existing,
        event_pending=services.event_publisher is not None,
        counted_in_quota=quota is not None and quota.tracks_usage,
        version=now,
    )
    stripes = tuple(ProgressShard(index=index, open=True, last_activity_at=now) for index in range(grid.shard_count))
    services.upload_repository.create_upload(session, expected=expected, due_at=now + CREATING_TIMEOUT_MS, quota=quota)
    start_attempt.created_upload_id = session.upload_id
    services.upload_id_cache.put(ns, request.name, session.upload_id)
    return StartResult(upload=ensure_open(services, Upload(session, stripes)), created=True)
