"""Accept a chunk through the API: verify it, store its digest and its bytes, record the chunk, acknowledge it.

A failure before the chunk is recorded leaves at most a digest and bytes. Sending the same chunk again overwrites them.
Different bytes get `ChunkConflict` until the function's timeout has passed; then their digest replaces the first one.
Once recorded, the chunk counts as received, and its bytes stay. docs/decisions/0015 has the order of the calls.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from ferry.errors import (
    BackendUnavailable,
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    ChunksUnavailable,
    ChunkTooLarge,
    CompletionFailed,
    UploadExpired,
)
from ferry.model.progress import ProgressShard
from ferry.model.uploads import ChunkDigest, Upload, UploadRecord
from ferry.ports.errors import ConcurrentUpdate, MultipartUploadNotFound
from ferry.ports.retry import MAX_CONFLICT_ATTEMPTS, retry_on_conflict
from ferry.rules.digests import Digest, crc32c, sha256_prefix, verify_digests
from ferry.rules.durations import SECOND_MS
from ferry.rules.layout import MAX_CHUNK_BYTES
from ferry.services import Services
from ferry.uploads.activity import record_activity
from ferry.uploads.assembly import assemble_part, may_be_recorded, part_crc, stage_chunk
from ferry.uploads.lookup import find_open, is_expired
from ferry.uploads.received import compute_received, uploaded_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """A chunk as a client sends it."""

    name: str
    """The file's name."""
    chunk_index: int
    """Which chunk of the file it is, from 1."""
    body: bytes
    """Its bytes."""
    upload_id: str | None = None
    """The upload it belongs to; None: the current upload of the name."""
    checksums: tuple[Digest, ...] = ()
    """Checksums of the body, as its client sent them. All are verified before anything is stored."""


@dataclass(frozen=True, slots=True)
class ChunkAccepted:
    """The acknowledgement of a chunk."""

    upload_id: str
    """The upload it belongs to."""
    chunk_index: int
    """Which chunk of the file it is, from 1."""
    received_bytes: int
    """Bytes that have arrived so far, as chunks and as parts sent to S3 directly (`ReceivedRanges.total_bytes`)."""
    size: int
    """Bytes of the whole file."""


def accept_chunk(services: Services, ns: str, request: ChunkRequest) -> ChunkAccepted:
    """Accept a chunk. When this returns, the chunk is durable and counted once, however often it was sent.

    Raises:
        ChunkTooLarge: it has more than `MAX_CHUNK_BYTES`. The upload is not read for this.
        ChunkIndexOutOfRange, ChunkSizeMismatch, ChunksUnavailable: it does not fit the chunk layout.
        ChecksumMismatch, ChecksumUnsupported: a checksum is wrong; nothing was stored.
        ChunkConflict: the chunk was already uploaded with different content, or another request is doing so.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, CompletionInProgress, UploadAlreadyComplete:
            no upload accepts it.
        BackendUnavailable: a backend failed, or concurrent requests kept changing the upload. It may be recorded.
    """
    if len(request.body) > MAX_CHUNK_BYTES:
        raise ChunkTooLarge
    verify_digests(request.body, request.checksums)
    sha256, crc = sha256_prefix(request.body), crc32c(request.body)
    return retry_on_conflict(lambda: _try_accept(services, ns, request, ChunkDigest(sha256, crc)))


def _try_accept(services: Services, ns: str, request: ChunkRequest, chunk_digest: ChunkDigest) -> ChunkAccepted:
    """Accept the chunk once. Raises `ConcurrentUpdate` if the upload was closed, or the cached one is outdated."""
    upload = _take_cached(services, ns, request)
    if upload is not None:
        try:
            upload = _accept_missing(services, upload, request, chunk_digest)
        except (ChunkConflict, UploadExpired) as error:
            raise ConcurrentUpdate from error  # The cached upload may be outdated: read it before rejecting the chunk.
    else:
        upload = find_open(services, ns, request.name, request.upload_id, allow_built=True)
        _check_against_layout(upload, request)
        if upload.has_chunk(request.chunk_index):
            upload = _accept_repeated(services, upload, request, chunk_digest)
        else:
            upload = _accept_missing(services, upload, request, chunk_digest)
    services.open_upload_cache.put(upload, services.clock())
    return _acknowledge(services, upload, request.chunk_index)


