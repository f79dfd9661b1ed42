"""How the ledger in memory orders what it lists, and what it demands of what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dev.fakes.metadata_rows import NameKey
from ferry.aws import cursors
from ferry.model.uploads import ProgressShard, Upload


def require_epoch_seconds(value: int) -> int:
    if value > 10**11:
        raise ValueError("a ttl is in epoch seconds, this looks like milliseconds")
    return value


def names_after(rows: Mapping[NameKey, object], ns: str, after: str) -> list[str]:
    names = [name for found, name in rows if found == ns]
    return sorted((name for name in names if name.encode() > after.encode()), key=str.encode)


def name_from_cursor(cursor: str | None, listing: tuple[str, ...], prefix: str = "") -> str:
    if cursor is None:
        return ""
    (after,) = cursors.decode(cursor, listing, "s")
    if not after or not str(after).startswith(prefix):
        raise cursors.invalid_cursor()
    return str(after)


def match_lost_chunks(
    rows: list[ProgressShard], upload: Upload, lost_chunks: Iterable[int]
) -> list[tuple[ProgressShard, ProgressShard, list[int]]]:
    """Each stripe as it is, as it was seen, and the chunks in it that are to be forgotten and were counted."""
    lost: dict[int, list[int]] = {}
    for index in sorted(set(lost_chunks)):
        if upload.has_chunk(index):
            lost.setdefault(upload.shard_for_chunk(index).index, []).append(index)
    return [(row, seen, lost.get(row.index, [])) for row, seen in zip(rows, upload.shards, strict=True)]
