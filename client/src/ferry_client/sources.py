"""What is uploaded: a local file or bytes in memory, read at any position, any number of times."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from ferry_client.arguments import checked_path
from ferry_client.cancellation import raise_if_cancelled
from ferry_client.checksums import combine_crc32c, crc32c
from ferry_client.errors import LocalFileError, SourceChangedError, UsageError
from ferry_client.options import MAX_PUT_BYTES, MIB

UploadSource: TypeAlias = Path | str | bytes | bytearray | memoryview | BinaryIO
"""What a caller may upload."""

_STREAM_PAUSE_SECONDS = 0.02
"""Pause before a stream that does not block is read again."""


class Source(Protocol):
    """Bytes of a known length. Thread-safe."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """Identifies the source and its state, so that an upload is resumed from this source alone; None: unknown."""
        ...

    def read(self, first: int, length: int) -> bytes:
        """Return `length` bytes from `first` on. Raises `SourceChangedError` if the source is shorter now."""
        ...

    def raise_if_changed(self) -> None:
        """Raise `SourceChangedError` if the source is not the one that was opened."""
        ...

    def is_untouched(self) -> bool:
        """Return whether what was read before is still there; False where only reading it again shows that."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class BytesSource:
    """Bytes in memory. Their SHA-256 is the fingerprint."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def fingerprint(self) -> str | None:
        return f"sha256:{hashlib.sha256(self._data).hexdigest()}"

    def read(self, first: int, length: int) -> bytes:
        return self._data[first : first + length]

    def raise_if_changed(self) -> None:
        """Do nothing: bytes do not change."""

    def is_untouched(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing."""


class FileSource:
    """A local file. Path, device, inode, size and modification time are the fingerprint."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            LocalFileError: it cannot be read, or is no file whose size the disk knows.
        """
        self.path = path
        """The file."""
        try:
            self._file: BinaryIO = open(path, "rb", buffering=0, opener=_open_without_waiting)  # noqa: SIM115
            self._opened_as = os.fstat(self._file.fileno())
        except OSError as error:
            raise LocalFileError(f"{path} cannot be read: {error.strerror}.") from error
        self._lock = threading.Lock()
        if not stat.S_ISREG(self._opened_as.st_mode) or self._has_unknown_size():
            self.close()
            raise LocalFileError(
                f"{path} is no file of a known size. Send it by a pipe: ferry put - NAME < FILE "
                "(in Python: an open file)."
            )

    def _has_unknown_size(self) -> bool:
        """Return whether there are bytes although the size is 0, as in files of /proc."""
        try:
            return (
                self._opened_as.st_size == 0
                and bool(self._read_at(0, 1))
                and os.fstat(self._file.fileno()).st_size == 0
            )
        except OSError:
            return False  # It is reported where it is read.

    @property
    def size(self) -> int:
        return self._opened_as.st_size

    @property
    def status(self) -> os.stat_result:
        """Status of the file when it was opened."""
        return self._opened_as

    @property
    def fingerprint(self) -> str | None:
        state = self._opened_as
        text = f"{self.path.absolute()}\0{state.st_dev}\0{state.st_ino}\0{state.st_size}\0{state.st_mtime_ns}"
        return f"file:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"

    def read(self, first: int, length: int) -> bytes:
        try:
            data = self._read_at(first, length)
        except OSError as error:
            raise LocalFileError(f"{self.path} cannot be read: {error.strerror}.") from error
        if len(data) != length:
            raise SourceChangedError(f"{self.path} is shorter than when its upload began. Send it again.")
        return data

    def raise_if_changed(self) -> None:
        try:
            now = os.fstat(self._file.fileno())
        except OSError as error:
            raise LocalFileError(f"{self.path} cannot be read: {error.strerror}.") from error
        if (now.st_size, now.st_mtime_ns) != (self._opened_as.st_size, self._opened_as.st_mtime_ns):
            raise SourceChangedError(
                f"{self.path} changed while it was sent. The service has no file of mixed content. Send it again."
            )

    def is_untouched(self) -> bool:
        """Return whether nothing was done to the file: a program that writes can restore the modification time."""
        try:
            return os.fstat(self._file.fileno()).st_ctime_ns == self._opened_as.st_ctime_ns
        except OSError:
            return False

    def is_at(self, path: Path) -> bool:
        """Return whether a path leads to this very file, in the state in which it was opened."""
        try:
            now = path.stat()
        except OSError:
            return False
        opened = self._opened_as
        return os.path.samestat(now, opened) and (now.st_size, now.st_mtime_ns) == (opened.st_size, opened.st_mtime_ns)

    def close(self) -> None:
        self._file.close()

    def _read_at(self, first: int, length: int) -> bytes:
        pieces, position, end = [], first, first + length
        while position < end:
            piece = self._read_once(position, end - position)
            if not piece:
                break
            pieces.append(piece)
            position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_once(self, first: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, first)
        with self._lock:  # Windows has no pread
            self._file.seek(first)
            return self._file.read(length)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe without a writer, too."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@dataclass(frozen=True, slots=True)
