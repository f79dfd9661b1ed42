"""How results are printed."""

from __future__ import annotations

import pytest

from admin.result import format_pairs, format_size, format_table, format_time


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (2**30, "1 GiB"), (5 * 2**50, "5120 TiB")],
)
def test_size_has_largest_fitting_unit(size_bytes: int, expected: str) -> None:
    """A size is shown in the largest unit that leaves at least 1."""
    assert format_size(size_bytes) == expected


def test_table_columns_are_aligned() -> None:
    """Every column starts at the same place in each line, and no line ends with spaces."""
    lines = format_table(("A", "LONG HEADER"), [("a longer cell", "x"), ("y", "")])
    assert lines == ["A              LONG HEADER", "a longer cell  x", "y"]


def test_pairs_are_aligned_and_show_missing_values() -> None:
    """Values start in one column; None is shown as a hyphen."""
    assert format_pairs([("a", 1), ("long", None)]) == ["a     1", "long  -"]


def test_time_is_utc_or_unknown() -> None:
    """A time is RFC 3339 in UTC; 0 means unknown."""
    assert format_time(1_795_000_000_000) == "2026-11-18T11:06:40Z"
    assert format_time(0) is None
