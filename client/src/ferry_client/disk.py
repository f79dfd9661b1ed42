"""What Linux does for a file that is received: reserve its space, and write it to the disk while more comes.

Other systems set the size alone: the file is the same, and `fsync` at its end takes longer.
"""

from __future__ import annotations

import errno
import os
import queue
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

_SYNC_FILE_RANGE_WRITE = 2
"""Start to write the changed pages of a range, and do not wait (sync_file_range(2))."""

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})
"""Errors of a file system that reserves no space."""


def reserve_space(descriptor: int, size: int) -> None:
    """Set the size of a file, and reserve its space where the file system can.

    Blocks that are reserved at once cost a third of the processor time of blocks that are found at each write, and a
    disk that is too small is noticed before the first byte.

    Raises:
        OSError: the disk is full.
    """
    earlier_size = os.fstat(descriptor).st_size
    reserve = _c_function("fallocate64", "fallocate")
    if size and reserve is not None:
        import ctypes

        while reserve(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(size)) != 0:
            code = ctypes.get_errno()
            if code in _UNSUPPORTED:
                break
            if code != errno.EINTR:
                os.truncate(descriptor, min(earlier_size, size))  # What was reserved until then is free again.
                raise OSError(code, os.strerror(code))
    os.truncate(descriptor, size)


class EarlyWriteback:
    """Starts to write ranges of a file to the disk, in a thread of its own, so that `fsync` finds little to do."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start_write = _c_function("sync_file_range")
        self._ranges: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="ferry-writeback")
        if self._start_write is not None:
            self._thread.start()

    def add(self, first: int, length: int) -> None:
        """Start to write a range soon. Called from any thread."""
        if self._start_write is not None:
            self._ranges.put((first, length))

    def close(self) -> None:
        """Start no further range, and wait for the thread. Then the descriptor may be closed."""
        self._is_closed = True
        if self._start_write is not None:
            self._ranges.put(None)
            self._thread.join()

    def _run(self) -> None:
        import ctypes

        while (task := self._ranges.get()) is not None and not self._is_closed:
            if self._start_write is not None:  # An error appears at `fsync`, too.
                self._start_write(self._descriptor, *map(ctypes.c_int64, task), _SYNC_FILE_RANGE_WRITE)


@cache
def _c_function(*names: str) -> Callable[..., Any] | None:
    """Return the first function of the C library that has one of these names; None where there is none.

    `os.posix_fallocate` would write to each block of a file system that reserves no space.
    """
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
    except (ImportError, OSError):
        return None
    return next((getattr(library, name) for name in names if hasattr(library, name)), None)
