"""Clocks and ids that tests control."""

from __future__ import annotations

import threading

START_MS = 1_790_000_000_000
"""A time in 2026 at which clocks start (epoch milliseconds)."""


class SettableClock:
    """A `Clock` that shows the same time until a test changes it."""

    def __init__(self, now: int = START_MS) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> int:
        """Move the clock forward and return the new time."""
        self.now += milliseconds
        return self.now


class SequentialIds:
    """Predictable ids for `Services.new_id`: 32 hexadecimal digits, in ascending order."""

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            number, self._next = self._next, self._next + 1
        return f"{number:032x}"
