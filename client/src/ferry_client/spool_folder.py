"""The folder of a spool: one process at a time has it, and files leave it in steps that a power loss may interrupt."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ferry_client.errors import LocalFileError, SourceChangedError
from ferry_client.file_locks import lock
from ferry_client.part_file import MAX_NAME_BYTES
from ferry_client.sources import FileSource

LOCK_FILE_NAME = ".ferry-spool.lock"
"""The process that watches the folder locks this file, which has its id and host."""

REMOVED_PREFIX = ".ferry-removed-"
"""Begins the hidden names of files that were sent and verified, until they are deleted or moved."""

SENT_FOLDER_NAME = ".ferry-sent"
"""Where sent files are moved with `then="move"`."""

_COPY_NAME = ".ferry-copy"
"""A file that is being copied to the folder of sent files, where that is on another file system."""


class FolderLock:
    """The lock of a folder. A folder that vanishes and returns, such as a mount, has to be locked anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE_NAME
        self._descriptor: int | None = None

    def is_held(self) -> bool:
        """Return whether the folder is the one that was locked."""
        try:
            return self._descriptor is not None and os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def acquire(self) -> None:
        """Lock the folder. Raises `LocalFileError` if it cannot be written, or another process has it."""
        self.release()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LocalFileError(f"{self._path.parent} cannot be watched: {error.strerror}.") from error
        try:
            lock(descriptor)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise LocalFileError(
                f"{self._path.parent} is watched by {holder}. Stop that one, or watch another folder."
            ) from error
        self._descriptor = descriptor
        with suppress(OSError):  # on a full disk
            os.truncate(descriptor, 0)
            os.write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())

    def release(self) -> None:
        """Unlock the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _holder(descriptor: int) -> str:
    """Return who holds a lock, for people."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        holder = json.loads(os.read(descriptor, 1000))
        return f"the ferry spool with process id {int(holder['pid'])} on {holder['host']}"
    return "another ferry spool"


class Removal:
    """Removes files that are safe on the service.

    The name of such a file may be taken by a newer one at any moment. So the file is renamed first, then looked at:
    only the file that was sent goes. Its hidden name says which file was sent, so that the next run can finish what a
    crash interrupted, and another file gets its name back. A full disk has room for that.
    """

    def __init__(self, folder: Path, then: Literal["delete", "move"]) -> None:
        self._folder = folder
        self._then = then

    def remove(self, path: Path, source: FileSource) -> None:
        """Remove a file, and make that durable.

        Raises:
            SourceChangedError: another file had the name. It is back under it.
            LocalFileError: the file cannot be removed. It is back under its name.
        """
        hidden = _hidden_path(path, source.status)
        try:
            if hidden.parent != path.parent:
                hidden.parent.mkdir(exist_ok=True)
            path.rename(hidden)
            self._finish_or_put_back(hidden, path, source)
        except FileNotFoundError:
            return  # Another program removed it.
        except OSError as error:
            text = f"it is safe on the service, and cannot be {'deleted' if self._then == 'delete' else 'moved'}"
            raise LocalFileError(f"{text}: {error.strerror}.") from error
        finally:
            if hidden.parent != path.parent:
                with suppress(OSError):
                    hidden.parent.rmdir()
            _sync_folder(path.parent)

    def _finish_or_put_back(self, hidden: Path, path: Path, source: FileSource) -> None:
        is_sent = source.is_at(hidden)
        try:
            if is_sent:
                self._finish(hidden, path)
        finally:
            if hidden.exists():
                move_to_free_name(hidden, path)
        if not is_sent:
            raise SourceChangedError(f"{path} was replaced while it was sent. The new file is sent next.")

    def _finish(self, hidden: Path, path: Path) -> None:
        """Delete or move a hidden file, which was at a path."""
        if self._then == "delete":
            hidden.unlink()
            return
        target = self._folder / SENT_FOLDER_NAME / path.relative_to(self._folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        move_to_free_name(hidden, target)
        _sync_folder(target.parent)

    def finish_interrupted(self, on_problem: Callable[[str], None]) -> None:
        """Remove the files whose removal a crash interrupted, and give other hidden ones their names back.

        Args:
            on_problem: called with what people should know of a file that stays hidden.
        """
        for found in list(self._folder.rglob(f"{REMOVED_PREFIX}*")):
            mark, _, name = found.name.removeprefix(REMOVED_PREFIX).partition("-")
            try:
                if found.is_dir():
                    for hidden in list(found.iterdir()):
                        self._finish_hidden(hidden, found.with_name(hidden.name), mark)
                    found.rmdir()
                elif name:
                    self._finish_hidden(found, found.with_name(name), mark)
            except OSError as error:
                on_problem(f"{found} cannot be removed: {error.strerror}")

    def _finish_hidden(self, hidden: Path, path: Path, mark: str) -> None:
        if _mark(hidden.lstat()) == mark:
            self._finish(hidden, path)
        else:
            move_to_free_name(hidden, path)
        _sync_folder(path.parent)


def _hidden_path(path: Path, status: os.stat_result) -> Path:
    """Return where a sent file is until it leaves: beside its path, or in a folder where its name would be too long."""
    start = f"{REMOVED_PREFIX}{_mark(status)}"
    hidden = path.with_name(f"{start}-{path.name}")
    return hidden if len(os.fsencode(hidden.name)) <= MAX_NAME_BYTES else path.with_name(start) / path.name


def _mark(status: os.stat_result) -> str:
    """Return what identifies a file that was sent; the number of the device may change at a restart of the machine."""
    return hashlib.sha256(f"{status.st_ino} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]


def move_to_free_name(path: Path, target: Path) -> None:
    """Rename a file to the first free name of `name.ext`, `name (2).ext` and so on. Nothing is replaced.

    A target on another file system gets a durable copy. Raises `OSError`.
    """
    try:
        _rename_to_free_name(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(_COPY_NAME)
        try:
            shutil.copy2(path, copy)
            with copy.open("rb+") as file:
                os.fsync(file.fileno())
            _rename_to_free_name(copy, target)
        finally:
            copy.unlink(missing_ok=True)
        _sync_folder(target.parent)
        path.unlink()


def _rename_to_free_name(path: Path, target: Path) -> None:
    number, free = 1, target
    while not _take_name(path, free):
        number += 1
        free = target.with_name(f"{target.stem} ({number}){target.suffix}")


def _take_name(path: Path, free: Path) -> bool:
    """Rename a file to a name; return False if there is another file. Raises `OSError`."""
    try:
        os.link(path, free)
    except FileExistsError:
        if not os.path.samestat(path.lstat(), free.lstat()):
            return False  # The same file is there after a crash between the two steps.
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise
        return _take_name_without_links(path, free)
    path.unlink()
    return True


def _take_name_without_links(path: Path, free: Path) -> bool:
    """Do what `_take_name` does on a file system that has no hard links: an empty file holds the name first."""
    try:
        os.close(os.open(free, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    try:
        path.replace(free)
    except BaseException:
        free.unlink(missing_ok=True)
        raise
    return True


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
