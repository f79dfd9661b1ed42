"""Stages, and parts made of them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ferry.model.objects import StoredPart
from ferry.model.uploads import ChunkDigest, UploadRecord
from ferry.rules.digests import combine_crc32c_all
from ferry.services import Services

FETCH_CONCURRENCY = 8
"""Stages fetched at once for one part."""


@dataclass(frozen=True, slots=True)
class AssemblyResult:
    """The part that was made; or, when there is none, the indexes of the chunks that have no stage."""

    part: StoredPart | None
    missing: tuple[int, ...] = ()


def stage_chunk(
    services: Services, record: UploadRecord, chunk_index: int, chunk_digest: ChunkDigest, body: bytes
) -> None:
    """Keep a chunk as an object of its own until its part is whole."""
    services.object_store.put(record.staged_chunk_key(chunk_index, chunk_digest), body, crc32c=chunk_digest.crc32c)


def part_crc(record: UploadRecord, part_number: int, chunk_digests: Mapping[int, ChunkDigest]) -> int | None:
    """The CRC32C of a part made of claimed chunks; None unless every one is claimed."""
    grid = record.layout
    indexes = grid.chunks_in_part(part_number)
    if any(index not in chunk_digests for index in indexes):
        return None
    return combine_crc32c_all((chunk_digests[index].crc32c, grid.chunk_length(index)) for index in indexes)


def assemble_part(
    services: Services,
    record: UploadRecord,
    part_number: int,
    chunk_digests: Mapping[int, ChunkDigest],
    available_bodies: Mapping[int, bytes],
) -> AssemblyResult:
    """Make a part of its chunks: those at hand, and the others' stages.

    S3 is told the CRC32C that follows from the claims, and refuses a part that does not have it.

    Args:
        engine: the backends.
        session: the upload, open at S3.
        number: the part, from 1.
        claims: by chunk index; every chunk of the part must be claimed.
        have: bodies at hand, by chunk index.

    Raises:
        NoSuchMultipart: the upload is not open at S3 any more.
    """
    crc = part_crc(record, part_number, chunk_digests)
    if crc is None or record.multipart_id is None:
        raise ValueError("only a part whose chunks are all claimed can be assembled")
    indexes = record.layout.chunks_in_part(part_number)
    bodies: dict[int, bytes | None] = {**available_bodies}
    wanted = [index for index in indexes if index not in available_bodies]
    keys = [record.staged_chunk_key(index, chunk_digests[index]) for index in wanted]
    if len(keys) > 1:
        with ThreadPoolExecutor(min(FETCH_CONCURRENCY, len(keys))) as pool:
            bodies.update(zip(wanted, pool.map(services.object_store.get, keys), strict=True))
    elif keys:
        bodies[wanted[0]] = services.object_store.get(keys[0])
    pieces: list[bytes] = []
    absent: list[int] = []
    for index in indexes:
        piece = bodies[index]
        if piece is None:
            absent.append(index)
        else:
            pieces.append(piece)
    if absent:
        return AssemblyResult(None, tuple(absent))
    body = b"".join(pieces)
    return AssemblyResult(
        services.object_store.upload_part(record.object_key, record.multipart_id, part_number, body, crc32c=crc)
    )
