"""What a subcommand has to say, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class CommandResult:
    """`data` is what `--json` prints, `lines` what a person reads, `note` what stderr tells beside either."""

    data: object
    lines: Sequence[str]
    note: str = ""


def format_time(epoch_ms: int) -> str | None:
    """As RFC 3339 in UTC; None where nobody noted it."""
    if not epoch_ms:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what is in them."""
    widths = [max(len(row[index]) for row in (headers, *rows)) for index in range(len(headers))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headers, *rows))
    return [line.rstrip() for line in padded]
