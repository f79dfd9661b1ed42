"""What is known of the line to a service: its rate, and how often it breaks. It decides the sizes of requests.

A slow line, or one that breaks often, gets small chunks, so that a break loses little. The figures of the last transfer
are kept in the state folder, so that the next one starts with them.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from contextlib import suppress
from pathlib import Path

from ferry_client.atomic_files import write_atomically
from ferry_client.options import (
    DIRECT_MIN_BYTES_PER_SECOND,
    KIB,
    MAX_CHUNK_BYTES,
    MIB,
    MIN_CHUNK_BYTES,
    UNKNOWN_BYTES_PER_SECOND,
    min_jobs,
)

FIRST_CHUNK_BYTES = 128 * KIB
"""Bytes of a chunk on an unknown line. A break loses half a chunk of each connection, on average."""

_CHUNK_SECONDS = 0.125
"""A chunk is what the line carries in this time: with `FIRST_JOBS` requests at once, one takes half a second. A change
of address breaks all connections and loses half a chunk of each."""

_PUT_SECONDS = 10.0
"""A file that takes longer goes in chunks, which can be resumed."""

_CHUNKS_BETWEEN_BREAKS = 8
"""Chunks that fit between two breaks of a line."""

PART_PROBE_MIN_BYTES_PER_SECOND = 500_000
"""On a line that carries chunks at this rate, and does not break, one part shows whether S3 takes bytes faster than the
functions of the service do."""

_MIN_MEASURED_BYTES = 512 * KIB
"""Bytes of a transfer whose rate is kept."""

_MIN_BREAKS = 3
"""Breaks of a transfer from which their distance is kept."""


class Line:
    """The line to one service. Thread-safe."""

    def __init__(self, folder: Path | None, url: str) -> None:
        self._path = folder / "lines" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json" if folder else None
        self._lock = threading.Lock()
        self._sent_bytes = 0
        self._breaks = 0
        self._started_at: float | None = None
        self.bytes_per_second: float | None = None
        """The rate of the last measured transfer; None: unknown."""
        self.bytes_between_breaks: float | None = None
        """Bytes between two breaks of a connection, on average; None: it does not break."""
        self._load()

    @property
    def allows_parts(self) -> bool | None:
        """Whether parts of 5 MiB and more suit the line; None: unknown."""
        if self.bytes_between_breaks is not None and self.bytes_between_breaks < 64 * MIB:
            return False
        return None if self.bytes_per_second is None else self.bytes_per_second >= DIRECT_MIN_BYTES_PER_SECOND

    @property
    def suits_one_part(self) -> bool:
        """Whether one part may go straight to S3, to measure the line without the functions of the service."""
        rate = self.bytes_per_second or 0
        is_slow = PART_PROBE_MIN_BYTES_PER_SECOND <= rate < DIRECT_MIN_BYTES_PER_SECOND
        return is_slow and self.bytes_between_breaks is None and not self._breaks

    def chunk_bytes(self, rate_limit: int | None = None) -> int:
        """Return the size of the chunks of the next upload: a power of two from 64 KiB to 4 MiB.

        `rate_limit` is what the caller allows, in bytes a second.
        """
        target_bytes = float(FIRST_CHUNK_BYTES)
        if self.bytes_per_second is not None:
            target_bytes = self.bytes_per_second * _CHUNK_SECONDS
        if rate_limit is not None:
            target_bytes = min(target_bytes, rate_limit * _CHUNK_SECONDS)
        if self.bytes_between_breaks is not None:
            target_bytes = min(target_bytes, self.bytes_between_breaks / _CHUNKS_BETWEEN_BREAKS)
        size = MIN_CHUNK_BYTES
        while size * 2 <= min(target_bytes, MAX_CHUNK_BYTES):
            size *= 2
        return size

    def first_jobs(self) -> int:
        """Return how many requests to begin with: one on a slow line, where they would only wait for each other."""
        return min_jobs(self.bytes_per_second or UNKNOWN_BYTES_PER_SECOND)

    def put_bytes(self, rate_limit: int | None = None) -> int:
        """Return the largest file that one request sends: what the line carries in 10 s, between two breaks.

        Args:
            rate_limit: the limit in bytes a second; None: no limit.
        """
        by_rate = math.inf if self.bytes_per_second is None else self.bytes_per_second * _PUT_SECONDS
        by_breaks = math.inf if self.bytes_between_breaks is None else self.bytes_between_breaks / 2
        by_limit = math.inf if rate_limit is None else rate_limit * _PUT_SECONDS
        return int(min(by_limit, by_rate, by_breaks, MAX_CHUNK_BYTES))

    def start(self) -> None:
        """Start a measurement."""
        with self._lock:
            self._sent_bytes, self._breaks, self._started_at = 0, 0, time.monotonic()

    def record_sent(self, size_bytes: int) -> None:
        """Count bytes that the service acknowledged."""
        with self._lock:
            self._sent_bytes += size_bytes

    def record_break(self, sent_bytes: int) -> None:
        """Count a connection that broke, if bytes of a request were sent."""
        with self._lock:
            self._breaks += sent_bytes > 0

    def record_part(self, size_bytes: int, seconds: float) -> None:
        """Take over the rate of a part that went straight to S3 alone, if it is that of a line that suits parts."""
        rate = size_bytes / max(1e-3, seconds)
        if rate >= DIRECT_MIN_BYTES_PER_SECOND:
            self.start()
            self.bytes_per_second = rate

    def measure(self) -> float | None:
        """Take over the figures since `start`, and return the rate; None if too few bytes were sent."""
        with self._lock:
            if self._breaks >= _MIN_BREAKS:
                self.bytes_between_breaks = self._sent_bytes / self._breaks
            elif self._sent_bytes > 64 * MIB:
                self.bytes_between_breaks = None
            if self._started_at is None or self._sent_bytes < _MIN_MEASURED_BYTES:
                return None
            self.bytes_per_second = self._sent_bytes / max(1e-3, time.monotonic() - self._started_at)
            return self.bytes_per_second

    def save(self) -> None:
        """Keep the figures for the next run."""
        if self._path is not None:
            figures = {
                "bytes_per_second": self.bytes_per_second,
                "bytes_between_breaks": self.bytes_between_breaks,
            }
            with suppress(OSError):
                write_atomically(self._path, json.dumps(figures).encode(), durable=False)

    def _load(self) -> None:
        if self._path is None:
            return
        with suppress(OSError, ValueError, TypeError, AttributeError):
            figures = json.loads(self._path.read_text())
            self.bytes_per_second = _positive(figures.get("bytes_per_second"))
            self.bytes_between_breaks = _positive(figures.get("bytes_between_breaks"))


def _positive(value: float | None) -> float | None:
    return float(value) if value is not None and value > 0 else None
