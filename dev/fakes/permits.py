"""Permits for long polls in memory."""

from __future__ import annotations

import itertools


class MemoryPermitPool:
    """A `PermitPool`."""

    def __init__(self, max_permits: int = 100) -> None:
        self.max_permits = max_permits
        self.held: dict[int, int] = {}
        """When each held permit expires, in epoch milliseconds."""
        self._numbers = itertools.count(1)

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        self.held = {permit: expiry for permit, expiry in self.held.items() if expiry >= now}
        if len(self.held) >= self.max_permits:
            return None
        permit = next(self._numbers)
        self.held[permit] = expires_at
        return permit

    def release(self, permit: int) -> None:
        self.held.pop(permit, None)
