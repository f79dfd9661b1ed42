"""Start an upload, or resume the one in progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ferry.errors import CompletionInProgress, FileExists, InvalidField
from ferry.files.free_names import find_free_name
from ferry.model.files import DEFAULT_CONTENT_TYPE, File, IfExists
from ferry.model.objects import StoredPart
from ferry.model.progress import ProgressShard
from ferry.model.quotas import Quota
from ferry.model.starts import RenamedStart, start_id_for
from ferry.model.uploads import CurrentUpload, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.layout import MAX_CHUNK_BYTES, ChunkLayout
from ferry.services import Services
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.join import LOST_RACE_DETAIL, in_progress, join
from ferry.uploads.lookup import is_expired
from ferry.uploads.quotas import check_quota, quota_without
from ferry.uploads.received import compute_received, uploaded_parts
from ferry.uploads.start_request import StartRequest
from ferry.uploads.terminate import terminate

CREATING_TIMEOUT_MS = 15 * MINUTE_MS
"""How long an upload may stay in state `creating` before cleanup expires it."""

MAX_RECEIVE_DELAY_MS = MINUTE_MS
"""How long before the use case begins a gateway may have received its request: more than both take.

An earlier time is ignored, such as one that a gateway reports in seconds.
"""

MAX_RENAME_ATTEMPTS = 24
"""Attempts of a start under `rename`: of starts that race for free names, each takes the next one."""


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

    A request cancels one upload at most: one that its first read found, and that was open before the request was
    received. So of starts that race, one creates an upload that the others do not cancel.
    """

    ns: str
    """The namespace."""
    request: StartRequest
    """The request."""
    layout: ChunkLayout
    """Chunks and parts of the new upload."""
    received_at: int
    """When the gateway received the request, in epoch milliseconds."""
    found_upload_ids: frozenset[str] | None = None
    """Uploads that the first read found in progress; None before it."""
    has_cancelled: bool = False
    """Whether this request has cancelled an upload."""
    upload_id_required: bool = False
    """Whether the new upload requires its id in every request: the upload that it replaces had received bytes."""
    created_upload_id: str | None = None
    """Upload that this request has created; None before it."""
    name: str = ""
    """The name that the upload gets; empty: the requested one."""
    earlier_start: RenamedStart | None = None
    """Under `rename`: the row of an earlier, equal start, whose upload cannot be resumed; None if there is none."""

    @property
    def start_id(self) -> str | None:
        """Return the id by which a repeated start under `rename` finds the upload; None if it cannot find it."""
        request = self.request
        if request.if_exists is not IfExists.RENAME:
            return None
        return start_id_for(self.ns, request.name, request.size, crc32c=request.crc32c, fingerprint=request.fingerprint)

    def note_found(self, *upload_ids: str) -> None:
        """Keep the uploads that the first read found. What a later read finds began during this request."""
        if self.found_upload_ids is None:
            self.found_upload_ids = frozenset(upload_ids)

    def may_cancel(self, record: UploadRecord) -> bool:
        opened_at = record.created_at if record.opened_at is None else record.opened_at
        return (
            self.request.restart
            and record.upload_id in (self.found_upload_ids or ())
            and opened_at <= self.received_at
            and not self.has_cancelled
        )

    def lost_race(self, record: UploadRecord) -> bool:
        """Return whether a restart came too late to cancel this upload, and has no proof that the upload is its own."""
        if not self.request.restart or record.upload_id == self.created_upload_id:
            return False
        proof = (self.request.crc32c, self.request.fingerprint)
        return proof == (None, None) or proof != (record.crc32c, record.fingerprint)


