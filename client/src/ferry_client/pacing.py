"""How fast bytes move: a limit that the caller sets, and a rate below which a response counts as stalled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MIN_BYTES_PER_SECOND = 100
"""A response that comes more slowly for `ClientOptions.stall_seconds` counts as stalled."""


class RateLimiter:
    """Limits bytes a second over all connections of a client."""

    def __init__(self, bytes_per_second: Callable[[], int | None], sleep: Callable[[float], None] = time.sleep) -> None:
        """Limit to what `bytes_per_second` returns at each moment; None: no limit."""
        self._rate = bytes_per_second
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, size_bytes: int) -> None:
        """Wait until that many bytes may be sent or received."""
        rate = self._rate()
        if not rate:
            return
        with self._lock:
            starts_at = max(self._free_at, time.monotonic())
            self._free_at = starts_at + size_bytes / rate
        wait_seconds = starts_at - time.monotonic()
        if wait_seconds > 0:
            self._sleep(wait_seconds)

    def block_bytes(self, default: int) -> int:
        """Return how many bytes to take at once, so that a low limit flows evenly."""
        rate = self._rate()
        return default if not rate else max(1024, min(default, rate // 4))


class StallWatch:
    """Notices a response that trickles. A silent connection is noticed by the time-out of its socket."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._since = time.monotonic()
        self._bytes = 0

    def count(self, size_bytes: int) -> None:
        """Count bytes. Raises `TimeoutError` if fewer than `MIN_BYTES_PER_SECOND` came for `stall_seconds`."""
        self._bytes += size_bytes
        if self._bytes >= self._stall_seconds * MIN_BYTES_PER_SECOND:
            self._since, self._bytes = time.monotonic(), 0
        elif time.monotonic() - self._since > self._stall_seconds:
            raise TimeoutError
