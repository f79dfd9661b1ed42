"""Locks of files: each is held by one descriptor, and ends with it, also when its process is killed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_OLD_SECONDS = 86_400.0
"""Age from which a file that only a running process needs is taken for one of a process that was killed."""


def lock(descriptor: int) -> bool:
    """Lock a file until the descriptor is closed, and return whether its file system has locks.

    Raises:
        BlockingIOError: another descriptor has the file locked.
    """
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            raise BlockingIOError from error
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def open_if_unused(path: Path) -> int | None:
    """Return the descriptor of a file that no process has locked, and lock it; None if a process may use it.

    On a file system without locks, a file that was written within a day may be in use.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    with suppress(BlockingIOError):
        if lock(descriptor) or is_old(descriptor):
            return descriptor
    os.close(descriptor)
    return None


def is_old(descriptor: int) -> bool:
    """Return whether a file was last written more than a day ago."""
    return time.time() - os.fstat(descriptor).st_mtime > _OLD_SECONDS
