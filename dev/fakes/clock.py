"""Time and ids that a test sets."""

from __future__ import annotations

import threading

START = 1_790_000_000_000
"""A time in 2026, in epoch milliseconds, for clocks to begin at."""


class SettableClock:
    """A `ferry.ports.types.Clock` that stands still until it is moved. Epoch milliseconds."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> int:
        """Move on, and return the new time."""
        self.now += milliseconds
        return self.now


class SequentialIds:
    """Ids of 32 hexadecimal digits, in order, each once: what `Engine.new_id` makes, but foreseeable."""

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            number, self._next = self._next, self._next + 1
        return f"{number:032x}"
