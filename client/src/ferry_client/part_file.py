"""The part file of a download and its journal, beside the target.

The journal says which ranges are on the disk, and of which content (ETag). One download at a time holds a part file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ferry_client.atomic_files import write_atomically
from ferry_client.cancellation import raise_if_cancelled
from ferry_client.checksums import crc32c
from ferry_client.errors import LocalFileError, NoSpaceError
from ferry_client.file_locks import lock
from ferry_client.options import MIB

PART_SUFFIX = ".ferry-part"
"""Ends the name of a part file."""

JOURNAL_SUFFIX = ".ferry-part.json"
"""Ends the name of a journal."""

NEW_JOURNAL_SUFFIX = ".ferry-part.tmp"
"""Ends the name of a journal that is being written. The next download of the target deletes what a kill leaves."""

MAX_NAME_BYTES = 255
"""Bytes of a file's name on most disks."""

_SEEK_LOCK = threading.Lock()
"""Held between seek and write where the system has no positioned write."""


def part_path(target: Path) -> Path:
    """Return where the bytes of a target are collected."""
    return target.with_name(_stem(target) + PART_SUFFIX)


def journal_path(target: Path) -> Path:
    """Return where the journal of a target is."""
    return target.with_name(_stem(target) + JOURNAL_SUFFIX)


def is_part_file(name: str) -> bool:
    """Return whether a file's name is that of a part file or its journal."""
    return name.endswith((PART_SUFFIX, JOURNAL_SUFFIX, NEW_JOURNAL_SUFFIX))


def _stem(target: Path) -> str:
    """Return the hidden name of a target, shortened by a digest where the suffix would make it too long."""
    stem = f".{target.name}"
    if len(os.fsencode(stem + JOURNAL_SUFFIX)) <= MAX_NAME_BYTES:
        return stem
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}"


@dataclass(slots=True)
class Journal:
    """The ranges that are on the disk: their CRC32C and length, by their first byte."""

    path: Path
    """The file."""
    etag: str
    """The content that the ranges belong to."""
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    """CRC32C and length by first byte."""

    @classmethod
    def load(cls, path: Path, etag: str) -> Journal:
        """Return the journal of this content, without ranges if there is none."""
        journal = cls(path, etag)
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(path.read_text())
            if saved["etag"] == etag:
                journal.ranges = {first: (crc, length) for first, crc, length in saved["ranges"]}
        return journal

    def save(self, unfinished: Mapping[int, tuple[int, int]]) -> None:
        """Write the journal: the ranges, and what was received of unfinished ones.

        Nothing is flushed to the disk first. The next run compares the bytes with the checksums, so a power loss
        loses ranges, and never makes a wrong file.

        Raises:
            OSError: it cannot be written, or the folder is gone.
        """
        ranges = [[first, crc, length] for first, (crc, length) in sorted({**unfinished, **self.ranges}.items())]
        data = json.dumps({"etag": self.etag, "ranges": ranges}).encode()
        write_atomically(self.path, data, durable=False, temporary=self._new_path)

    def delete(self) -> None:
        """Delete the journal, with what a kill left of a write. Raises `OSError`."""
        self.path.unlink(missing_ok=True)
        self._new_path.unlink(missing_ok=True)

    @property
    def _new_path(self) -> Path:
        """Where the journal is written first."""
        return self.path.with_name(self.path.name.removesuffix(JOURNAL_SUFFIX) + NEW_JOURNAL_SUFFIX)

    def forget_damaged(self, descriptor: int) -> int:
        """Forget ranges whose bytes are not on the disk, and return the bytes of the others."""
        for first, (crc, length) in list(self.ranges.items()):
            actual, position = 0, first
            while position < first + length:
                raise_if_cancelled()
                block = read_at(descriptor, position, min(MIB, first + length - position))
                if not block:
                    break
                actual, position = crc32c(block, actual), position + len(block)
            if actual != crc or position != first + length:
                del self.ranges[first]
        return sum(length for _, length in self.ranges.values())

    def missing_ranges(self, size: int, length: int) -> list[tuple[int, int]]:
        """Return the missing ranges of a file as (first byte, length), each at most `length` long."""
        missing, position = [], 0
        for first, (_, done) in [*sorted(self.ranges.items()), (size, (0, 0))]:
            while position < first:
                part = min(length, first - position)
                missing.append((position, part))
                position += part
            position = first + done
        return missing


def open_part(path: Path) -> int:
    """Return the descriptor of a part file, locked until it is closed.

    Raises:
        LocalFileError: another download holds it.
        OSError: it cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            lock(descriptor)
            with suppress(OSError):
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise LocalFileError(
                f"another download writes {path} now. Wait for it, or fetch to another place."
            ) from error
        os.close(descriptor)  # It was renamed to its target meanwhile.


def local_file_error(path: Path, error: OSError) -> LocalFileError:
    """Return the exception of a local file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"No space left for {path}. Free some and run the same command again; it continues.")
    return LocalFileError(f"{path} cannot be written: {error.strerror}.")


def make_parents(path: Path) -> None:
    """Make the folders above a path. Raises `LocalFileError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise local_file_error(path.parent, error) from error


def read_at(descriptor: int, first: int, length: int) -> bytes:
    """Return bytes of a file; fewer at its end."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, first)
    with _SEEK_LOCK:
        os.lseek(descriptor, first, os.SEEK_SET)
        return os.read(descriptor, length)


def write_at(descriptor: int, data: bytes | memoryview, first: int) -> None:
    """Write all bytes at a position."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, first) if hasattr(os, "pwrite") else _seek_write(descriptor, view, first)
        view, first = view[written:], first + written


def _seek_write(descriptor: int, view: memoryview, first: int) -> int:
    with _SEEK_LOCK:  # Windows has no pwrite
        os.lseek(descriptor, first, os.SEEK_SET)
        return os.write(descriptor, view)
