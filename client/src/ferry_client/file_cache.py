"""What is known of local files: their CRC32C, the ETag of their content, and the file on the service each became.

One SQLite database in the state folder. A row counts only while device, inode, size and modification time of the file
are those of the row, so an unchanged tree is not read again. Losing the database costs reading, nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ferry_client.errors import LocalFileError
from ferry_client.etags import has_content
from ferry_client.sources import FileSource, range_crc32c

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    path TEXT PRIMARY KEY, device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, crc32c INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS synced (
    service TEXT, name TEXT, device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, etag TEXT,
    PRIMARY KEY (service, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content (
    service TEXT, path TEXT, device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, etag TEXT,
    PRIMARY KEY (service, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS synced_inode ON synced (service, device, inode);
"""


_TICK_NS = 50_000_000
"""Longest time in which a file may change twice without another modification time, on disks with inodes."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What identifies the state of a local file."""

    device: int
    """The file system."""
    inode: int
    """The file within it."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Modification time in nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Return the identity of a file. Raises `LocalFileError`."""
        try:
            status = path.stat()
        except OSError as error:
            raise LocalFileError(f"{path} cannot be read: {error.strerror}.") from error
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def values(self) -> tuple[int, int, int, int]:
        """The identity as columns. SQLite's integers have a sign, inodes of Windows use all 64 bits."""
        return _signed(self.device), _signed(self.inode), self.size, self.mtime_ns


class FileCache:
    """The cache of one service. Thread-safe."""

    def __init__(self, folder: Path, service: str) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._database = _open(folder / "files.sqlite")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def crc32c(self, path: Path) -> int:
        """Return the CRC32C of a file, from the cache if the file is unchanged. Raises `LocalFileError`."""
        identity = FileIdentity.of(path)
        key = os.fsdecode(path.absolute())
        with self._lock:
            row = self._database.execute(
                "SELECT crc32c FROM file WHERE path = ? AND device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
                (key, *identity.values),
            ).fetchone()
        if row is not None:
            return int(row[0])
        source = FileSource(path)
        with closing(source):
            crc = range_crc32c(source, 0, source.size)
        if _is_settled(path, identity):
            with self._lock, self._database:
                self._database.execute("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", (key, *identity.values, crc))
        return crc

    def has_content(self, path: Path, etag: str) -> bool:
        """Return whether a file has the content of an ETag, from the cache if it is unchanged.

        Raises:
            LocalFileError: the file cannot be read.
        """
        identity = FileIdentity.of(path)
        with self._lock:
            row = self._database.execute(
                "SELECT etag FROM content WHERE service = ? AND path = ? AND device = ? AND inode = ? AND size = ? "
                "AND mtime_ns = ?",
                (self._service, os.fsdecode(path.absolute()), *identity.values),
            ).fetchone()
        if row is not None and row[0] == etag:
            return True
        is_same = has_content(path, etag)
        if is_same:
            self.record_content(path, identity, etag)
        return is_same

    def record_content(self, path: Path, identity: FileIdentity, etag: str) -> None:
        """Remember that a file, if it is unchanged, has the content of an ETag."""
        if _is_settled(path, identity):
            with self._lock, self._database:
                self._database.execute(
                    "REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (self._service, os.fsdecode(path.absolute()), *identity.values, etag),
                )

    def record_synced(self, name: str, identity: FileIdentity, etag: str) -> None:
        """Remember which file on the service a local one became."""
        with self._lock, self._database:
            self._database.execute(
                "REPLACE INTO synced VALUES (?, ?, ?, ?, ?, ?, ?)", (self._service, name, *identity.values, etag)
            )

    def forget_synced(self, name: str) -> None:
        """Forget a file on the service."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM synced WHERE service = ? AND name = ?", (self._service, name))

    def earlier_names(self, identity: FileIdentity) -> list[tuple[str, str]]:
        """Return the names, with ETags, that the very same local file had on the service."""
        with self._lock:
            return self._database.execute(
                "SELECT name, etag FROM synced WHERE service = ? AND device = ? AND inode = ? AND size = ? "
                "AND mtime_ns = ?",
                (self._service, *identity.values),
            ).fetchall()


def _is_settled(path: Path, identity: FileIdentity) -> bool:
    """Return whether a file is unchanged, and not so new that it may change within the same tick of its time."""
    return FileIdentity.of(path) == identity and time.time_ns() - identity.mtime_ns > _TICK_NS


def _open(path: Path) -> sqlite3.Connection:
    """Return the database. A damaged one is replaced by an empty one; without a place on the disk, it is in memory."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            return _connect(path)
    except (OSError, sqlite3.OperationalError):
        return _connect(Path(":memory:"))


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # A loss of power costs the last rows, and those cost reading.
    database.executescript(_SCHEMA)
    return database


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
