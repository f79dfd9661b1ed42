"""Append bytes at the offset of a sequential upload (docs/decisions/0013, Append)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ferry.errors import (
    ChunkTooLarge,
    FileExists,
    FinalUploadFixed,
    InconsistentLength,
    LengthExceeded,
    LengthTooLarge,
    OffsetMismatch,
)
from ferry.files.quotas import check_added_bytes, check_file_size, read_quota
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.sequential import LastAppend, PartClaim, Piece, Protocol, SequentialState
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate, MultipartUploadNotFound, UsageConflict
from ferry.ports.retry import retry_on_conflict
from ferry.ports.sequential_repository import CompletionLease
from ferry.resumable.finish import finish, finish_under_lease
from ferry.resumable.limits import MAX_APPEND_BYTES, MAX_LENGTH
from ferry.resumable.lookup import find_sequential, shown_offset
from ferry.resumable.pieces import delete_pieces, join_pieces, put_piece, upload_current_part
from ferry.rules.digests import Digest, combine_crc32c, crc32c, sha256_prefix, verify_digests
from ferry.rules.layout import ChunkLayout
from ferry.services import Services
from ferry.uploads.completion_attempt import CompletionAccepted
from ferry.uploads.ensure_multipart import abort_unless_recorded

FILE_EXISTS_DETAIL = (
    "A file with this name exists, and all bytes of this upload have arrived. Send POST /upload/complete with its "
    "upload_id and if_exists, or delete the upload."
)

CLAIM_POLL_SECONDS = 0.5
"""Pause before an append looks again at an offset that another request has claimed."""


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """Bytes to append."""

    upload_id: str
    """The upload."""
    offset: int
    """Where the bytes begin."""
    body: bytes
    """The bytes; may be empty."""
    is_last: bool | None = None
    """Whether the upload ends with them. None: if they reach the declared length."""
    length: int | None = None
    """The length of the whole file as this request declares it; None: it does not."""
    checksums: tuple[Digest, ...] = ()
    """Checksums of the body. All are verified before anything is stored."""
    protocol: Protocol | None = None
    """The protocol of the request; None accepts any."""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """An upload after an append."""

    upload: Upload
    """The upload as stored."""
    file: File | None = None
    """The committed file, if the append ended the upload; None for a partial upload."""
    pending: CompletionAccepted | None = None
    """Set if the file is not committed yet: the request is to be repeated."""


@dataclass(slots=True)
class _AppendAttempt:
    """A request and what it has done so far. It survives a retry after a conflict."""

    request: AppendRequest
    """The request."""
    digest: bytes
    """Prefix of the SHA-256 of the body: a repeated request is recognized by it."""
    piece_id: str
    """Beginning of the names of the pieces that this request stores."""
    lease_id: str
    """Id of the completion's lease, if this is the last append."""
    quota: Quota | None = None
    """The quota of the namespace; None without one."""
    stored_pieces: dict[tuple[str, int], Piece] = field(default_factory=dict)
    """Pieces that this request has stored, by upload id and size in bytes."""
    uploaded_to: str | None = None
    """Multipart upload to which this request has added a part; None before it."""


def append(services: Services, ns: str, request: AppendRequest) -> AppendResult:
    """Append bytes. When this returns, they are durable and counted once.

    Raises:
        ChunkTooLarge: the body has more than 4 MiB.
        ChecksumMismatch, ChecksumUnsupported: a checksum is wrong; nothing was stored.
        UploadNotFound, UploadExpired: there is no such upload any more.
        OffsetMismatch: the upload continues elsewhere (`expected_offset`).
        InconsistentLength, LengthTooLarge: the bytes or the length do not fit the upload.
        FinalUploadFixed: the upload is a final one.
        QuotaExceeded: the quota of the namespace has no room for the bytes.
        FileExists: this was the last append, and the name has a file that may not be replaced.
        ChecksumMismatch: this was the last append, and the file has another CRC32C than the creation declared.
        BackendUnavailable: a backend failed, or other requests keep changing the upload. The bytes may be recorded.
    """
    if len(request.body) > MAX_APPEND_BYTES:
        raise ChunkTooLarge(f"A request appends at most {MAX_APPEND_BYTES:,} bytes. Send fewer at once.")
    verify_digests(request.body, request.checksums)
    attempt = _AppendAttempt(request, sha256_prefix(request.body), services.new_id(), services.new_id())
    return retry_on_conflict(lambda: _try_append(services, ns, attempt))


