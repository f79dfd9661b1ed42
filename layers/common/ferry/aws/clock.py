"""The wall clock."""

from __future__ import annotations

import time


def wall_clock() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000
