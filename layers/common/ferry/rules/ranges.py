"""Byte ranges by RFC 9110 section 14. Positions count from 0; sections in this module are those of RFC 9110."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPECIFIER = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
"""A `ranges-specifier` of section 14.1 with the unit "bytes", whose case does not matter."""

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_WHITE_SPACE = " \t"

_MAX_DIGITS = 25
"""A position with more digits is beyond every file. `int` rejects very long numbers, which RFC 9110 allows."""


@dataclass(frozen=True, slots=True)
class Satisfiable:
    """A single range within the file."""

    first: int
    """First position."""

    last: int
    """Last position, inclusive."""

    size: int
    """Size of the whole file."""

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        """Return the Content-Range of a 206 response (section 14.4)."""
        return f"bytes {self.first}-{self.last}/{self.size}"


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A valid range without a byte of the file: the response is 416 (section 15.5.17)."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """No range, an invalid one, another unit, or several ranges: the response is the whole file (section 14.2)."""


RangeResult = Satisfiable | Unsatisfiable | Ignored


def parse_range(value: str | None, size: int) -> RangeResult:
    """Return the range that a Range header requests of a file of `size` bytes. None: no header was sent."""
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
    """Return the range of `first-last` or `first-`, given without leading zeros (section 14.1.2)."""
    if last is not None and (len(last), last) < (len(first), first):
        return Ignored()
    start = _to_bounded_int(first)
    if start >= size:
        return Unsatisfiable()
    return Satisfiable(start, size - 1 if last is None else min(_to_bounded_int(last), size - 1), size)


def _suffix(length: str, size: int) -> RangeResult:
    """Return the range of `-length`: the last bytes, or all if the file is shorter (section 14.1.2).

    A suffix of an empty file is satisfiable and has no byte. Content-Range cannot express that, so the response is the
    whole file.
    """
    count = _to_bounded_int(length)
    if not count:
        return Unsatisfiable()
    if not size:
        return Ignored()
    return Satisfiable(max(0, size - count), size - 1, size)


def _to_bounded_int(digits: str) -> int:
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
