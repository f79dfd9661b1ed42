"""The rows of chunk digests: their attributes, and the writes that store and replace a digest (docs/decisions/0001).

The row of a part has an attribute `d<chunk index>` for each chunk: 16 bytes of SHA-256, four of CRC32C, and four of the
time in epoch seconds. `r<chunk index>` is the first such value of a chunk whose digest was replaced. `presigned` is
there if the part was presigned while it lacked one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.aws import metadata_rows as rows
from ferry.aws.expressions import Row, Write, update
from ferry.model.uploads import ChunkDigest
from ferry.rules.durations import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from ferry.model.progress import ProgressShard

ROW_TTL_SECONDS = 30 * DAY_MS // SECOND_MS
"""TTL of progress shards and chunk digests, which cleanup deletes earlier. Longer than any upload may last."""

_DIGEST_PREFIX = "d"
_REPLACED_PREFIX = "r"
_PRESIGNED = "presigned"
_SHA256_BYTES = 16
_CRC_END = 20


def digest_name(chunk_index: int) -> str:
    """Return the attribute that holds the digest of a chunk in the row of its part."""
    return f"{_DIGEST_PREFIX}{chunk_index}"


def digest_to_bytes(chunk_digest: ChunkDigest) -> bytes:
    """Return the value of a digest's attribute. It has no time if that is unknown, as in rows of version 1."""
    stored_at = chunk_digest.stored_at
    seconds = b"" if stored_at is None else (stored_at // SECOND_MS).to_bytes(4, "big")
    return chunk_digest.sha256_prefix + chunk_digest.crc32c.to_bytes(4, "big") + seconds


def digests_from_row(row: Row) -> dict[int, ChunkDigest]:
    """Return the digests of a part's chunks, by chunk index."""
    return {
        int(name.removeprefix(_DIGEST_PREFIX)): _digest_from_bytes(
            value, row.get(_REPLACED_PREFIX + name.removeprefix(_DIGEST_PREFIX)), is_part_presigned=_PRESIGNED in row
        )
        for name, value in row.items()
        if name.startswith(_DIGEST_PREFIX) and isinstance(value, bytes)
    }


def _digest_from_bytes(value: bytes, replaced: bytes | None = None, *, is_part_presigned: bool = False) -> ChunkDigest:
    seconds = value[_CRC_END:]
    return ChunkDigest(
        value[:_SHA256_BYTES],
        int.from_bytes(value[_SHA256_BYTES:_CRC_END], "big"),
        stored_at=int.from_bytes(seconds, "big") * SECOND_MS if seconds else None,
        replaced=_digest_from_bytes(replaced) if replaced else None,
        is_part_presigned=is_part_presigned,
    )


def put_digest(upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest) -> Write:
    """Return the write that stores the digest of a chunk which has none."""
    name = digest_name(chunk_index)
    return update(
        rows.chunk_digest_key(upload_id, part_number),
        {name: digest_to_bytes(chunk_digest)},
        extra_sets=["#ttl = if_not_exists(#ttl, :ttl)"],
        condition=f"attribute_not_exists(#{name})",
        values={"ttl": (chunk_digest.stored_at or 0) // SECOND_MS + ROW_TTL_SECONDS},
    )


def mark_presigned(upload_id: str, part_number: int, now: int) -> Write:
    """Return the write that records that a part is presigned. It may come before the first digest of the part."""
    return update(
        rows.chunk_digest_key(upload_id, part_number),
        {_PRESIGNED: True},
        extra_sets=["#ttl = if_not_exists(#ttl, :ttl)"],
        condition="",
        values={"ttl": now // SECOND_MS + ROW_TTL_SECONDS},
    )


def replace_digest(
    upload_id: str, part_number: int, chunk_index: int, expected: ChunkDigest, chunk_digest: ChunkDigest
) -> Write:
    """Return the write that replaces a digest. The first one stays, as `r<chunk index>`."""
    name, replaced_name = digest_name(chunk_index), f"{_REPLACED_PREFIX}{chunk_index}"
    return update(
        rows.chunk_digest_key(upload_id, part_number),
        {name: digest_to_bytes(chunk_digest)},
        extra_sets=[f"#{replaced_name} = if_not_exists(#{replaced_name}, :expected)"],
        condition=f"#{name} = :expected",
        values={"expected": digest_to_bytes(expected)},
    )


def fence_shard(upload_id: str, expected: ProgressShard, bit: int, now: int) -> Write:
    """Return the write that raises the epoch of a shard, so that no request that read it before records the chunk.

    Closing the upload does the same. The write fails if the chunk is recorded.
    """
    return update(
        rows.shard_key(upload_id, expected.index),
        {"has_replaced_digests": True, "last_activity_at": now},
        adds={"epoch": 2, "version": 1},
        condition=(
            "attribute_exists(#open) AND #epoch = :epoch "
            "AND NOT contains(#recent_bits, :bit) AND NOT contains(#previous_bits, :bit)"
        ),
        values={"epoch": expected.epoch, "bit": bit},
    )
