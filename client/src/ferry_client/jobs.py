"""How many requests transfer bytes at once: more while the rate grows, fewer where they bring nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ferry_client.options import MIB, min_jobs
from ferry_client.workers import TransferLimit

WINDOW_SECONDS = 2.0
"""Time over which a rate is measured."""

FAST_WINDOW_SECONDS = 0.5
"""Time that is enough on a line that carries `FAST_WINDOW_BYTES` within it, so that the jobs grow at once."""

FAST_WINDOW_BYTES = 4 * MIB
"""Bytes of such a window."""

HOLD_WINDOWS = 10
"""Windows after which another number of jobs is tried again."""

_MIN_GAIN = 1.2
"""A step upwards stays if it brings at least this factor."""

_MAX_LOSS = 0.95
"""A step downwards stays if at least this factor remains."""


class JobTuner:
    """Adapts a `TransferLimit` to the measured rate. Thread-safe."""

    def __init__(self, limit: TransferLimit, max_jobs: int, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._max_jobs = max_jobs
        self._now = now
        self._lock = threading.Lock()
        self._window_started_at: float | None = None
        self._bytes = 0
        self._base: tuple[int, float] | None = None
        """Jobs and rate before the step that is being tried; None: no step is being tried."""
        self._direction = 1
        self._windows_held = HOLD_WINDOWS - 2
        """Windows without a step. The first one has the first requests and their waits: no step is compared with it."""
        self._best_rate = 0.0
        """Highest rate of these windows: more jobs must exceed it, not only the rate of a weak moment."""
        self._is_broken = False
        """Whether a connection broke in this window."""
        self._skipped = False
        """Whether the last window was not used because a connection broke."""

    def record_break(self) -> None:
        """Count a connection that broke: the rate of this window is not used."""
        with self._lock:
            self._is_broken = True

    def record(self, size_bytes: int) -> None:
        """Count bytes that moved in either direction."""
        with self._lock:
            now = self._now()
            if self._window_started_at is None:
                self._window_started_at = now
                return
            self._bytes += size_bytes
            elapsed = now - self._window_started_at
            is_fast = elapsed >= FAST_WINDOW_SECONDS and self._bytes >= FAST_WINDOW_BYTES
            if elapsed < WINDOW_SECONDS and not is_fast:
                return
            rate, self._bytes, self._window_started_at = self._bytes / elapsed, 0, now
            # On a line that breaks in every window, every second one counts.
            self._skipped, self._is_broken = self._is_broken and not self._skipped, False
            if elapsed < 3 * WINDOW_SECONDS and not self._skipped:  # A longer one contains a pause.
                self._decide(rate)

    def _decide(self, rate: float) -> None:
        """Keep or undo the step that is being tried by the rate of a window, or begin one."""
        jobs = self._limit.limit
        if self._base is None:
            self._windows_held += 1
            self._best_rate = max(self._best_rate, rate)
            if self._windows_held >= HOLD_WINDOWS:
                self._step(jobs, self._best_rate if self._direction > 0 else rate)
            return
        base_jobs, base_rate = self._base
        is_better = rate >= base_rate * (_MIN_GAIN if jobs > base_jobs else _MAX_LOSS)
        if is_better:
            self._step(jobs, rate)
        else:
            self._limit.set_limit(base_jobs)
            self._direction = -self._direction
            self._base, self._windows_held, self._best_rate = None, 0, 0.0

    def _step(self, jobs: int, rate: float) -> None:
        """Try one step in the current direction, or turn at a bound.

        A step upwards is so large that its gain stands out from the noise of the line.
        """
        step = max(1, jobs // 2) if self._direction > 0 else -max(1, jobs // 4)
        target = min(self._max_jobs, max(min_jobs(rate), jobs + step))
        if target == jobs:
            self._direction = -self._direction
            self._base, self._best_rate = None, 0.0
            return
        self._base = jobs, rate
        self._limit.set_limit(target)
