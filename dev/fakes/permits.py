"""Permits for long polls in memory."""

from __future__ import annotations

import itertools

from ferry.rules.permit_shares import permit_tiers


class MemoryPermitPool:
    """A `PermitPool`."""

    def __init__(self, max_permits: int = 100) -> None:
        self.max_permits = max_permits
        self.held: dict[tuple[str, int], int] = {}
        """When each held permit expires, in epoch milliseconds, by namespace and number."""
        self._numbers = itertools.count(1)

    def acquire(self, ns: str, *, expires_at: int, now: int) -> int | None:
        self.held = {permit: expiry for permit, expiry in self.held.items() if expiry >= now}
        own = sum(holder == ns for holder, _ in self.held)
        if not any(len(self.held) <= tier.max_held and own <= tier.max_own for tier in permit_tiers(self.max_permits)):
            return None
        number = next(self._numbers)
        self.held[ns, number] = expires_at
        return number

    def release(self, ns: str, permit: int) -> None:
        self.held.pop((ns, permit), None)
