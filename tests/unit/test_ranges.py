"""Byte ranges by RFC 9110 section 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.rules.ranges import Ignored, RangeResult, Satisfiable, Unsatisfiable, parse_range

HUGE = "9" * 9_000

CASES: list[tuple[str, str | None, int, tuple[int, int] | type]] = [
    ("14.2", None, 10, Ignored),
    ("14.1.2", "bytes=0-0", 10, (0, 0)),
    ("14.1.2", "bytes=0-9", 10, (0, 9)),
    ("14.1.2", "bytes=0-10", 10, (0, 9)),
    ("14.1.2", "bytes=9-9", 10, (9, 9)),
    ("14.1.2", "bytes=3-6", 10, (3, 6)),
    ("14.1.2", "bytes=3-", 10, (3, 9)),
    ("14.1.2", "bytes=0-", 10, (0, 9)),
    ("14.1.2", "bytes=-1", 10, (9, 9)),
    ("14.1.2", "bytes=-10", 10, (0, 9)),
    ("14.1.2", "bytes=-11", 10, (0, 9)),
    ("14.1.2", "bytes=007-08", 10, (7, 8)),
    ("14.1.2", "bytes=-003", 10, (7, 9)),
    ("14.1.2", f"bytes=0-{HUGE}", 10, (0, 9)),
    ("14.1.2", f"bytes=-{HUGE}", 10, (0, 9)),
    ("14.1.2", "bytes=4-" + "0" * 5_000 + "5", 10, (4, 5)),
    ("14.1", "BYTES=1-2", 10, (1, 2)),
    ("5.6.1.2", "bytes=,1-2", 10, (1, 2)),
    ("5.6.1.2", "bytes=1-2 ,\t", 10, (1, 2)),
    ("5.5", " bytes=1-2 ", 10, (1, 2)),
    ("15.5.17", "bytes=10-", 10, Unsatisfiable),
    ("15.5.17", "bytes=10-10", 10, Unsatisfiable),
    ("15.5.17", "bytes=11-12", 10, Unsatisfiable),
    ("15.5.17", f"bytes={HUGE}-", 10, Unsatisfiable),
    ("15.5.17", f"bytes={HUGE}-{HUGE}", 10, Unsatisfiable),
    ("14.1.2", "bytes=-0", 10, Unsatisfiable),
    ("14.1.2", "bytes=-000", 10, Unsatisfiable),
    ("14.1.2", "bytes=0-", 0, Unsatisfiable),
    ("14.1.2", "bytes=0-0", 0, Unsatisfiable),
    ("14.1.2", "bytes=-0", 0, Unsatisfiable),
    ("14.1.2", "bytes=-5", 0, Ignored),
    ("14.1.1", "bytes=6-3", 10, Ignored),
    ("14.1.1", f"bytes={HUGE}-5", 10, Ignored),
    ("14.1.1", f"bytes=1{HUGE}-{HUGE}", 10, Ignored),
    ("14.1.1", "bytes=", 10, Ignored),
    ("14.1.1", "bytes=,", 10, Ignored),
    ("14.1.1", "bytes=-", 10, Ignored),
    ("14.1.1", "bytes=--1", 10, Ignored),
    ("14.1.1", "bytes=1", 10, Ignored),
    ("14.1.1", "bytes=1-2-3", 10, Ignored),
    ("14.1.1", "bytes=a-b", 10, Ignored),
    ("14.1.1", "bytes=+1-2", 10, Ignored),
    ("14.1.1", "bytes=1_0-2_0", 30, Ignored),
    ("14.1.1", "bytes=1 - 2", 10, Ignored),
    ("14.1.1", "bytes = 1-2", 10, Ignored),
    ("14.1.1", "bytes=0x1-0x2", 10, Ignored),
    ("14.1.1", "bytes=\u0661-\u0662", 10, Ignored),
    ("14.1.1", "bytes=1-2\n", 10, Ignored),
    ("14.1.1", "bytes 1-2", 10, Ignored),
    ("14.1.1", "", 10, Ignored),
    ("14.2", "seconds=1-2", 10, Ignored),
    ("14.2", "bytes=0-1,3-4", 10, Ignored),
    ("14.2", "bytes=0-1,bytes=3-4", 10, Ignored),
    ("14.2", "bytes=20-30,40-50", 10, Ignored),
]
"""Section, header, file size, and the result: first and last position, or the class of the result."""


@pytest.mark.parametrize(
    ("section", "header", "size", "expected"), CASES, ids=[f"{i}-{row[0]}" for i, row in enumerate(CASES)]
)
def test_parse_range_cases_match_rfc(
    section: str, header: str | None, size: int, expected: tuple[int, int] | type
) -> None:
    """Each case has the result that the section of RFC 9110 requires."""
    found = parse_range(header, size)
    if isinstance(expected, tuple):
        assert found == Satisfiable(*expected, size)
    else:
        assert isinstance(found, expected)


def test_content_range_satisfiable_range_formatted() -> None:
    """Content-Range has the unit, the positions and the complete length (section 14.4)."""
    part = Satisfiable(2, 4, 10)
    assert part.content_range == "bytes 2-4/10"
    assert part.length == 3


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_parse_range_any_positions_match_slice(first: int, last: int, size: int) -> None:
    """first-last names the bytes of Python's slice, and is unsatisfiable if the slice is empty."""
    body = bytes(range(size))
    result = parse_range(f"bytes={first}-{last}", size)
    if last < first:
        assert isinstance(result, Ignored)
    else:
        assert _slice_of(result, body) == body[first : last + 1]


@given(st.integers(1, 60), st.integers(1, 50))
def test_parse_range_suffix_matches_slice(length: int, size: int) -> None:
    """-length names the last bytes, or all of a shorter file."""
    body = bytes(range(size))
    assert _slice_of(parse_range(f"bytes=-{length}", size), body) == body[-length:]


@given(st.text(max_size=40), st.integers(0, 100))
def test_parse_range_any_text_never_raises(value: str, size: int) -> None:
    """Any text has a result, and a satisfiable range lies within the file."""
    for header in (value, "bytes=" + value):
        result = parse_range(header, size)
        if isinstance(result, Satisfiable):
            assert 0 <= result.first <= result.last < size


def _slice_of(result: RangeResult, body: bytes) -> bytes:
    return body[result.first : result.last + 1] if isinstance(result, Satisfiable) else b""