def start(services: Services, ns: str, request: StartRequest) -> StartResult:
    """Start an upload, resume the one in progress, or return the finished file with the same content.

    Raises:
        InvalidField: a size is outside the limits, or the request both resumes and restarts.
        UploadInProgress: a different upload of the name is in progress (`upload_id`, `size`, `expires_at`).
        CompletionInProgress: the upload to be restarted is being completed.
        FileExists: the name has a different file that may not be replaced.
        InvalidFilename: under `rename`, the name is taken, and too long for a number.
        QuotaExceeded: the quota of the namespace has no room (`quota`); nothing was started or cancelled.
    """
    if request.resume and request.restart:
        raise InvalidField.for_member("resume", "cannot be true together with restart; send one of them")
    try:
        layout = ChunkLayout.plan(request.size, request.chunk_size or MAX_CHUNK_BYTES, request.part_size)
    except ValueError as error:
        raise InvalidField.for_member(str(error).partition(" ")[0], str(error)) from error
    start_attempt = _StartAttempt(ns, request, layout, _received_at(services, request))
    if request.if_exists is IfExists.RENAME:
        return retry_on_conflict(
            lambda: _try_start_renamed(services, ns, start_attempt), services.sleep, max_attempts=MAX_RENAME_ATTEMPTS
        )
    return retry_on_conflict(lambda: _try_start(services, ns, start_attempt), services.sleep)


def _received_at(services: Services, request: StartRequest) -> int:
    now = services.clock()
    if request.received_at is None or request.received_at < now - MAX_RECEIVE_DELAY_MS:
        return now
    return min(request.received_at, now)


def _try_start(services: Services, ns: str, start_attempt: _StartAttempt) -> StartResult:
    """Decide by what the name has now. Raises `ConcurrentUpdate` if that changes meanwhile."""
    request = start_attempt.request
    file, current_upload, quota = services.upload_repository.get_name(ns, request.name)
    if file is not None and _same_content(file, request):
        return StartResult(file=file)
    is_open = current_upload is not None and current_upload.in_progress
    start_attempt.note_found(*([current_upload.upload_id] if current_upload is not None and is_open else []))
    if current_upload is not None and is_open:
        return _resume_or_conflict(services, current_upload, start_attempt, quota)
    if file is not None and request.if_exists is IfExists.FAIL:
        raise FileExists
    if file is not None:
        _wait_for_new_mtime(services, file)
    return _create_upload(services, ns, start_attempt, current_upload, quota, file_exists=file is not None)


def _try_start_renamed(services: Services, ns: str, start_attempt: _StartAttempt) -> StartResult:
    """Resume the upload that the same start began, or begin one under a free name.

    Raises:
        InvalidFilename: the name is taken, and too long for a number.
        ConcurrentUpdate: what was read changes meanwhile.
    """
    request, start_id = start_attempt.request, start_attempt.start_id
    file, current_upload, quota, earlier_start = _read_renamed(services, ns, request.name, start_id)
    if file is not None and _same_content(file, request):
        return StartResult(file=file)
    is_open = current_upload is not None and current_upload.in_progress
    candidates = [earlier_start.upload_id] if earlier_start is not None else []
    candidates += [current_upload.upload_id] if start_id is not None and current_upload is not None and is_open else []
    start_attempt.note_found(*candidates)
    if current_upload is not None and is_open and not candidates and file is None:
        open_upload = services.upload_repository.get_upload(current_upload.upload_id)
        if open_upload is not None:
            _end_if_expired(services, open_upload)
    for upload_id in dict.fromkeys(candidates):
        result = _resume_same_start(services, upload_id, start_attempt, quota)
        if result is not None:
            return result
    start_attempt.earlier_start = earlier_start
    if file is not None or is_open:
        start_attempt.name, current_upload = find_free_name(services, ns, request.name)
    else:
        start_attempt.name = request.name
    return _create_upload(services, ns, start_attempt, current_upload, quota, file_exists=False)


def _read_renamed(
    services: Services, ns: str, name: str, start_id: str | None
) -> tuple[File | None, CurrentUpload | None, Quota | None, RenamedStart | None]:
    if start_id is None:
        return *services.upload_repository.get_name(ns, name), None
    return services.upload_repository.get_renamed_start(ns, name, start_id)


