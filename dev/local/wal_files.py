"""The files of a write-ahead log: their formats, and the checks of what a folder holds.

A log is a sequence of records, then zeros (reserved space). A record is a header of length, sequence number and CRC-32,
and the change; the CRC covers the log's generation, too. `CLOSING_CHANGE` ends a log that another one follows.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ACKNOWLEDGED_FILE = "acknowledged"
"""The file with the length of the last log that was acknowledged."""
CHECKSUMS_FILE = "checksums.json"
"""The file in a snapshot with the SHA-256 of each other file, and in its second line that of the first."""
CLOSING_CHANGE = b"next"
_RECORD_HEADER = struct.Struct(">IQI")
RECORD_OVERHEAD_BYTES = _RECORD_HEADER.size
_ACKNOWLEDGED_FORMAT = struct.Struct(">8sQQQ")
ACKNOWLEDGED_BYTES = _ACKNOWLEDGED_FORMAT.size + 4
"""The size of the file `acknowledged`: the fields and their CRC-32."""
_MAGIC = b"FerryAck"


class DamagedStateError(Exception):
    """A file of the state is missing or not as it was written. The message names the file and what is wrong."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was acknowledged: a lower bound of what a folder must hold."""

    snapshot: int
    """The generation of the latest snapshot."""
    log: int
    """The generation of the last log."""
    end: int
    """The length of that log in bytes."""

    def encode(self) -> bytes:
        """Return the content of the file `acknowledged`."""
        content = _ACKNOWLEDGED_FORMAT.pack(_MAGIC, self.snapshot, self.log, self.end)
        return content + struct.pack(">I", zlib.crc32(content))


@dataclass(frozen=True, slots=True)
class FoundState:
    """What a folder holds, after its checks."""

    snapshot: int
    """The generation of the latest snapshot; 0 for none."""
    last_log: int
    """The generation of the log to append to."""
    last_sequence: int
    """The sequence number of its last record."""
    last_end: int
    """Where its last record ends, in bytes."""
    notes: tuple[str, ...] = ()
    """What was repaired, in sentences."""

    def changes(self, folder: Path) -> Iterator[bytes]:
        """Yield the changes since the snapshot, in order."""
        for generation in range(self.snapshot, self.last_log + 1):
            end = self.last_end if generation == self.last_log else None
            for change, _ in _read_records((folder / log_name(generation)).read_bytes()[:end], generation):
                if change != CLOSING_CHANGE:
                    yield change


def log_name(generation: int) -> str:
    """Return the name of a log."""
    return f"{generation}.wal"


def encode_record(generation: int, sequence: int, change: bytes) -> bytes:
    """Return the record of a change."""
    return _RECORD_HEADER.pack(len(change), sequence, _record_crc(generation, sequence, change)) + change


def open_log(folder: Path, generation: int, end: int) -> int:
    """Open a log for writing at `end`, without what follows there, and return the file descriptor."""
    descriptor = os.open(folder / log_name(generation), os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, end)
    return descriptor


def write_at(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of the content. Raises `OSError`."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal_snapshot(folder: Path) -> None:
    """Add the checksums to a snapshot, and make all of it durable. Raises `OSError`."""
    checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    content = json.dumps(checksums, sort_keys=True).encode()
    (folder / CHECKSUMS_FILE).write_bytes(content + b"\n" + hashlib.sha256(content).hexdigest().encode())
    for path in folder.iterdir():
        sync_folder(path)  # opens and syncs a file as well
    sync_folder(folder)


def read_state(folder: Path) -> FoundState:
    """Check all files of a folder, and return what it holds. Raises `DamagedStateError`, `OSError`."""
    snapshots = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    logs = [int(path.stem) for path in folder.glob("*.wal") if path.stem.isdigit()]
    is_new = not snapshots and all((folder / log_name(log)).stat().st_size == 0 for log in logs)
    acknowledged, notes = _read_acknowledged(folder, is_new=is_new)
    snapshot = max(snapshots, default=0)
    if acknowledged is not None and snapshot < acknowledged.snapshot:
        raise DamagedStateError(folder / str(acknowledged.snapshot), "is gone")
    if snapshot:
        _check_snapshot(folder / str(snapshot))
    if acknowledged is None and not notes:
        return FoundState(0, 0, 0, 0)
    generation = snapshot
    while True:
        sequence, end, closed = _check_log(folder / log_name(generation), generation, acknowledged)
        if closed:
            generation += 1
        elif acknowledged is not None and generation < acknowledged.log:
            raise DamagedStateError(folder / log_name(generation), "is damaged or truncated: its end is missing")
        else:
            return FoundState(snapshot, generation, sequence, end, notes)


def _read_acknowledged(folder: Path, *, is_new: bool) -> tuple[Acknowledged | None, tuple[str, ...]]:
    path = folder / ACKNOWLEDGED_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, () if is_new else (f"{path} was gone; it was written again from the log",)
    size = _ACKNOWLEDGED_FORMAT.size
    if len(content) != ACKNOWLEDGED_BYTES or struct.pack(">I", zlib.crc32(content[:size])) != content[size:]:
        return None, (f"{path} was damaged; it was written again from the log",)
    _, snapshot, log, end = _ACKNOWLEDGED_FORMAT.unpack(content[:size])
    return Acknowledged(snapshot, log, end), ()


def _check_snapshot(folder: Path) -> None:
    checksums_path = folder / CHECKSUMS_FILE
    try:
        content, _, own_digest = checksums_path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        raise DamagedStateError(checksums_path, "is gone") from None
    if hashlib.sha256(content).hexdigest().encode() != own_digest:
        raise DamagedStateError(checksums_path, "is damaged: its checksum differs")
    for name, digest in json.loads(content).items():
        path = folder / name
        if not path.is_file():
            raise DamagedStateError(path, "is gone")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise DamagedStateError(path, "is damaged: its checksum differs")


def _check_log(path: Path, generation: int, acknowledged: Acknowledged | None) -> tuple[int, int, bool]:
    """Return the last sequence number, the end of the last record, and whether the log is closed."""
    if not path.is_file():
        raise DamagedStateError(path, "is gone")
    content = path.read_bytes()
    sequence, end, closed = 0, 0, False
    for change, record_end in _read_records(content, generation):
        sequence, end = sequence + 1, record_end
        closed = change == CLOSING_CHANGE
    if acknowledged is not None and generation == acknowledged.log and end < acknowledged.end:
        problem = "is truncated" if len(content) < acknowledged.end else "is damaged"
        raise DamagedStateError(path, f"{problem}: only {end} of {acknowledged.end} bytes are readable")
    if acknowledged is None and not closed and content[end:].strip(b"\0"):
        raise DamagedStateError(path, f"is damaged: only {end} of {len(content)} bytes are readable")
    return sequence, end, closed


def _read_records(content: bytes, generation: int) -> Iterator[tuple[bytes, int]]:
    """Yield each change and where its record ends, up to the first record that is not complete and correct."""
    offset, sequence = 0, 0
    while len(content) >= offset + RECORD_OVERHEAD_BYTES:
        length, number, crc = _RECORD_HEADER.unpack_from(content, offset)
        end = offset + RECORD_OVERHEAD_BYTES + length
        change = content[offset + RECORD_OVERHEAD_BYTES : end]
        sequence += 1
        if not length or end > len(content) or number != sequence or crc != _record_crc(generation, number, change):
            return
        yield change, end
        offset = end


def _record_crc(generation: int, sequence: int, change: bytes) -> int:
    return zlib.crc32(change, zlib.crc32(struct.pack(">QQI", generation, sequence, len(change))))
