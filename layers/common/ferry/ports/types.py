"""Types that several ports share. Every `…_at`, `now` and `deadline` is epoch milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Clock = Callable[[], int]
"""Returns the current time in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing."""

    items: Sequence[T]
    """The items; may be empty although more pages follow."""

    cursor: str | None = None
    """Opaque text that gets the next page; None: this is the last page."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Consecutive items of an ordered set of rows, as one read returns them."""

    items: Sequence[T]
    """The items in order; at least one if `has_more`."""

    has_more: bool
    """Whether items may follow the last one; False: none does."""
