"""The result of a subcommand, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a subcommand."""

    data: object
    """What `--output json` prints on stdout. Members are added, never renamed or removed."""
    lines: Sequence[str]
    """What `--output table` prints on stdout."""
    note: str = ""
    """What stderr shows in addition: what to do next. Never a secret."""


@dataclass(slots=True)
class StreamedResult:
    """A result that is printed while it is read, the same in both formats."""

    lines: Iterator[str]
    """The lines of stdout."""
    note: str = ""
    """What stderr shows in addition. May be set until the last line was read."""


def format_time(epoch_ms: int) -> str | None:
    """Return the time as RFC 3339 in UTC, or None for 0, which means unknown."""
    if not epoch_ms:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def format_size(size_bytes: int) -> str:
    """Return the size with the largest unit that leaves at least 1, rounded to one digit: `1.5 GiB`."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, each column as wide as its widest cell."""
    widths = [max(len(row[index]) for row in (headers, *rows)) for index in range(len(headers))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headers, *rows))
    return [line.rstrip() for line in padded]


def format_pairs(pairs: Sequence[tuple[str, object]]) -> list[str]:
    """Return one line for each name and value, the values aligned; `-` for None."""
    width = max(len(name) for name, _ in pairs)
    return [f"{name.ljust(width)}  {'-' if value is None else value}" for name, value in pairs]