def _take_cached(services: Services, ns: str, request: ChunkRequest) -> Upload | None:
    """Take the upload out of the cache if the chunk can be stored and recorded with it. None: the upload must be read.

    It must be read if the chunk is recorded already or does not fit, or if the upload has expired. It must also be read
    for the last chunk of a part if the cached upload lacks other chunks of the part: another instance has probably
    recorded them since, and then this chunk completes the part.

    The condition of `record_chunk` checks that the chunk is still missing. The upload returns to the cache once the
    chunk is recorded, so no upload whose chunk failed stays there.
    """
    upload = services.open_upload_cache.take(ns, request.name, request.upload_id, services.clock())
    if upload is None or is_expired(services, upload):
        return None
    layout, index = upload.record.layout, request.chunk_index
    if not layout.has_chunk(index) or layout.chunk_length(index) != len(request.body) or upload.has_chunk(index):
        return None
    *others, last = layout.chunks_in_part(layout.part_for_chunk(index))
    if index == last and not all(upload.has_chunk(other) for other in others):
        return None
    return upload


def _accept_repeated(services: Services, upload: Upload, request: ChunkRequest, chunk_digest: ChunkDigest) -> Upload:
    """Return the upload, if the chunk that it has is the one sent. Raises `ChunkConflict` otherwise."""
    index = request.chunk_index
    part_number = upload.record.layout.part_for_chunk(index)
    recorded = services.upload_repository.get_chunk_digests(upload.record.upload_id, part_number)
    _check_same_content(recorded.get(index), chunk_digest)
    return record_activity(services, upload) if upload.record.stored_object is None else upload


