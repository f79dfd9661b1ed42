"""What has arrived of an upload, by both paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferry.model.objects import StoredPart
from ferry.model.uploads import Upload, UploadRecord
from ferry.ports.errors import MultipartUploadNotFound
from ferry.rules.layout import Range, to_ranges
from ferry.services import Services


@dataclass(frozen=True, slots=True)
class ReceivedRanges:
    """Ascending inclusive ranges: `chunks` by index, `parts` by number (those that are whole), each by either path;
    `bytes` counts once.
    """

    chunks: list[Range]
    parts: list[Range]
    total_bytes: int


def list_parts(services: Services, record: UploadRecord) -> Mapping[int, StoredPart]:
    """The parts that S3 has. Raises `NoSuchMultipart`."""
    if record.multipart_id is None:
        raise MultipartUploadNotFound
    return services.object_store.list_parts(
        record.object_key, record.multipart_id, max_part_number=record.layout.part_count
    )


def uploaded_parts(services: Services, upload: Upload) -> Mapping[int, StoredPart]:
    """The parts S3 has, where clients may have put some there themselves; no call for an upload that never signed a
    URL.

    Where S3 knows the multipart upload no more but has its object, every part has landed.
    """
    session = upload.record
    if not (upload.has_presigned_parts and session.state.in_progress):
        return {}
    try:
        return list_parts(services, session)
    except MultipartUploadNotFound:
        found = services.object_store.head(session.object_key)
    grid = session.layout
    if found is None or found.size != grid.size:
        return {}
    return {n: StoredPart(n, found.etag, grid.part_length(n), None) for n in range(1, grid.part_count + 1)}


def compute_received(upload: Upload, parts: Mapping[int, StoredPart]) -> ReceivedRanges:
    """What is there: durable chunks, and parts of the right size among those listed."""
    grid = upload.record.layout
    if upload.record.stored_object is not None:
        return ReceivedRanges(_full_range(grid.chunk_count), _full_range(grid.part_count), grid.size)
    landed = [
        number for number, part in parts.items() if grid.has_part(number) and part.size == grid.part_length(number)
    ]
    if not landed and not upload.received_bytes:
        return ReceivedRanges([], [], 0)
    chunks = set(upload.chunk_indexes())
    total = upload.received_bytes
    for number in landed:
        absent = [index for index in grid.chunks_in_part(number) if index not in chunks]
        total += sum(grid.chunk_length(index) for index in absent)
        chunks.update(absent)
    ordered = sorted(chunks)
    whole = sorted({grid.part_for_chunk(index) for index in ordered})
    counts: dict[int, int] = dict.fromkeys(whole, 0)
    for index in ordered:
        counts[grid.part_for_chunk(index)] += 1
    parts_whole = (number for number in whole if counts[number] == len(grid.chunks_in_part(number)))
    return ReceivedRanges(list(to_ranges(ordered)), list(to_ranges(parts_whole)), total)


def _full_range(count: int) -> list[Range]:
    return [(1, count)] if count else []
