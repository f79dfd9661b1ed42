"""A chunk through the API: verified, claimed, made durable, recorded, acknowledged, in this order."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from ferry.errors import (
    BackendUnavailable,
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    ChunksUnavailable,
    ChunkTooLarge,
    UploadExpired,
)
from ferry.model.uploads import ChunkDigest, ProgressShard, Upload
from ferry.ports.errors import ConcurrentUpdate, MultipartUploadNotFound
from ferry.ports.retry import MAX_CONFLICT_ATTEMPTS, retry_on_conflict
from ferry.rules.digests import Digest, crc32c, sha256_prefix, verify_digests
from ferry.rules.layout import MAX_CHUNK_BYTES
from ferry.services import Services
from ferry.uploads.assembly import assemble_part, stage_chunk
from ferry.uploads.lookup import find_open, is_expired
from ferry.uploads.received import compute_received, uploaded_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """`index` counts from 1; `digests` are verified before anything is stored."""

    name: str
    chunk_index: int
    body: bytes
    upload_id: str | None = None
    digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkAccepted:
    """`received` and `size` are bytes; `received` counts both paths."""

    upload_id: str
    chunk_index: int
    received_bytes: int
    size: int


def accept_chunk(services: Services, ns: str, request: ChunkRequest) -> ChunkAccepted:
    """Take a chunk. When this returns, its bytes are durable and counted, once.

    Raises:
        ChunkTooLarge, ChunkIndexOutOfRange, ChunkSizeMismatch, ChunksUnavailable: it is not in the plan.
        ChecksumMismatch, ChecksumUnsupported: nothing was stored.
        ChunkConflict: other bytes were accepted for it.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, UploadCompleting, UploadComplete: no session
        that takes it.
    """
    if len(request.body) > MAX_CHUNK_BYTES:
        raise ChunkTooLarge
    verify_digests(request.body, request.digests)
    claim = ChunkDigest(sha256_prefix(request.body), crc32c(request.body))
    return retry_on_conflict(lambda: _try_accept(services, ns, request, claim))


def _try_accept(services: Services, ns: str, request: ChunkRequest, chunk_digest: ChunkDigest) -> ChunkAccepted:
    upload = find_open(services, ns, request.name, request.upload_id)
    _check_against_layout(upload, request)
    session, index = upload.record, request.chunk_index
    number = session.layout.part_for_chunk(index)
    if upload.has_chunk(index):
        if services.upload_repository.get_chunk_digests(session.upload_id, number).get(index) != chunk_digest:
            raise ChunkConflict
        return _to_result(services, upload, index)
    claims = services.upload_repository.put_chunk_digest(session.upload_id, number, index, chunk_digest)
    if claims.get(index) != chunk_digest:
        raise ChunkConflict

    others = [other for other in session.layout.chunks_in_part(number) if other != index]
    assembled = False
    if not upload.has_presigned_parts and all(other in claims and upload.has_chunk(other) for other in others):
        # Without its multipart upload the record below, or the completion, finds out what became of it.
        with suppress(MultipartUploadNotFound):
            assembled = assemble_part(services, session, number, claims, {index: request.body}).part is not None
    if not assembled:
        stage_chunk(services, session, index, chunk_digest, request.body)

    row, assembled = _record_chunk(services, upload, request, chunk_digest, assembled)
    stripes = tuple(row if stripe.index == row.index else stripe for stripe in upload.shards)
    upload = replace(upload, shards=stripes)
    if not assembled and upload.has_all_chunks_of_part(number):
        _assemble_after_race(services, upload, number, request)
    return _to_result(services, upload, index)


def _check_against_layout(upload: Upload, request: ChunkRequest) -> None:
    grid = upload.record.layout
    if not grid.has_chunk(request.chunk_index):
        raise ChunkIndexOutOfRange.for_member("chunk_index", f"the plan has chunks 1 to {grid.chunk_count}")
    if len(request.body) != (length := grid.chunk_length(request.chunk_index)):
        raise ChunkSizeMismatch.for_member(
            "data", f"chunk {request.chunk_index} has {length} bytes, {len(request.body)} arrived"
        )
    if not grid.supports_chunks:
        raise ChunksUnavailable.for_member("chunk_index", ChunksUnavailable.title)


def _record_chunk(
    services: Services, upload: Upload, request: ChunkRequest, chunk_digest: ChunkDigest, is_assembled: bool
) -> tuple[ProgressShard, bool]:
    """Count the chunk: the moment it is acknowledged. Returns the stripe, and whether the assembly may stand as its
    only copy.

    Once a URL may have been signed for the part, whatever lands by it could overwrite the assembled part: then the
    chunk is staged as well, before it counts.
    """
    session, index = upload.record, request.chunk_index
    if is_expired(services, upload):
        raise UploadExpired
    row, bit = upload.shard_for_chunk(index), session.layout.bit_for_chunk(index)
    for _ in range(MAX_CONFLICT_ATTEMPTS):
        try:
            row = services.upload_repository.record_chunk(
                session.upload_id, row, bit, len(request.body), require_no_presigned=is_assembled, now=services.clock()
            )
            return row, is_assembled
        except ConcurrentUpdate as moved:
            if moved.shard is None or not moved.shard.open:
                raise
            row = moved.shard
            if row.has_bit(bit):
                return row, is_assembled
            if row.has_presigned_parts and is_assembled:
                stage_chunk(services, session, index, chunk_digest, request.body)
                is_assembled = False
    raise BackendUnavailable("too many chunks are being recorded at once; send it again")


def _assemble_after_race(services: Services, upload: Upload, part_number: int, request: ChunkRequest) -> None:
    """Two last chunks came together and both were staged. The chunk is durable already, so a failure here is not the
    client's.
    """
    session = upload.record
    try:
        claims = services.upload_repository.get_chunk_digests(session.upload_id, part_number)
        assemble_part(services, session, part_number, claims, {request.chunk_index: request.body})
    except (BackendUnavailable, MultipartUploadNotFound):
        logger.warning("part %d of upload %s is left to be assembled at completion", part_number, session.upload_id)


def _to_result(services: Services, upload: Upload, chunk_index: int) -> ChunkAccepted:
    total = (
        compute_received(upload, uploaded_parts(services, upload)).total_bytes
        if upload.has_presigned_parts
        else upload.received_bytes
    )
    return ChunkAccepted(upload.record.upload_id, chunk_index, total, upload.record.layout.size)