def _try_append(services: Services, ns: str, attempt: _AppendAttempt) -> AppendResult:
    """Append once. Raises `ConcurrentUpdate` if the upload is no longer as read."""
    request = attempt.request
    upload, state = find_sequential(services, ns, request.upload_id, request.protocol)
    if state.sources:
        raise FinalUploadFixed
    if _is_last_repeated(upload, state, attempt):
        return _finish(services, upload, attempt)
    if state.has_all_bytes or request.offset != state.offset:
        raise _offset_mismatch(upload, request)
    changed_state, size = _with_length(state, request)
    if not request.body and not _is_last(changed_state, request):
        return _declare_length(services, upload, attempt, changed_state, size)
    _wait_for_claim(services, state, attempt)
    attempt.quota = _check_quota(services, upload, size)
    upload, pieces, replaced = _store(services, upload, attempt)
    changed_state = replace(
        changed_state,
        offset=request.offset + len(request.body),
        crc32c=None if state.crc32c is None else combine_crc32c(state.crc32c, crc32c(request.body), len(request.body)),
        pieces=pieces,
        claim=None,
        last_activity_at=services.clock(),
        last_append=LastAppend(request.offset, attempt.digest) if _is_last(changed_state, request) else None,
    )
    upload = _record(services, upload, attempt, changed_state, size)
    delete_pieces(services, upload.record, replaced)
    if changed_state.last_append is None:
        return AppendResult(upload)
    return _complete(services, upload, finish_under_lease)


def _is_last_repeated(upload: Upload, state: SequentialState, attempt: _AppendAttempt) -> bool:
    """Return whether the request is the one that ended the upload, or ends one that has all its bytes.

    The draft ends an upload by an empty request at its offset, also one whose end was recorded before.
    """
    request, last = attempt.request, state.last_append
    if last is None:
        return False
    if (last.offset, last.digest) == (request.offset, attempt.digest):
        return True
    return not request.body and request.offset == state.offset == shown_offset(upload) and request.is_last is not False


def _finish(services: Services, upload: Upload, attempt: _AppendAttempt) -> AppendResult:
    if upload.record.state is UploadState.COMPLETING and upload.record.lease_id == attempt.lease_id:
        # The write that took the lease was repeated after its response was lost: the lease is this request's own.
        return _complete(services, upload, finish_under_lease)
    return _complete(services, upload, finish)


def _complete(
    services: Services, upload: Upload, complete: Callable[[Services, Upload], File | CompletionAccepted]
) -> AppendResult:
    """Complete the upload. If the file is rejected, the error has the offset at which the upload continues."""
    try:
        return result_of(services, upload, complete(services, upload))
    except FileExists as error:
        raise FileExists(FILE_EXISTS_DETAIL, expected_offset=shown_offset(upload)) from error


def result_of(services: Services, upload: Upload, result: File | CompletionAccepted) -> AppendResult:
    """Return the result of a completion, with the upload as it is afterwards."""
    if isinstance(result, File):
        record = replace(upload.record, state=UploadState.COMPLETE, file=result)
        return AppendResult(replace(upload, record=record), file=result)
    if result.retry_after_seconds:
        return AppendResult(upload, pending=result)
    return AppendResult(services.upload_repository.get_upload(upload.record.upload_id) or upload)


def _offset_mismatch(upload: Upload, request: AppendRequest) -> OffsetMismatch:
    expected = shown_offset(upload)
    return OffsetMismatch(
        f"The upload continues at {expected}; the request begins at {request.offset}. {OffsetMismatch.advice}",
        expected_offset=expected,
        provided_offset=request.offset,
    )


def _with_length(state: SequentialState, request: AppendRequest) -> tuple[SequentialState, int]:
    """Return the state with the length that the request declares, and the size to record.

    Without a length the recorded size is that of the bytes so far.
    """
    end, length = request.offset + len(request.body), state.length
    if request.length is not None:
        if length is not None and length != request.length:
            raise InconsistentLength(f"The upload has {length} bytes. Send Upload-Length: {length}, or omit it.")
        length = request.length
    if request.is_last and length is None:
        length = end
    if length is not None and end > length:
        raise LengthExceeded(f"The upload has {length} bytes, and this request ends at {end}. Send no more bytes.")
    if request.is_last and end != length:
        raise InconsistentLength(f"The upload has {length} bytes, and its last request ends at {end}. Send all bytes.")
    if (end if length is None else length) > MAX_LENGTH:
        raise LengthTooLarge
    return replace(state, length=length), end if length is None else length


def _is_last(state: SequentialState, request: AppendRequest) -> bool:
    if request.is_last is not None:
        return request.is_last
    return state.length is not None and request.offset + len(request.body) == state.length


def _declare_length(
    services: Services, upload: Upload, attempt: _AppendAttempt, state: SequentialState, size: int
) -> AppendResult:
    """Record a length that a request without bytes declares. A request that declares none changes nothing."""
    if state == upload.record.sequential:
        return AppendResult(upload)
    attempt.quota = _check_quota(services, upload, size)
    return AppendResult(_record(services, upload, attempt, replace(state, last_activity_at=services.clock()), size))


