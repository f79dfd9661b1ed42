"""Collect the bytes of a range in memory, and write them to the part file in large blocks.

On Linux large blocks go past the page cache (`O_DIRECT`): the system copies them once less, and the `fsync` at the end
of the file finds little to do. Elsewhere, and on file systems without it, they take the usual way.
"""

from __future__ import annotations

import errno
import mmap
import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ferry_client.checksums import crc32c
from ferry_client.options import KIB, MIB
from ferry_client.part_file import write_at

BUFFER_BYTES = 4 * MIB
"""Bytes of a range that are written at once. Each range that is fetched has this much memory."""

MAX_BUFFERED_SECONDS = 0.1
"""After this time the bytes of a range are written although the buffer has room. A kill loses what came since."""

MIN_UNCACHED_BYTES = 256 * KIB
"""Smaller blocks go through the page cache, which joins them."""

PAGE_BYTES = 4096
"""Memory, position and length of a block past the page cache are multiples of this."""

_pwrite = getattr(os, "pwrite", None)
"""Writes at a position; None on Windows, which has no `O_DIRECT` either."""


class BlockWriter:
    """Writes blocks of the part file. Thread-safe."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Write to an open part file, which is at a path."""
        self._descriptor = descriptor
        self._uncached_descriptor = _open_uncached(descriptor, path)
        self._is_uncached = self._uncached_descriptor is not None
        self._free: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()

    @contextmanager
    def memory(self) -> Iterator[mmap.mmap]:
        """Lend memory for one range."""
        try:
            memory = self._free.get_nowait()
        except queue.Empty:
            memory = _new_memory()
        try:
            yield memory
        finally:
            self._free.put(memory)

    def write(self, block: memoryview, first: int) -> None:
        """Write all bytes at a position. The memory begins at the same offset of a page as the position."""
        head = -first % PAGE_BYTES
        tail = head + (len(block) - head) // PAGE_BYTES * PAGE_BYTES
        if self._is_uncached and tail - head >= MIN_UNCACHED_BYTES:
            write_at(self._descriptor, block[:head], first)
            self._write_uncached(block[head:tail], first + head)
            write_at(self._descriptor, block[tail:], first + tail)
        else:
            write_at(self._descriptor, block, first)

    def close(self) -> None:
        """Close what this object opened. No thread may write any more."""
        if self._uncached_descriptor is not None:
            os.close(self._uncached_descriptor)

    def _write_uncached(self, pages: memoryview, first: int) -> None:
        assert self._uncached_descriptor is not None
        assert _pwrite is not None
        written = 0
        try:
            written = _pwrite(self._uncached_descriptor, pages, first)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._is_uncached = False  # This file system accepts other blocks only.
        write_at(self._descriptor, pages[written:], first + written)


class RangeBuffer:
    """The bytes of one range that have come and are not written yet."""

    def __init__(
        self, memory: mmap.mmap, writer: BlockWriter, first: int, on_written: Callable[[int, int, int], None]
    ) -> None:
        """Collect bytes from `first` on. `on_written` gets the bytes of a block, the range's CRC32C and its length."""
        self._memory = memoryview(memory)
        self._writer = writer
        self._first = first
        self._written_to = first
        self._written_at = time.monotonic()
        self._on_written = on_written
        self.position = first
        """The position of the byte that comes next."""
        self.crc = 0
        """CRC32C of the bytes that have come."""

    def room(self, max_bytes: int) -> memoryview:
        """Return the memory for the bytes that come next, at most `max_bytes` of them."""
        start = self._written_to % PAGE_BYTES + self.position - self._written_to
        return self._memory[start : min(start + max_bytes, BUFFER_BYTES)]

    def add(self, count: int) -> None:
        """Add the first `count` bytes of the memory that `room` returned, and write them where it is time."""
        start = self._written_to % PAGE_BYTES + self.position - self._written_to
        self.crc = crc32c(self._memory[start : start + count], self.crc)
        self.position += count
        is_full = start + count == BUFFER_BYTES
        if is_full or time.monotonic() - self._written_at >= MAX_BUFFERED_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what has come. Raises `OSError`."""
        count, start = self.position - self._written_to, self._written_to % PAGE_BYTES
        if count:
            self._writer.write(self._memory[start : start + count], self._written_to)
            self._written_to = self.position
            self._on_written(count, self.crc, self.position - self._first)
        self._written_at = time.monotonic()


def _new_memory() -> mmap.mmap:
    """Return memory that begins with a page, in large pages where the system has them: it pins fewer at each write."""
    memory = mmap.mmap(-1, BUFFER_BYTES)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _open_uncached(descriptor: int, path: Path) -> int | None:
    """Return another descriptor of an open file, which goes past the page cache; None where there is none."""
    if not hasattr(os, "O_DIRECT") or _pwrite is None:
        return None
    with suppress(OSError):
        opened = os.open(path, os.O_WRONLY | os.O_DIRECT)
        if os.path.samestat(os.fstat(opened), os.fstat(descriptor)):
            return opened
        os.close(opened)
    return None