def _resume_same_start(
    services: Services, upload_id: str, start_attempt: _StartAttempt, quota: Quota | None
) -> StartResult | None:
    """Return the upload if the same start began it and it can be resumed, or its file; None otherwise.

    The start is the same if size and checksum are equal, and both came by the same link or by none. If the request has
    no checksum, the fingerprints are compared.
    """
    request = start_attempt.request
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None:
        return None
    _end_if_expired(services, upload)
    record = upload.record
    has_proof = (
        record.crc32c == request.crc32c
        if request.crc32c is not None
        else record.crc32c is None and record.fingerprint == request.fingerprint
    )
    # A guest may have guessed the proof: by a link it is another start.
    if record.layout.size != request.size or not has_proof or record.link_id != services.link_id:
        return None
    if record.state is UploadState.COMPLETE and record.file is not None:
        file = services.file_repository.get_file(*record.owner)
        return StartResult(file=file) if file is not None and file.upload_id == upload_id else None
    if not record.state.in_progress:
        return None
    if start_attempt.may_cancel(record):
        _cancel_for_restart(services, upload, start_attempt, quota)
        raise ConcurrentUpdate
    return _resume(
        services, upload, start_attempt, replace(request, crc32c=record.crc32c, fingerprint=record.fingerprint)
    )


def _wait_for_new_mtime(services: Services, file: File) -> None:
    """Wait until the clock has passed the second of the modification date of the file to be replaced.

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
    _end_if_expired(services, upload)
    if start_attempt.may_cancel(record):
        _cancel_for_restart(services, upload, start_attempt, quota)
        raise ConcurrentUpdate
    if start_attempt.lost_race(record):
        raise in_progress(upload, LOST_RACE_DETAIL)
    return _resume(services, upload, start_attempt, start_attempt.request)


def _end_if_expired(services: Services, upload: Upload) -> None:
    """Expire an upload that cleanup has not reached yet, and raise `ConcurrentUpdate`."""
    if is_expired(services, upload):
        terminate(services, upload, UploadState.EXPIRED)
        raise ConcurrentUpdate


def _resume(services: Services, upload: Upload, start_attempt: _StartAttempt, request: StartRequest) -> StartResult:
    """Return the upload in progress, as the request joins it. Raises `UploadInProgress` if it may not."""
    record, parts = upload.record, uploaded_parts(services, upload)
    # Another start may have joined the upload that this request created, and opened it. It is still new.
    created = record.upload_id == start_attempt.created_upload_id
    upload = ensure_open(services, upload) if created else join(services, upload, parts, request)
    services.upload_id_cache.put(record.ns, record.name, record.upload_id)
    return StartResult(upload=upload, parts=parts, created=created)


def _cancel_for_restart(services: Services, upload: Upload, start_attempt: _StartAttempt, quota: Quota | None) -> None:
    """Cancel the upload in progress, unless the new one would not fit into the quota afterwards."""
    if upload.record.state is UploadState.COMPLETING:
        raise CompletionInProgress
    if quota is not None:
        check_quota(quota_without(quota, upload.record), start_attempt.request.size)
    # An upload that requires its id has itself replaced one whose device may still send requests by name.
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
    start_id = start_attempt.start_id
    services.upload_repository.create_upload(
        record,
        expected=expected,
        due_at=record.created_at + CREATING_TIMEOUT_MS,
        quota=quota,
        renamed_start=None if start_id is None else RenamedStart(start_id, record.upload_id),
        expected_start=start_attempt.earlier_start,
    )
    start_attempt.created_upload_id = record.upload_id
    services.upload_id_cache.put(ns, record.name, record.upload_id)
    return StartResult(upload=ensure_open(services, upload), created=True)


def _was_restarted(services: Services, current_upload: CurrentUpload) -> bool:
    """Return whether a restart has cancelled this upload without creating its own: this request is its repetition."""
    upload = services.upload_repository.get_upload(current_upload.upload_id)
    return upload is not None and upload.record.was_restarted


def _new_upload(
    services: Services, ns: str, start_attempt: _StartAttempt, *, is_counted: bool, file_exists: bool
) -> Upload:
    request, layout, now = start_attempt.request, start_attempt.layout, services.clock()
    record = UploadRecord(
        upload_id=services.new_id(),
        ns=ns,
        name=start_attempt.name or request.name,
        requested_name=None if start_attempt.name in ("", request.name) else request.name,
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
        link_id=services.link_id,
        link_network=services.link_network,
        counted_in_quota=is_counted,
        version=now,
    )
    shards = (ProgressShard(index=index, open=True, last_activity_at=now) for index in range(layout.shard_count))
    return Upload(record, tuple(shards))
