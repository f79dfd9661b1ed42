"""Listings of names in memory, and checks of arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dev.fakes.metadata_rows import NameKey
from ferry.model.progress import ProgressShard
from ferry.model.uploads import Upload

_MAX_EPOCH_SECONDS = 10**11
"""A larger value is in milliseconds."""


def require_epoch_seconds(value: int) -> int:
    """Return the value, or raise `ValueError` if it is in milliseconds."""
    if value > _MAX_EPOCH_SECONDS:
        raise ValueError("a TTL is in epoch seconds; this value is in milliseconds")
    return value


def names_from(rows: Mapping[NameKey, object], ns: str, prefix: str, start: str) -> list[str]:
    """Return the namespace's names with a prefix that are not in front of `start`, ordered by their UTF-8 bytes."""
    names = [name for row_ns, name in rows if row_ns == ns and name.startswith(prefix)]
    return sorted((name for name in names if name.encode() >= start.encode()), key=str.encode)


def match_lost_chunks(
    stored_shards: list[ProgressShard], upload: Upload, lost_chunks: Iterable[int]
) -> list[tuple[ProgressShard, ProgressShard, list[int]]]:
    """Return each shard as stored, as read, and the indexes of its recorded chunks that are lost."""
    lost_by_shard: dict[int, list[int]] = {}
    for chunk_index in sorted(set(lost_chunks)):
        if upload.has_chunk(chunk_index):
            lost_by_shard.setdefault(upload.shard_for_chunk(chunk_index).index, []).append(chunk_index)
    return [
        (stored, read, lost_by_shard.get(stored.index, []))
        for stored, read in zip(stored_shards, upload.shards, strict=True)
    ]