def _accept_missing(services: Services, upload: Upload, request: ChunkRequest, chunk_digest: ChunkDigest) -> Upload:
    """Store and record a chunk that the upload lacks, and return the upload with it.

    The upload was read before the digest is stored: `_replace_digest` relies on that.
    """
    record = upload.record
    if record.stored_object is not None:
        raise CompletionFailed  # The bytes came within a part sent to S3 directly, so they cannot be compared.
    chunk_digest = replace(chunk_digest, stored_at=services.clock() // SECOND_MS * SECOND_MS)
    is_assembled = _store(services, upload, request, chunk_digest)
    shard, is_assembled = _record_chunk(services, upload, request, chunk_digest, is_assembled=is_assembled)
    upload, part_number = upload.with_shard(shard), record.layout.part_for_chunk(request.chunk_index)
    if upload.has_all_chunks_of_part(part_number):
        if not is_assembled:
            _assemble_staged_part(services, upload, part_number, request)
        services.staged_chunk_cache.discard_part(record, part_number)
    return upload


def _store(services: Services, upload: Upload, request: ChunkRequest, chunk_digest: ChunkDigest) -> bool:
    """Store the digest of the chunk, and its bytes: staged, or in the part that it completes.

    Return whether the part was assembled.

    Raises:
        ChunkConflict: another request is sending other bytes for the chunk.
        ConcurrentUpdate: the digest of another request was replaced, so the upload must be read again.
    """
    record, index = upload.record, request.chunk_index
    part_number = record.layout.part_for_chunk(index)
    completes_part = _completes_part(upload, index)

    def store_digest() -> Mapping[int, ChunkDigest]:
        return services.upload_repository.put_chunk_digest(record.upload_id, part_number, index, chunk_digest)

    def stage() -> None:
        stage_chunk(services, record, index, chunk_digest, request.body)

    is_staged = not completes_part and not _has_limited_bytes(record)
    chunk_digests = services.run_both(store_digest, stage)[0] if is_staged else store_digest()
    if chunk_digests[index] != chunk_digest:
        _replace_digest(services, upload, index, chunk_digests[index], chunk_digest)
        raise ConcurrentUpdate  # The shard has another epoch now: read it again.
    completes_part = completes_part and _may_be_assembled(services, chunk_digests[index], chunk_digest)
    is_assembled = False
    if completes_part and part_crc(record, part_number, chunk_digests) is not None:
        # If the multipart upload is gone, the upload has ended or is ending. The chunk is staged below, and
        # `record_chunk` then fails.
        with suppress(MultipartUploadNotFound):
            is_assembled = _assemble(services, record, part_number, chunk_digests, request)
    if not is_assembled and not is_staged:
        stage()
    return is_assembled


def _may_be_assembled(services: Services, stored: ChunkDigest, sent: ChunkDigest) -> bool:
    """Return whether the request may assemble the part that its chunk completes, before it records the chunk.

    Since the upload was read, the part may have been presigned, or the digest of the chunk replaced. The stored digest
    shows both. A URL that is presigned later accepts only the bytes of the chunks, as long as the request that stored
    the digest may be running (`may_be_recorded`). So the digest must be this request's own, and younger than that.
    """
    is_own = stored.stored_at == sent.stored_at
    return is_own and may_be_recorded(services, stored) and not stored.part_may_change


def _has_limited_bytes(record: UploadRecord) -> bool:
    """Return whether a quota or a link limits the bytes of an upload.

    If so, a chunk is staged only after its digest was stored: bytes that conflict with those of another request are
    then rejected before they take up space.
    """
    return record.counted_in_quota or record.link_id is not None


def _check_against_layout(upload: Upload, request: ChunkRequest) -> None:
    layout, index = upload.record.layout, request.chunk_index
    if not layout.has_chunk(index):
        raise ChunkIndexOutOfRange.for_member("chunk_index", f"The plan has chunks 1 to {layout.chunk_count}.")
    length = layout.chunk_length(index)
    if len(request.body) != length:
        raise ChunkSizeMismatch.for_member(
            "data", f"Chunk {index} must have {length} bytes; the request has {len(request.body)}."
        )
    if not layout.supports_chunks:
        raise ChunksUnavailable.for_member("chunk_index", ChunksUnavailable.title)


def _check_same_content(stored: ChunkDigest | None, sent: ChunkDigest) -> None:
    """Raise `ChunkConflict` if the digest that was stored first differs from that of the chunk sent."""
    if stored != sent:
        raise ChunkConflict


def _replace_digest(
    services: Services, upload: Upload, chunk_index: int, stored: ChunkDigest, sent: ChunkDigest
) -> None:
    """Replace the digest that another request has stored for other bytes, if the timeout of that request has passed.

    The other request has not recorded the chunk. It cannot record the chunk any more, even if a write arrives late.

    Raises:
        ChunkConflict: the timeout has not passed, so the other request may still be running.
        ConcurrentUpdate: the chunk is recorded now, or has another digest.
    """
    if may_be_recorded(services, stored):
        raise ChunkConflict(
            "Another request is sending this chunk with different content. If that request has failed, repeat this one "
            f"in {services.function_timeout_ms // SECOND_MS} seconds."
        )
    services.upload_repository.replace_chunk_digest(
        upload, chunk_index, expected=stored, chunk_digest=sent, now=services.clock()
    )


def _completes_part(upload: Upload, chunk_index: int) -> bool:
    """Return whether all other chunks of the part are durable, and nothing could overwrite the part once assembled."""
    if upload.parts_may_change:
        return False
    layout = upload.record.layout
    others = (index for index in layout.chunks_in_part(layout.part_for_chunk(chunk_index)) if index != chunk_index)
    return all(upload.has_chunk(index) for index in others)


def _record_chunk(
    services: Services, upload: Upload, request: ChunkRequest, chunk_digest: ChunkDigest, *, is_assembled: bool
) -> tuple[ProgressShard, bool]:
    """Record the chunk. Return the shard, and whether the part that was assembled before remains valid.

    It remains valid while no part of the upload is presigned and no digest of the shard is replaced. Otherwise a late
    PUT may overwrite it. The chunk is then staged before it is recorded, and the second value is False.

    Raises:
        ConcurrentUpdate: the upload is closed.
        ChunkConflict: the digest of this chunk was replaced.
        UploadExpired: it expired while the chunk was stored.
        BackendUnavailable: a backend failed, or concurrent chunks kept changing the shard.
    """
    record, index = upload.record, request.chunk_index
    if is_expired(services, upload):
        raise UploadExpired
    shard, bit = upload.shard_for_chunk(index), record.layout.bit_for_chunk(index)
    for _ in range(MAX_CONFLICT_ATTEMPTS):
        try:
            shard = services.upload_repository.record_chunk(
                record.upload_id,
                shard,
                bit,
                len(request.body),
                require_no_presigned=is_assembled,
                now=services.clock(),
            )
            return shard, is_assembled
        except ConcurrentUpdate as conflict:
            shard = _shard_after_conflict(services, record, index, chunk_digest, expected=shard, conflict=conflict)
        if shard.has_bit(bit):
            return shard, is_assembled
        if shard.parts_may_change and is_assembled:
            stage_chunk(services, record, index, chunk_digest, request.body)
            is_assembled = False
    raise BackendUnavailable("Too many chunks are being recorded at once. Send this chunk again.")


def _shard_after_conflict(
    services: Services,
    record: UploadRecord,
    chunk_index: int,
    chunk_digest: ChunkDigest,
    *,
    expected: ProgressShard,
    conflict: ConcurrentUpdate,
) -> ProgressShard:
    """Return the shard as it is stored now, for the next attempt to record a chunk.

    Raises:
        ConcurrentUpdate: the upload is closed.
        ChunkConflict: the digest of this chunk was replaced.
    """
    shard = conflict.shard
    if shard is None or not shard.open:
        raise conflict
    if shard.epoch > expected.epoch + 1:
        # More than one compaction: a digest may have been replaced since this request stored its own.
        part_number = record.layout.part_for_chunk(chunk_index)
        part_digests = services.upload_repository.get_chunk_digests(record.upload_id, part_number)
        _check_same_content(part_digests.get(chunk_index), chunk_digest)
    return shard


def _assemble(
    services: Services,
    record: UploadRecord,
    part_number: int,
    chunk_digests: Mapping[int, ChunkDigest],
    request: ChunkRequest,
) -> bool:
    """Upload the part, from the request, the chunks that this instance has kept, and staged ones. Return whether all
    of its chunks are there.
    """
    others = [index for index in record.layout.chunks_in_part(part_number) if index != request.chunk_index]
    keys = {index: record.staged_chunk_key(index, chunk_digests[index]) for index in others}
    kept = {index: body for index, key in keys.items() if (body := services.staged_chunk_cache.get(key)) is not None}
    bodies = {**kept, request.chunk_index: request.body}
    return assemble_part(services, record, part_number, chunk_digests, bodies).part is not None


def _assemble_staged_part(services: Services, upload: Upload, part_number: int, request: ChunkRequest) -> None:
    """Assemble a part whose chunks are all recorded, but which no request has assembled.

    This happens if the last two chunks arrived together, or if a part of the upload is presigned. The chunk is durable
    already. A failure is logged, and the completion assembles the part.
    """
    record = upload.record
    try:
        chunk_digests = services.upload_repository.get_chunk_digests(record.upload_id, part_number)
        _assemble(services, record, part_number, chunk_digests, request)
    except (BackendUnavailable, MultipartUploadNotFound):
        logger.warning("upload %s: part %d is assembled at completion", record.upload_id, part_number)


def _acknowledge(services: Services, upload: Upload, chunk_index: int) -> ChunkAccepted:
    received_bytes = upload.recorded_chunk_bytes
    if upload.has_presigned_parts:
        received_bytes = compute_received(upload, uploaded_parts(services, upload)).total_bytes
    return ChunkAccepted(upload.record.upload_id, chunk_index, received_bytes, upload.record.layout.size)
