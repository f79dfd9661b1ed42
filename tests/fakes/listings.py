"""How the ledger in memory orders what it lists, and what it demands of what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ferry.aws import cursors
from ferry.model import Progress, Upload
from tests.fakes.ledger_rows import Name


def epoch_seconds(ttl: int) -> int:
    if ttl > 10**11:
        raise ValueError("a ttl is in epoch seconds, this looks like milliseconds")
    return ttl


def names_after(rows: Mapping[Name, object], ns: str, after: str) -> list[str]:
    names = [name for found, name in rows if found == ns]
    return sorted((name for name in names if name.encode() > after.encode()), key=str.encode)


def name_at(cursor: str | None, listing: tuple[str, ...], prefix: str = "") -> str:
    if cursor is None:
        return ""
    (after,) = cursors.decode(cursor, listing, "s")
    if not after or not str(after).startswith(prefix):
        raise cursors.invalid()
    return str(after)


def forgetting(
    rows: list[Progress], upload: Upload, forget: Iterable[int]
) -> list[tuple[Progress, Progress, list[int]]]:
    """Each stripe as it is, as it was seen, and the chunks in it that are to be forgotten and were counted."""
    lost: dict[int, list[int]] = {}
    for index in sorted(set(forget)):
        if upload.has_chunk(index):
            lost.setdefault(upload.stripe_of(index).stripe, []).append(index)
    return [(row, seen, lost.get(row.stripe, [])) for row, seen in zip(rows, upload.stripes, strict=True)]
