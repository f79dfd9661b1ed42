"""Compute what has arrived of an upload, as chunks and as parts sent to S3 directly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ferry.model.objects import StoredPart
from ferry.model.uploads import ChunkDigest, Upload, UploadRecord
from ferry.ports.errors import MultipartUploadNotFound
from ferry.rules.layout import Range, to_ranges
from ferry.services import Services
from ferry.uploads.assembly import part_crc


@dataclass(frozen=True, slots=True)
class ReceivedRanges:
    """What has arrived, by either path. Ranges are inclusive, ascending, and do not touch."""

    chunks: list[Range]
    """Chunk indexes from 1. A part sent directly counts as all its chunks."""
    parts: list[Range]
    """Part numbers from 1 of the parts that have arrived completely."""
    total_bytes: int
    """Bytes of the chunks; what arrived by both paths counts once."""


def list_parts(services: Services, record: UploadRecord) -> Mapping[int, StoredPart]:
    """Return the parts that S3 lists, by number. Raises `MultipartUploadNotFound`."""
    if record.multipart_id is None:
        raise MultipartUploadNotFound
    return services.object_store.list_parts(
        record.object_key, record.multipart_id, max_part_number=record.layout.part_count
    )


def is_stale_assembly(upload: Upload, part: StoredPart, chunk_digests: Mapping[int, ChunkDigest]) -> bool:
    """Return whether the request that assembled this part lost its digest to another one before it recorded its chunk.

    That request sent the last missing chunk of the part. It saw no replaced digest in the shard, so its own digest was
    the first one of the chunk. If the store lists no CRC32C, every part that may be stale counts as stale.

    Args:
        upload: the upload as read.
        part: the part as S3 lists it.
        chunk_digests: the digests of the part's chunks, by chunk index.
    """
    record = upload.record
    missing = [index for index in record.layout.chunks_in_part(part.number) if not upload.has_chunk(index)]
    digest = chunk_digests.get(missing[0]) if len(missing) == 1 else None
    if digest is None or digest.replaced is None:
        return False
    return part.crc32c in (None, part_crc(record, part.number, {**chunk_digests, missing[0]: digest.replaced}))


def list_counted_parts(services: Services, upload: Upload) -> Mapping[int, StoredPart]:
    """Return the parts that S3 lists, by number, without stale assemblies. Raises `MultipartUploadNotFound`."""
    parts = list_parts(services, upload.record)
    if not upload.has_replaced_digests:
        return parts
    digests = services.upload_repository.get_all_chunk_digests(upload.record.upload_id)
    return {
        number: part for number, part in parts.items() if not is_stale_assembly(upload, part, digests.get(number, {}))
    }


def uploaded_parts(services: Services, upload: Upload) -> Mapping[int, StoredPart]:
    """Return the parts in S3, by number, if clients may have sent some directly.

    An upload without presigned parts costs no call and returns none. If S3 has joined the parts into the object
    already, all of them are returned.
    """
    if not (upload.has_presigned_parts and upload.record.state.in_progress):
        return {}
    return _list_uploaded(services, upload)


def count_received_bytes(services: Services, upload_id: str) -> int:
    """Return the bytes that an ended upload had received, as long as what S3 has of it is not deleted."""
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None:
        return 0
    if upload.record.sequential is not None:
        return upload.record.sequential.offset
    parts = _list_uploaded(services, upload) if upload.has_presigned_parts else {}
    return compute_received(upload, parts).total_bytes


def _list_uploaded(services: Services, upload: Upload) -> Mapping[int, StoredPart]:
    """Return the parts in S3, by number; all parts if S3 has joined them into the object already."""
    record = upload.record
    try:
        return list_counted_parts(services, upload)
    except MultipartUploadNotFound:
        found = services.object_store.head(record.object_key)
    layout = record.layout
    if found is None or found.size != layout.size:
        return {}
    return {n: StoredPart(n, found.etag, layout.part_length(n), None) for n in range(1, layout.part_count + 1)}


def compute_received(upload: Upload, parts: Mapping[int, StoredPart]) -> ReceivedRanges:
    """Return what has arrived: recorded chunks, and those of `parts` that have their right size."""
    layout = upload.record.layout
    if upload.record.stored_object is not None:
        return ReceivedRanges(_full_range(layout.chunk_count), _full_range(layout.part_count), layout.size)
    part_numbers = [
        number for number, part in parts.items() if layout.has_part(number) and part.size == layout.part_length(number)
    ]
    if not part_numbers and not upload.recorded_chunk_bytes:
        return ReceivedRanges([], [], 0)
    chunks = set(upload.chunk_indexes())
    total_bytes = upload.recorded_chunk_bytes
    for number in part_numbers:
        added = [index for index in layout.chunks_in_part(number) if index not in chunks]
        total_bytes += sum(layout.chunk_length(index) for index in added)
        chunks.update(added)
    indexes = sorted(chunks)
    counts = Counter(layout.part_for_chunk(index) for index in indexes)
    complete_parts = (number for number, count in counts.items() if count == len(layout.chunks_in_part(number)))
    return ReceivedRanges(list(to_ranges(indexes)), list(to_ranges(complete_parts)), total_bytes)


def _full_range(count: int) -> list[Range]:
    return [(1, count)] if count else []
