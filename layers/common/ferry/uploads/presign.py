"""Presign PUT requests that send parts straight to S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferry.errors import ChunkConflict, PartNumberOutOfRange
from ferry.model.uploads import Upload
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.uploads.assembly import may_be_recorded, part_crc
from ferry.uploads.lookup import find_open


@dataclass(frozen=True, slots=True)
class PartsRequest:
    """A client's request for presigned parts."""

    name: str
    """The file's name."""
    parts: Sequence[tuple[int, int | None]]
    """Part numbers from 1, each with the CRC32C of its bytes or None."""
    upload_id: str | None = None
    """The upload they belong to; None: the current upload of the name."""


@dataclass(frozen=True, slots=True)
class PresignedPart:
    """A PUT request that S3 accepts as signed: these headers, this many bytes."""

    part_number: int
    """Which part it sends, from 1."""
    url: str
    """Where to send it."""
    headers: Mapping[str, str]
    """Headers that the request must have, unchanged."""
    size: int
    """How many bytes it must send."""
    expires_at: int
    """When S3 stops accepting it, in epoch milliseconds."""


def presign_parts(services: Services, ns: str, request: PartsRequest) -> list[PresignedPart]:
    """Presign one PUT for each part, in the order of the request.

    A part that chunks have completed is signed with the CRC32C of those chunks, so that S3 rejects other bytes.

    Raises:
        PartNumberOutOfRange: the chunk layout has no such part.
        ChunkConflict: the part is complete from chunks with a different checksum, or about to be.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, CompletionInProgress, UploadAlreadyComplete:
            no upload accepts parts.
    """
    upload = retry_on_conflict(lambda: _mark_presigned(services, ns, request))
    _mark_parts(services, upload, [number for number, _ in request.parts])
    return [_presign_part(services, upload, number, crc) for number, crc in request.parts]


def _presign_part(services: Services, upload: Upload, part_number: int, requested_crc: int | None) -> PresignedPart:
    record = upload.record
    size = record.layout.part_length(part_number)
    presigned = services.object_store.presign_part(
        record.object_key,
        record.multipart_id or "",
        part_number,
        size=size,
        crc32c=_required_crc(services, upload, part_number, requested_crc),
        ttl_seconds=services.presigned_url_ttl_seconds,
    )
    return PresignedPart(part_number, presigned.url, presigned.headers, size, presigned.expires_at)


def _mark_presigned(services: Services, ns: str, request: PartsRequest) -> Upload:
    """Record on every shard that URLs exist, then return the upload as read after that.

    From then on every chunk is staged before it is recorded, so a late PUT cannot overwrite the only copy of one.

    Raises:
        ConcurrentUpdate: the upload was closed meanwhile.
    """
    upload = find_open(services, ns, request.name, request.upload_id)
    layout = upload.record.layout
    for number, _ in request.parts:
        if not layout.has_part(number):
            raise PartNumberOutOfRange.for_member("parts", f"The plan has parts 1 to {layout.part_count}.")
    upload_id = upload.record.upload_id
    if upload.has_presigned_parts:
        return services.upload_repository.record_activity(upload, now=services.clock())
    services.upload_repository.mark_presigned(upload, now=services.clock())
    marked = services.upload_repository.get_upload(upload_id)
    if marked is None or not marked.has_presigned_parts:
        raise ConcurrentUpdate
    return marked


def _mark_parts(services: Services, upload: Upload, part_numbers: Sequence[int]) -> None:
    """Mark those of the parts that lack only one chunk.

    An instance may have cached the upload as it was before its first signing. Without the mark it would assemble such
    a part when that chunk arrives, and overwrite the part that the client is about to send.
    """
    numbers = [number for number in dict.fromkeys(part_numbers) if _chunk_that_completes(upload, number) is not None]
    if numbers:
        services.upload_repository.mark_parts_presigned(upload.record.upload_id, numbers, now=services.clock())


def _chunk_that_completes(upload: Upload, part_number: int) -> int | None:
    """Return the only chunk that a part lacks; None if it lacks none or several."""
    layout = upload.record.layout
    if not layout.supports_chunks:
        return None
    missing = [index for index in layout.chunks_in_part(part_number) if not upload.has_chunk(index)]
    return missing[0] if len(missing) == 1 else None


def _required_crc(services: Services, upload: Upload, part_number: int, requested_crc: int | None) -> int | None:
    """Return the CRC32C to sign: that of the part's chunks if all are recorded, else the one requested.

    A request may be sending the only missing chunk. If it read the upload before this signing, it may assemble the part
    at any moment. So S3 must then accept only the bytes of these chunks.
    """
    record, missing = upload.record, _chunk_that_completes(upload, part_number)
    has_all_chunks = record.layout.supports_chunks and upload.has_all_chunks_of_part(part_number)
    if not has_all_chunks and missing is None:
        return requested_crc
    chunk_digests = services.upload_repository.get_chunk_digests(record.upload_id, part_number)
    if missing is not None and (missing not in chunk_digests or not may_be_recorded(services, chunk_digests[missing])):
        return requested_crc
    chunks_crc = part_crc(record, part_number, chunk_digests)
    if requested_crc is not None and requested_crc != chunks_crc:
        raise ChunkConflict(_conflict_detail(services, part_number, missing))
    return chunks_crc


def _conflict_detail(services: Services, part_number: int, missing: int | None) -> str:
    if missing is None:
        return (
            f"Part {part_number} is already complete from chunks with a different checksum. "
            "Leave the part out, or cancel the upload and start it again."
        )
    return (
        f"A request is sending chunk {missing}, which completes part {part_number} with a different checksum. "
        f"If that request has failed, repeat this one in {services.function_timeout_ms // SECOND_MS} seconds."
    )
