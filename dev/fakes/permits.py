"""Who waits, in memory."""

from __future__ import annotations

import itertools


class MemoryPermitPool:
    """A `ferry.outbound.Seats`; `taken` has each seat with the time at which it lapses."""

    def __init__(self, max_permits: int = 100) -> None:
        self.max_permits = max_permits
        self.held: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        self.held = {seat: lapses for seat, lapses in self.held.items() if lapses >= now}
        if len(self.held) >= self.max_permits:
            return None
        seat = next(self._numbers)
        self.held[seat] = expires_at
        return seat

    def release(self, permit: int) -> None:
        self.held.pop(permit, None)
