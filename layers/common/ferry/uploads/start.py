"""Start an upload, or resume the one in progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferry.errors import CompletionInProgress, FileExists, InvalidField
from ferry.model.files import File, IfExists
from ferry.model.objects import StoredPart
from ferry.model.quotas import Quota
from ferry.model.uploads import CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.layout import MAX_CHUNK_BYTES, ChunkLayout
from ferry.services import Services
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.join import in_progress, join
from ferry.uploads.lookup import is_expired
from ferry.uploads.quotas import check_quota, quota_without
from ferry.uploads.received import compute_received, uploaded_parts
from ferry.uploads.terminate import terminate

CREATING_TIMEOUT_MS = 15 * MINUTE_MS
"""How long an upload may stay in state `creating` before cleanup expires it."""

DEFAULT_CONTENT_TYPE = "application/octet-stream"
"""Content type of a file whose client sent none."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A client's request to upload a file."""

    name: str
    """The file's name."""
    size: int
    """Bytes of the file."""
    content_type: str | None = None
    """Its media type; None: `DEFAULT_CONTENT_TYPE`."""
    chunk_size: int | None = None
    """Preferred chunk size in bytes; None: the largest."""
    part_size: int | None = None
    """Preferred part size in bytes; None: `DEFAULT_PART_BYTES`. `ChunkLayout.plan` rounds it up."""
    crc32c: int | None = None
    """CRC32C of the whole file, if known."""
    fingerprint: str | None = None
    """Any string that the client derives from its file, so that it recognizes the same file later."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The client's own names and values, kept with the file."""
    if_exists: IfExists = IfExists.FAIL
    """What to do with a finished file of that name."""
    resume: bool = False
    """Whether the client says that an upload in progress without checksum and fingerprint is of its file."""
    restart: bool = False
    """Whether to cancel an upload in progress instead of resuming it."""


@dataclass(frozen=True, slots=True)
class StartResult:
    """An upload to send bytes to, or the finished file if there is nothing to send."""

    upload: Upload | None = None
    """The upload, new or resumed; None if there is nothing to send."""
    parts: Mapping[int, StoredPart] = field(default_factory=dict)
    """Parts that S3 has of a resumed upload, by number."""
    file: File | None = None
    """The finished file, if it has the content that the client was about to send."""
    created: bool = False
    """Whether the upload is new."""


@dataclass(slots=True)
class _StartAttempt:
    """A request and what it has done so far. Both survive a retry after a conflict.

    A request cancels one upload at most, and none once it has created its own: otherwise two requests with `restart`
    would cancel each other's uploads forever.
    """

    request: StartRequest
    layout: ChunkLayout
    has_cancelled: bool = False
    upload_id_required: bool = False
    created_upload_id: str | None = None

    def may_cancel(self, upload_id: str) -> bool:
        return self.wants_other_than(upload_id) and not self.has_cancelled and self.created_upload_id is None

    def wants_other_than(self, upload_id: str) -> bool:
        return self.request.restart and upload_id != self.created_upload_id


def start(services: Services, ns: str, request: StartRequest) -> StartResult:
    """Start an upload, resume the one in progress, or return the finished file with the same content.

    Raises:
        InvalidField: a size is outside the limits, or the request both resumes and restarts.
        UploadInProgress: a different upload of the name is in progress (`upload_id`, `size`, `expires_at`).
        CompletionInProgress: the upload to be restarted is being completed.
        FileExists: the name has a different file that may not be replaced.
        QuotaExceeded: the quota of the namespace has no room (`quota`); nothing was started or cancelled.
    """
    if request.resume and request.restart:
        raise InvalidField.for_member("resume", "cannot be true together with restart; send one of them")
    try:
        layout = ChunkLayout.plan(request.size, request.chunk_size or MAX_CHUNK_BYTES, request.part_size)
    except ValueError as error:
        raise InvalidField.for_member(str(error).partition(" ")[0], str(error)) from error
    start_attempt = _StartAttempt(request, layout)
    return retry_on_conflict(lambda: _try_start(services, ns, start_attempt))


def _try_start(services: Services, ns: str, start_attempt: _StartAttempt) -> StartResult:
    """Decide by what the name has now. Raises `ConcurrentUpdate` if that changes meanwhile."""
    request = start_attempt.request
    file, current_upload, quota = services.upload_repository.get_name(ns, request.name)
    if file is not None and _same_content(file, request):
        return StartResult(file=file)
    if current_upload is not None and current_upload.in_progress:
        return _resume_or_conflict(services, current_upload, start_attempt, quota)
    if file is not None and request.if_exists is IfExists.FAIL:
        raise FileExists
    if file is not None:
        _wait_for_new_mtime(services, file)
    return _create_upload(services, ns, start_attempt, current_upload, quota, file_exists=file is not None)


def _wait_for_new_mtime(services: Services, file: File) -> None:
    """Wait until the second ends that is the modification date of the file to be replaced.

    S3 dates an object by the start of its multipart upload, in whole seconds. If two files of a name had the same
    date, a client that resumes a download by date would mix them.
    """
    remaining_ms = (file.last_modified_seconds + 1) * SECOND_MS - services.clock()
    if remaining_ms > 0:
        services.sleep(min(remaining_ms, SECOND_MS) / SECOND_MS)