def _wait_for_claim(services: Services, state: SequentialState, attempt: _AppendAttempt) -> None:
    """Raise `ConcurrentUpdate`, after a pause, if another request with other bytes may be uploading the part."""
    claim = state.claim
    if claim is None or claim.expires_at <= services.clock():
        return
    if (claim.offset, claim.digest) != (attempt.request.offset, attempt.digest):
        services.sleep(CLAIM_POLL_SECONDS)
        raise ConcurrentUpdate


def _check_quota(services: Services, upload: Upload, size: int) -> Quota | None:
    """Return the quota that the write enforces, if the upload is counted and grows. Raises `QuotaExceeded`."""
    record = upload.record
    quota = read_quota(services, record.ns)
    if quota is None or size == record.layout.size:
        return None
    check_file_size(quota, size)
    return quota if record.counted_in_quota else None


def _store(
    services: Services, upload: Upload, attempt: _AppendAttempt
) -> tuple[Upload, tuple[Piece, ...], tuple[Piece, ...]]:
    """Make the body durable. Return the upload, its pieces with the body, and the pieces that are then replaced."""
    record, state, body = upload.record, upload.record.sequential, attempt.request.body
    assert state is not None
    room = record.layout.part_size - state.offset % record.layout.part_size
    if len(body) < room:
        joined = join_pieces(services, record, (*state.pieces, *_piece_of(services, record, attempt, body)))
        return upload, joined.pieces, joined.replaced
    if not _has_uploaded_part(services, record, attempt):
        upload = _claim(services, upload, attempt)
        try:
            upload_current_part(services, upload.record, state.pieces, body[:room])
        except MultipartUploadNotFound as error:
            raise ConcurrentUpdate from error
        attempt.uploaded_to = upload.record.multipart_id
    return upload, _piece_of(services, record, attempt, body[room:]), ()


def _piece_of(services: Services, record: UploadRecord, attempt: _AppendAttempt, body: bytes) -> tuple[Piece, ...]:
    """Store bytes as a piece, unless this request has stored it before a retry."""
    if not body:
        return ()
    key = (record.upload_id, len(body))
    if key not in attempt.stored_pieces:
        attempt.stored_pieces[key] = put_piece(
            services, record, f"{attempt.piece_id}{len(attempt.stored_pieces)}", body
        )
    return (attempt.stored_pieces[key],)


def _has_uploaded_part(services: Services, record: UploadRecord, attempt: _AppendAttempt) -> bool:
    """Return whether this request has uploaded the part before a retry, and the part still has its bytes.

    The part has its bytes while a claim on them is valid. If the request was sent twice at once, the other copy may
    have renewed that claim.
    Without this check the two would renew the claim in turns, and each would make the other start over.
    """
    claim = record.sequential.claim if record.sequential else None
    if claim is None or claim.expires_at <= services.clock() or attempt.uploaded_to is None:
        return False
    return attempt.uploaded_to == record.multipart_id and (claim.offset, claim.digest) == (
        attempt.request.offset,
        attempt.digest,
    )


def _claim(services: Services, upload: Upload, attempt: _AppendAttempt) -> Upload:
    """Record that this request uploads the current part. The first part creates the multipart upload."""
    record, state, now = upload.record, upload.record.sequential, services.clock()
    assert state is not None
    multipart_id = record.multipart_id
    if multipart_id is None:
        multipart_id = services.object_store.create_multipart(record.object_key, content_type=record.content_type)
    claim = PartClaim(attempt.request.offset, attempt.digest, now + services.lease_duration_ms)
    changed = replace(record, multipart_id=multipart_id, sequential=replace(state, claim=claim))
    try:
        return services.sequential_repository.change_sequential(upload, changed, now=now)
    except ConcurrentUpdate:
        if record.multipart_id is None:
            abort_unless_recorded(services, record, multipart_id)
        raise


def _record(services: Services, upload: Upload, attempt: _AppendAttempt, state: SequentialState, size: int) -> Upload:
    """Move the offset in one write. The last append also takes the completion lease.

    Raises:
        QuotaExceeded: the usage leaves no room.
        ConcurrentUpdate: the upload is no longer as read.
    """
    record, now = upload.record, services.clock()
    layout = ChunkLayout(size, record.layout.chunk_size, record.layout.chunks_per_part)
    lease = None
    if state.last_append is not None:
        lease = CompletionLease(attempt.lease_id, now + services.lease_duration_ms, record.if_exists)
    changed = replace(record, layout=layout, sequential=state)
    try:
        return services.sequential_repository.change_sequential(
            upload, changed, lease=lease, now=now, quota=attempt.quota
        )
    except UsageConflict:
        quota = read_quota(services, record.ns, fresh=True)
        if quota is not None:
            check_added_bytes(quota, size - record.layout.size)
        raise
