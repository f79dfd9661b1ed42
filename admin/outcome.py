"""What a subcommand has to say, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` is what `--json` prints, `lines` what a person reads, `note` what stderr tells beside either."""

    data: object
    lines: Sequence[str]
    note: str = ""


def moment(epoch_ms: int) -> str | None:
    """As RFC 3339 in UTC; None where nobody noted it."""
    if not epoch_ms:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what is in them."""
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows))
    return [line.rstrip() for line in padded]
