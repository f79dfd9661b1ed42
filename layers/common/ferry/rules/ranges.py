"""What a Range header asks of a file: byte ranges by RFC 9110 section 14. Pure; positions are bytes, from 0."""

from __future__ import annotations

import re
from dataclasses import dataclass

# ranges-specifier of section 14.1 for the unit "bytes" (units have no case), positions in a list of section 5.6.1.
_SPECIFIER = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_WHITE_SPACE = " \t"

# Numbers are as long as a client likes, int() is not: whatever has more digits lies beyond every file.
_MAX_DIGITS = 25


@dataclass(frozen=True, slots=True)
class Satisfiable:
    """One range that the file has: from `first` to `last`, both inclusive."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        """The value of Content-Range in a 206 (section 14.4)."""
        return f"bytes {self.first}-{self.last}/{self.size}"


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A well-formed range of which the file has no byte (section 15.5.17)."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """No range, a malformed one, another unit, or several: answered with the whole file (section 14.2 allows it)."""


RangeResult = Satisfiable | Unsatisfiable | Ignored


def parse_range(value: str | None, size: int) -> RangeResult:
    """What a Range header's `value` (None: there is none) asks of a file of `size` bytes."""
    specifier = _SPECIFIER.fullmatch(value.strip(_WHITE_SPACE)) if value is not None else None
    if specifier is None:
        return Ignored()
    specs = [spec for spec in (item.strip(_WHITE_SPACE) for item in specifier[1].split(",")) if spec]
    spec = _SPEC.fullmatch(specs[0]) if len(specs) == 1 else None
    if spec is None:
        return Ignored()
    first, last = spec[1].lstrip("0"), spec[2].lstrip("0")
    if spec[1]:
        return _from_first(first, last if spec[2] else None, size)
    return _suffix(last, size) if spec[2] else Ignored()


def _from_first(first: str, last: str | None, size: int) -> RangeResult:
    """`first-last` and `first-`, their leading zeros gone (section 14.1.2)."""
    if last is not None and (len(last), last) < (len(first), first):
        return Ignored()
    start = _to_bounded_int(first)
    if start >= size:
        return Unsatisfiable()
    return Satisfiable(start, size - 1 if last is None else min(_to_bounded_int(last), size - 1), size)


def _suffix(length: str, size: int) -> RangeResult:
    """`-length` (section 14.1.2): the last bytes, all of them when the file is shorter.

    Of an empty file every suffix but the empty one is satisfiable, with no byte; as no Content-Range can say that, it
    is answered whole.
    """
    count = _to_bounded_int(length)
    if not count:
        return Unsatisfiable()
    if not size:
        return Ignored()
    return Satisfiable(max(0, size - count), size - 1, size)


def _to_bounded_int(digits: str) -> int:
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