class SourceBody:
    """A range of a source as the body of a request."""

    source: Source
    """What is sent."""
    first: int
    """Its first byte."""
    length: int
    """Bytes."""

    def blocks(self, block_bytes: Callable[[], int]) -> Iterator[bytes]:
        position, end = self.first, self.first + self.length
        while position < end:
            block = self.source.read(position, min(block_bytes(), end - position))
            position += len(block)
            yield block


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A stream of more bytes than one request carries."""

    first: bytes
    """What was read of it."""
    stream: BinaryIO
    """The rest, to be read once."""


def open_source(source: UploadSource) -> Source | StreamStart:
    """Return a source that can be read at any position; of a file without a name on disk, what one request carries.

    Raises:
        LocalFileError: the file cannot be read.
        UsageError: it is no path, bytes or binary file.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesSource(bytes(source))
    if isinstance(source, os.PathLike | str):
        return FileSource(Path(checked_path(source)))
    if not hasattr(source, "read"):
        raise UsageError(
            f"The source is a path, bytes or an open binary file, this one is {type(source).__name__}. Join what a "
            "generator yields, or write it to a file first."
        )
    if is_text(source):
        raise UsageError("The source is open in text mode. Open it in binary mode: open(…, 'rb').")
    path = _path_of(source)
    if path is not None:
        return FileSource(path)
    if isinstance(source, BytesIO):
        return BytesSource(read_block(source, -1))
    first = read_block(source, MAX_PUT_BYTES + 1)
    while len(first) <= MAX_PUT_BYTES and (more := read_block(source, MAX_PUT_BYTES + 1 - len(first))):
        first += more  # A raw stream returns what has come.
    return BytesSource(first) if len(first) <= MAX_PUT_BYTES else StreamStart(first, source)


def is_text(file: object) -> bool:
    """Return whether a file is open in text mode."""
    return isinstance(getattr(file, "file", file), io.TextIOBase)  # `tempfile` wraps its files.


def read_block(stream: BinaryIO, size: int) -> bytes:
    """Read from a caller's file.

    Raises:
        LocalFileError: it cannot be read.
        UsageError: it is closed, not open for reading, in text mode, or does not wait for its input.
    """
    try:
        block: object = stream.read(size)
        while block is None and isinstance(stream, _FILES):  # A program that has it, too, made it non-blocking.
            time.sleep(_STREAM_PAUSE_SECONDS)
            block = stream.read(size)
    except io.UnsupportedOperation as error:
        raise UsageError("The source is not open for reading. Open it in binary mode: open(…, 'rb').") from error
    except OSError as error:
        raise LocalFileError(f"The input cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UsageError(f"The source cannot be read: {error}.") from error
    if not isinstance(block, bytes | bytearray | memoryview):
        kind = "nothing: it must wait for its input" if block is None else f"{type(block).__name__}, not bytes"
        raise UsageError(f"The source's read() returns {kind}.")
    return bytes(block)


_FILES = (io.FileIO, io.BufferedReader, io.BufferedRandom)
"""What `open` returns. Other types that have a name may deliver other bytes than their file has: `gzip.open` does."""


def _path_of(file: BinaryIO) -> Path | None:
    """Return the path of an open file, if that path leads to it and nothing was read; None for a pipe, or size 0."""
    name, opened = getattr(file, "name", None), getattr(file, "file", file)
    is_file = type(opened) in _FILES and type(getattr(opened, "raw", opened)) is io.FileIO
    if not is_file or not isinstance(name, str | os.PathLike):
        return None
    try:
        status = Path(name).stat()
        is_file = stat.S_ISREG(status.st_mode) and status.st_size > 0  # Files of /proc have bytes, but no size.
        is_same = os.path.samestat(os.fstat(file.fileno()), status)
        return Path(name) if is_same and is_file and file.tell() == 0 else None
    except (OSError, ValueError):
        return None


def range_crc32c(source: Source, first: int, length: int) -> int:
    """Return the CRC32C of a range of a source. Reads at most 1 MiB at once."""
    crc, position, end = 0, first, first + length
    while position < end:
        raise_if_cancelled()
        block = source.read(position, min(MIB, end - position))
        crc = crc32c(block, crc)
        position += len(block)
    return crc


def whole_crc32c(source: Source, known: Mapping[int, tuple[int, int]]) -> int:
    """Return the CRC32C of a source. What is not `known` (CRC32C and length by first byte) is read."""
    pieces, position = [], 0
    for first in sorted(known):
        if first < position:
            continue
        if first > position:
            pieces.append((range_crc32c(source, position, first - position), first - position))
        crc, length = known[first]
        pieces.append((crc, length))
        position = first + length
    rest = source.size - position
    pieces.append((range_crc32c(source, position, rest), rest))
    return combine_crc32c(pieces)
