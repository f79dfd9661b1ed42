"""Standard input as the source of an upload."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ferry_client.checksums import crc32c
from ferry_client.options import MIB
from ferry_client.part_file import local_file_error


def spool(folder: Path, url: str, name: str) -> Path:
    """Write standard input to a file of the state folder, and return it.

    The same input again is the same file, so that its upload continues. Raises `LocalFileError`.
    """
    path = folder / "stdin" / hashlib.sha256(f"{url}\0{name}".encode()).hexdigest()[:32]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                state = _copy(sys.stdin.buffer, file)
                file.flush()
                os.fsync(file.fileno())
            with suppress(OSError), path.open("rb") as earlier:
                if _copy(earlier, None) == state:
                    return path
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise local_file_error(path, error) from error
    return path


def _copy(source: BinaryIO, target: BinaryIO | None) -> tuple[int, int]:
    """Copy a stream, and return its length and CRC32C."""
    size, crc = 0, 0
    while block := source.read(MIB):
        size, crc = size + len(block), crc32c(block, crc)
        if target is not None:
            target.write(block)
    return size, crc