def _same_content(file: File, request: StartRequest) -> bool:
    """Return whether size and checksum are equal or, if the request has no checksum, size and fingerprint."""
    if file.size != request.size:
        return False
    if request.crc32c is not None:
        return request.crc32c == file.crc32c
    return request.fingerprint is not None and request.fingerprint == file.fingerprint


def _resume_or_conflict(
    services: Services, current_upload: CurrentUpload, start_attempt: _StartAttempt, quota: Quota | None
) -> StartResult:
    """Resume the upload in progress if the request may join it; otherwise cancel it or reject the request."""
    upload = services.upload_repository.get_upload(current_upload.upload_id)
    if upload is None or not upload.record.state.in_progress:
        raise ConcurrentUpdate
    record = upload.record
    if is_expired(services, upload):
        terminate(services, upload, UploadState.EXPIRED)
        raise ConcurrentUpdate
    if start_attempt.may_cancel(record.upload_id):
        _cancel_for_restart(services, upload, start_attempt, quota)
        raise ConcurrentUpdate
    if start_attempt.wants_other_than(record.upload_id):
        raise in_progress(upload)
    parts = uploaded_parts(services, upload)
    # Another start may have joined the upload that this request created, and opened it. It is still new.
    created = record.upload_id == start_attempt.created_upload_id
    upload = ensure_open(services, upload) if created else join(services, upload, parts, start_attempt.request)
    services.upload_id_cache.put(record.ns, record.name, record.upload_id)
    return StartResult(upload=upload, parts=parts, created=created)


def _cancel_for_restart(services: Services, upload: Upload, start_attempt: _StartAttempt, quota: Quota | None) -> None:
    """Cancel the upload in progress, unless the new one would not fit into the quota afterwards."""
    if upload.record.state is UploadState.COMPLETING:
        raise CompletionInProgress
    if quota is not None:
        check_quota(quota_without(quota, upload.record), start_attempt.request.size)
    # If the cancelled upload required its id, it began over one whose device may still send requests by name.
    had_received = upload.record.upload_id_required or _has_received(services, upload)
    terminate(services, upload, UploadState.CANCELLED, had_received=had_received)
    start_attempt.has_cancelled = True
    start_attempt.upload_id_required = had_received


def _has_received(services: Services, upload: Upload) -> bool:
    return compute_received(upload, uploaded_parts(services, upload)).total_bytes > 0


def _create_upload(
    services: Services,
    ns: str,
    start_attempt: _StartAttempt,
    expected: CurrentUpload | None,
    quota: Quota | None,
    *,
    file_exists: bool,
) -> StartResult:
    """Create the upload and make it the name's current one. Raises `ConcurrentUpdate` if that is not `expected`."""
    request = start_attempt.request
    if quota is not None:
        check_quota(quota, request.size)
    if request.restart and expected is not None and not start_attempt.has_cancelled:
        start_attempt.upload_id_required = _was_restarted(services, expected)
    is_counted = quota is not None and quota.tracks_usage
    upload = _new_upload(services, ns, start_attempt, is_counted=is_counted, file_exists=file_exists)
    record = upload.record
    services.upload_repository.create_upload(
        record, expected=expected, due_at=record.created_at + CREATING_TIMEOUT_MS, quota=quota
    )
    start_attempt.created_upload_id = record.upload_id
    services.upload_id_cache.put(ns, request.name, record.upload_id)
    return StartResult(upload=ensure_open(services, upload), created=True)


def _was_restarted(services: Services, current_upload: CurrentUpload) -> bool:
    """Return whether a restart that has not created its upload yet cancelled this one: the same request, repeated."""
    upload = services.upload_repository.get_upload(current_upload.upload_id)
    return upload is not None and upload.record.was_restarted


def _new_upload(
    services: Services, ns: str, start_attempt: _StartAttempt, *, is_counted: bool, file_exists: bool
) -> Upload:
    request, layout, now = start_attempt.request, start_attempt.layout, services.clock()
    record = UploadRecord(
        upload_id=services.new_id(),
        ns=ns,
        name=request.name,
        layout=layout,
        state=UploadState.CREATING,
        created_at=now,
        idle_timeout_ms=services.upload_idle_timeout_ms,
        max_age_ms=services.upload_max_age_ms,
        content_type=request.content_type or DEFAULT_CONTENT_TYPE,
        metadata=request.metadata,
        crc32c=request.crc32c,
        fingerprint=request.fingerprint,
        if_exists=request.if_exists,
        file_existed=file_exists,
        upload_id_required=start_attempt.upload_id_required,
        event_pending=services.event_publisher is not None,
        counted_in_quota=is_counted,
        version=now,
    )
    shards = (ProgressShard(index=index, open=True, last_activity_at=now) for index in range(layout.shard_count))
    return Upload(record, tuple(shards))
