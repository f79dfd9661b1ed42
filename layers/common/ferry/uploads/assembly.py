"""Stage chunks as objects of their own, and assemble multipart parts from them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ferry.model.objects import StoredPart
from ferry.model.uploads import ChunkDigest, UploadRecord
from ferry.rules.digests import combine_crc32c_all
from ferry.services import Services

FETCH_CONCURRENCY = 8
"""How many staged chunks or pieces are fetched at once."""


@dataclass(frozen=True, slots=True)
class AssemblyResult:
    """The part, or what it lacks."""

    part: StoredPart | None
    """The part as S3 stored it; None if chunks are missing."""
    missing: tuple[int, ...] = ()
    """Indexes of the chunks that are not staged, ascending."""


def stage_chunk(
    services: Services, record: UploadRecord, chunk_index: int, chunk_digest: ChunkDigest, body: bytes
) -> None:
    """Store a chunk as an object of its own, which stays until its upload has ended.

    If the part has other chunks, the instance also caches the bytes, for the assembly of the part.
    """
    key, layout = record.staged_chunk_key(chunk_index, chunk_digest), record.layout
    services.object_store.put(key, body, crc32c=chunk_digest.crc32c)
    if len(layout.chunks_in_part(layout.part_for_chunk(chunk_index))) > 1:
        services.staged_chunk_cache.put(key, body)


def may_be_recorded(services: Services, chunk_digest: ChunkDigest) -> bool:
    """Return whether the request that stored this digest may be running, so that it may still record its chunk."""
    stored_at = chunk_digest.stored_at
    return stored_at is None or services.clock() < stored_at + services.function_timeout_ms


def part_crc(record: UploadRecord, part_number: int, chunk_digests: Mapping[int, ChunkDigest]) -> int | None:
    """Return the CRC32C of a part, combined from those of its chunks; None if a chunk has no digest yet."""
    layout = record.layout
    indexes = layout.chunks_in_part(part_number)
    if any(index not in chunk_digests for index in indexes):
        return None
    return combine_crc32c_all((chunk_digests[index].crc32c, layout.chunk_length(index)) for index in indexes)


def assemble_part(
    services: Services,
    record: UploadRecord,
    part_number: int,
    chunk_digests: Mapping[int, ChunkDigest],
    available_bodies: Mapping[int, bytes],
) -> AssemblyResult:
    """Upload a part made of its chunks. S3 verifies the CRC32C that the chunk digests give.

    Args:
        services: the backends.
        record: the upload, with its multipart upload open in S3.
        part_number: the part, from 1.
        chunk_digests: by chunk index; every chunk of the part must have one.
        available_bodies: chunk bodies in memory, by chunk index; the others are fetched.

    Raises:
        MultipartUploadNotFound: S3 no longer has the multipart upload.
        ValueError: a chunk has no digest, or the upload has no multipart upload.
    """
    crc = part_crc(record, part_number, chunk_digests)
    if crc is None or record.multipart_id is None:
        raise ValueError("only a part whose chunks all have digests can be assembled")
    indexes = record.layout.chunks_in_part(part_number)
    to_fetch = [index for index in indexes if index not in available_bodies]
    fetched = fetch_objects(services, [record.staged_chunk_key(index, chunk_digests[index]) for index in to_fetch])
    bodies = {**available_bodies, **dict(zip(to_fetch, fetched, strict=True))}
    chunks = [body for index in indexes if (body := bodies[index]) is not None]
    if len(chunks) < len(indexes):
        return AssemblyResult(None, tuple(index for index in indexes if bodies[index] is None))
    part = services.object_store.upload_part(
        record.object_key, record.multipart_id, part_number, b"".join(chunks), crc32c=crc
    )
    return AssemblyResult(part)


def fetch_objects(services: Services, keys: list[str]) -> list[bytes | None]:
    """Return the objects under these keys, None for one that does not exist. Several are fetched at once."""
    if len(keys) <= 1:
        return [services.object_store.get(key) for key in keys]
    with ThreadPoolExecutor(min(FETCH_CONCURRENCY, len(keys))) as pool:
        return list(pool.map(services.object_store.get, keys))
