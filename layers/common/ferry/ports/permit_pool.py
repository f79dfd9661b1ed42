"""Permits for long polls."""

from __future__ import annotations

from typing import Protocol


class PermitPool(Protocol):
    """Places for calls that wait, over all copies of a function: only so many are given out at once."""

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        """A seat that lapses after `until`, or None where all are taken; one call, three where some have lapsed."""
        ...

    def release(self, permit: int) -> None:
        """One call. Idempotent."""
        ...
