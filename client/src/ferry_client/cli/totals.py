"""What is done of all files of a run, and how fast."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 15.0
"""Time over which the rate is measured."""

_SAMPLE_SECONDS = 0.25
"""Shortest time between two samples of it."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that is transferred now."""

    done_bytes: int
    """Durable bytes."""
    total_bytes: int
    """Bytes of the file; 0 while they are unknown."""
    resumed_bytes: int
    """Bytes that an earlier run had transferred."""


class TransferTotals:
    """The sums over all files of a run. Thread-safe.

    The rate is of bytes, or of files where no file has a size. What an earlier run transferred does not count for it.
    """

    def __init__(self, file_count: int, total_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._files: dict[str, FileState] = {}
        self._done_of_ended = 0
        self._resumed_of_ended = 0
        self._started_at = now()
        self._samples: deque[tuple[float, float]] = deque([(self._started_at, 0.0)])
        self.file_count = file_count
        """Files of the run."""
        self.total_bytes = total_bytes
        """Bytes of these files, without those of files that failed; 0 if their sizes are unknown."""
        self.ended_files = 0
        """Files that are done or failed."""
        self.done_files = 0
        """Files that are done."""

    @property
    def counts_bytes(self) -> bool:
        """Whether the rate is of bytes."""
        return self.total_bytes > 0 or self.file_count == 1

    @property
    def done_bytes(self) -> int:
        """Durable bytes, those of earlier runs included."""
        with self._lock:
            return self._done_of_ended + sum(file.done_bytes for file in self._files.values())

    @property
    def transferred_bytes(self) -> int:
        """Durable bytes that this run transferred."""
        with self._lock:
            return self._transferred()

    @property
    def elapsed_seconds(self) -> float:
        """Time since the start."""
        return self._now() - self._started_at

    def update(self, name: str, done_bytes: int, total_bytes: int) -> FileState:
        """Record the durable bytes of a file, and return its state. The first report is what an earlier run did."""
        with self._lock:
            earlier = self._files.get(name)
            resumed = done_bytes if earlier is None else min(earlier.resumed_bytes, done_bytes)
            self._files[name] = file = FileState(done_bytes, total_bytes, resumed)
            self._sample()
        return file

    def end(self, name: str, size_bytes: int, *, is_done: bool) -> None:
        """Record the end of a file. What was not transferred of one that is done was there before."""
        with self._lock:
            self.ended_files += 1
            file = self._files.pop(name, FileState(0, 0, 0))
            if is_done:
                self.done_files += 1
                done = max(size_bytes, file.done_bytes)
                self._done_of_ended += done
                self._resumed_of_ended += done - (file.done_bytes - file.resumed_bytes)
            else:
                self.total_bytes = max(0, self.total_bytes - size_bytes)
            self._sample()

    def rate(self) -> float:
        """Return bytes a second, or files where no file has a size."""
        with self._lock:
            first_at, first = self._samples[0]
            elapsed = self._now() - first_at
            return max(0.0, self._progress() - first) / elapsed if elapsed > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Return the time left over all files; None while it is unknown."""
        rate = self.rate()
        left = self.total_bytes - self.done_bytes if self.total_bytes else self.file_count - self.ended_files
        is_unknown = self.total_bytes == 0 and self.file_count == 1
        return None if rate <= 0 or is_unknown else max(0, left) / rate

    def _progress(self) -> float:
        return self._transferred() if self.counts_bytes else self.ended_files

    def _transferred(self) -> int:
        running = sum(file.done_bytes - file.resumed_bytes for file in self._files.values())
        return self._done_of_ended - self._resumed_of_ended + running

    def _sample(self) -> None:
        now = self._now()
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self._progress()))
        while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW_SECONDS:
            self._samples.popleft()
