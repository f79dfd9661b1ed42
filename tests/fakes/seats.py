"""Who waits, in memory."""

from __future__ import annotations

import itertools


class MemorySeats:
    """A `ferry.outbound.Seats`; `taken` has each seat with the time at which it lapses."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.taken: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def take(self, *, until: int, now: int) -> int | None:
        self.taken = {seat: lapses for seat, lapses in self.taken.items() if lapses >= now}
        if len(self.taken) >= self.most:
            return None
        seat = next(self._numbers)
        self.taken[seat] = until
        return seat

    def leave(self, seat: int) -> None:
        self.taken.pop(seat, None)
