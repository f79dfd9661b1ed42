"""Replace small files in one step, and delete what a kill during an earlier replacement left behind."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ferry_client.file_locks import is_old, lock, open_if_unused

_PREFIX, _SUFFIX = ".ferry-", ".tmp"
"""Begin and end the names of the files that content is written to first."""

_TEMPORARY_NAME = re.compile(rf"{re.escape(_PREFIX)}[a-z0-9_]{{8}}{re.escape(_SUFFIX)}")
"""These names, as `tempfile.mkstemp` makes them."""


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True, temporary: Path | None = None
) -> None:
    """Replace a file in one step; a crash leaves the old content or the new one. Raises `OSError`.

    Args:
        path: the file.
        data: its new content.
        mode: its permission bits.
        durable: whether the content survives a loss of power from now on; it waits for the disk.
        temporary: where the content is written first, in the same folder, which must exist; only for a file that one
            process writes, which deletes what an earlier one left there. None: under a name of its own, in a folder
            that is made if it is missing; what killed processes left in that folder is deleted.
    """
    if temporary is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_leftovers(path.parent)
        descriptor, temporary = _open_temporary(path.parent)
    else:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        try:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            temporary.chmod(mode)
            if os.name == "nt":  # Windows renames no open file.
                file.close()
            temporary.replace(path)  # Elsewhere the file is still locked: no other process takes it for a leftover.
        except BaseException:
            with suppress(OSError):
                file.close()
            temporary.unlink(missing_ok=True)
            raise


def _open_temporary(folder: Path) -> tuple[int, Path]:
    """Return descriptor and path of a new file, locked until it is closed."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX, suffix=_SUFFIX)
        path = Path(name)
        with suppress(BlockingIOError, FileNotFoundError):  # Another process just took it for a leftover.
            lock(descriptor)
            path.stat()
            return descriptor, path
        os.close(descriptor)


@cache
def _delete_leftovers(folder: Path) -> None:
    """Delete the files that killed processes did not finish, once in this process for each folder."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if _TEMPORARY_NAME.fullmatch(path.name):
                with suppress(OSError):
                    _delete_if_unused(path)


def _delete_if_unused(path: Path) -> None:
    """Delete a file unless a process may write it. Raises `OSError`."""
    descriptor = open_if_unused(path)
    if descriptor is None:
        return
    try:
        if os.name != "nt":
            path.unlink()  # Still locked: a process that made the file just now finds it gone, and makes another.
            return
        is_unused = is_old(descriptor)  # On Windows the last step of a write is without the lock.
    finally:
        os.close(descriptor)
    if is_unused:  # Windows deletes no open file.
        path.unlink()
