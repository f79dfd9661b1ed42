"""Values that several ports share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


Clock = Callable[[], int]
"""Now, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, and where to go on (None: that was all). A cursor is opaque, and made of text."""

    items: Sequence[T]
    cursor: str | None = None
