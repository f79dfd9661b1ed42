"""Remember local files: their CRC32C, the ETag of their content, and the file on the service that each became.

One SQLite database in the state folder. A row is valid only while device, inode, size and modification time of the file
are those of the row, so an unchanged tree is not read again. If the database is lost, files are read again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferry_client.errors import LocalFileError
from ferry_client.etags import has_content
from ferry_client.local_files import printable
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
PRAGMA user_version = 1;
"""

_VERSION = 1
"""Version of these tables. A database of a newer one is left alone."""

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
    """The cache of one service. Thread-safe. If the disk is full or fails, files are read again, without an error."""

    def __init__(self, folder: Path, service: str) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._path = folder / "files.sqlite"
        self._database = _open(self._path)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def crc32c(self, path: Path) -> int:
        """Return the CRC32C of a file, from the cache if the file is unchanged. Raises `LocalFileError`."""
        identity = FileIdentity.of(path)
        rows = self._run(
            "SELECT crc32c FROM file WHERE path = ? AND device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
            _key(path),
            *identity.values,
        )
        if rows:
            return int(rows[0][0])
        source = FileSource(path)
        with closing(source):
            crc = range_crc32c(source, 0, source.size)
        if _is_settled(path, identity):
            self._run("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", _key(path), *identity.values, crc)
        return crc

    def has_content(self, path: Path, etag: str) -> bool:
        """Return whether a file has the content of an ETag, from the cache if it is unchanged.

        Raises:
            LocalFileError: the file cannot be read.
        """
        identity = FileIdentity.of(path)
        rows = self._run(
            "SELECT etag FROM content WHERE service = ? AND path = ? AND device = ? AND inode = ? AND size = ? "
            "AND mtime_ns = ?",
            self._service,
            _key(path),
            *identity.values,
        )
        if rows and rows[0][0] == etag:
            return True
        is_same = has_content(path, etag)
        if is_same:
            self.record_content(path, identity, etag)
        return is_same

    def record_content(self, path: Path, identity: FileIdentity, etag: str) -> None:
        """Remember that a file, if it is unchanged, has the content of an ETag."""
        if _is_settled(path, identity):
            values = (self._service, _key(path), *identity.values, etag)
            self._run("REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def record_synced(self, name: str, identity: FileIdentity, etag: str) -> None:
        """Remember which file on the service a local one became."""
        self._run("REPLACE INTO synced VALUES (?, ?, ?, ?, ?, ?, ?)", self._service, name, *identity.values, etag)

    def forget_synced(self, name: str) -> None:
        """Forget a file on the service."""
        self._run("DELETE FROM synced WHERE service = ? AND name = ?", self._service, name)

    def earlier_names(self, identity: FileIdentity) -> list[tuple[str, str]]:
        """Return the names, with ETags, that the very same local file had on the service."""
        return self._run(
            "SELECT name, etag FROM synced WHERE service = ? AND device = ? AND inode = ? AND size = ? "
            "AND mtime_ns = ?",
            self._service,
            *identity.values,
        )

    def _run(self, statement: str, *values: str | int) -> list[Any]:
        """Run a statement, and return its rows. Where the disk fails, the rest of this run is kept in memory."""
        with self._lock:
            try:
                with self._database:
                    return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                self._database.close()
                if _is_damage(error):
                    _delete(self._path)
                self._database = _connect(Path(":memory:"))
            with self._database:
                return self._database.execute(statement, values).fetchall()


def _key(path: Path) -> str:
    """Return a path as text that the database takes, also one that is not UTF-8."""
    return printable(str(path.absolute()))


def _is_settled(path: Path, identity: FileIdentity) -> bool:
    """Return whether a file is unchanged, and not so new that it may change within the same tick of its time."""
    try:
        return FileIdentity.of(path) == identity and time.time_ns() - identity.mtime_ns > _TICK_NS
    except LocalFileError:
        return False


def _open(path: Path) -> sqlite3.Connection:
    """Return the database. A damaged one is replaced by an empty one; without a place on the disk, it is in memory."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            _delete(path)
            return _connect(path)
    except (OSError, sqlite3.Error):
        return _connect(Path(":memory:"))


def _is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is no database, rather than busy, out of reach, or of another version."""
    return isinstance(error, sqlite3.DatabaseError) and type(error) is sqlite3.DatabaseError


def _delete(path: Path) -> None:
    """Delete a database with its journal, which would bring back what it has."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    """Return a database with its tables. Raises `sqlite3.Error`."""
    database = sqlite3.connect(path, timeout=30, check_same_thread=False)
    try:
        _raise_if_newer(database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")  # After a loss of power the last files are read again.
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _raise_if_newer(database: sqlite3.Connection) -> None:
    """Raise `sqlite3.OperationalError` if a newer client wrote the database."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise sqlite3.OperationalError(f"the database has version {version}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
