"""Standard input as the source of an upload."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferry_client.checksums import crc32c
from ferry_client.errors import LocalFileError
from ferry_client.options import MIB
from ferry_client.part_file import local_file_error, open_part
from ferry_client.sources import read_block

_KEEP_PARTS_SECONDS = 86_400.0
"""Age at which what a killed process has copied is deleted."""


@contextmanager
def spooled(folder: Path, url: str, name: str) -> Iterator[Path]:
    """Write standard input to a file of the state folder, and lock it while it is sent.

    The same input again is the same file, so that its upload continues.

    Raises:
        LocalFileError: the input cannot be read, the file cannot be written, or another process has it.
    """
    path = folder / "stdin" / hashlib.sha256(f"{url}\0{name}".encode()).hexdigest()[:32]
    lock_path = path.with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = open_part(lock_path)
    except OSError as error:
        raise local_file_error(path, error) from error
    except LocalFileError as error:
        raise LocalFileError(f"Another process sends standard input as {name} now. Wait for it.") from error
    try:
        _write(path)
        yield path
    finally:
        if os.name == "posix":  # Windows deletes no open file.
            lock_path.unlink(missing_ok=True)
        os.close(descriptor)


def _write(path: Path) -> None:
    """Write standard input to a file, unless the file has it already."""
    temporary = path.with_suffix(".part")
    try:
        _delete_old_parts(path.parent)
        try:
            with open(temporary, "wb", opener=_open_for_owner) as file:
                state = _copy(sys.stdin.buffer, file)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError), path.open("rb") as earlier:
                if _copy(earlier, None) == state:
                    return
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise local_file_error(path, error) from error


def _delete_old_parts(folder: Path) -> None:
    for part in folder.glob("*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _KEEP_PARTS_SECONDS:
                part.unlink()


def _open_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy(source: BinaryIO, target: BinaryIO | None) -> tuple[int, int]:
    """Copy a stream, and return its length and CRC32C. Raises `LocalFileError` if it cannot be read, and `OSError`."""
    size, crc = 0, 0
    while block := read_block(source, MIB):
        size, crc = size + len(block), crc32c(block, crc)
        if target is not None:
            target.write(block)
    return size, crc
