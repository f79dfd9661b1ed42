"""Permits for long polls."""

from __future__ import annotations

from typing import Protocol


class PermitPool(Protocol):
    """A fixed number of permits, shared by all instances of a function."""

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        """Return a permit, or None if all are held.

        A permit that is not released becomes free after `expires_at` (epoch milliseconds). One call; three when
        expired permits have to be removed first.
        """
        ...

    def release(self, permit: int) -> None:
        """Release a permit. Idempotent."""
        ...
