"""Permits for long polls."""

from __future__ import annotations

from typing import Protocol


class PermitPool(Protocol):
    """A fixed number of permits, shared by all instances of a function and by all namespaces."""

    def acquire(self, ns: str, *, expires_at: int, now: int) -> int | None:
        """Return a permit, or None if the namespace gets none now (`ferry.rules.permit_shares`).

        A permit that is not released becomes free after `expires_at` (epoch milliseconds). One call; three when
        expired permits have to be removed first.
        """
        ...

    def release(self, ns: str, permit: int) -> None:
        """Release a permit of the namespace. Idempotent."""
        ...
