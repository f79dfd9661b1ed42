"""Keep a state as a snapshot and a write-ahead log of the changes since: nothing acknowledged is lost, damage is found.

Generation n is the folder `n` (a snapshot, complete before it gets this name; none for generation 0) and the file
`n.wal`, the log of the later changes. While snapshot n+1 is written, changes go to `n+1.wal` already. Until it is
complete, snapshot n with the logs n and n+1 is the whole state. The file `acknowledged` says how much of the last log
was acknowledged: `dev.local.wal_files` has the formats.

Space for a change is reserved before the change is made, so that a full disk rejects it instead of tearing the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from dev.local import wal_files
from dev.local.wal_files import Acknowledged, FoundState

_RESERVE_STEP_BYTES = 1024 * 1024
_CLOSING_BYTES = 256
"""Space that stays reserved for the record that ends a log."""


class LogFailedError(Exception):
    """The log could not be written: the changes that wait for it are not acknowledged, and the state must be reread."""


class WriteAheadLog:
    """The state of a folder. `change_count` counts the changes since the last `rotate`.

    All methods are for one thread. Writing to the disk happens in another one, which `commit` waits for.

    Raises:
        DamagedStateError: an acknowledged change or a snapshot is not readable.
        OSError: the folder is not readable or not writable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.new"):
            shutil.rmtree(unfinished)
        self._found: FoundState = wal_files.read_state(folder)
        self.generation = self._found.snapshot
        self.change_count = 0
        self._log_generation = self._found.last_log
        self._sequence = self._found.last_sequence
        # `_end` is where the next write goes, and belongs to the writing thread. `_queued_end` includes the queue.
        self._end = self._queued_end = self._allocated_end = self._found.last_end
        self._promised_bytes = 0
        self._queue: deque[bytes] = deque()
        self._queued_count = self._written_count = 0
        self._failure: OSError | None = None
        self._writer: asyncio.Task[None] | None = None
        self._disk_lock = threading.Lock()
        self._log = wal_files.open_log(folder, self._log_generation, self._end)
        self._acknowledged = os.open(folder / wal_files.ACKNOWLEDGED_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._write_acknowledged()
        os.ftruncate(self._acknowledged, wal_files.ACKNOWLEDGED_BYTES)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was repaired, in sentences."""
        return self._found.notes

    @property
    def snapshot_folder(self) -> Path:
        """The folder of the latest snapshot. Before the first snapshot it does not exist."""
        return self.folder / str(self.generation)

    def pending_changes(self) -> Iterator[bytes]:
        """Yield the changes since the snapshot that the folder had when it was opened, in order."""
        return self._found.changes(self.folder)

    def reserve(self, change_bytes: int) -> int:
        """Reserve disk space for a change, and return the number of bytes for `release`. Raises `OSError`: no space."""
        if self._failure is not None:
            raise self._failure
        needed = change_bytes + wal_files.RECORD_OVERHEAD_BYTES
        missing = self._queued_end + self._promised_bytes + needed + _CLOSING_BYTES - self._allocated_end
        if missing > 0:
            self._allocate(missing)
        self._promised_bytes += needed
        return needed

    def release(self, reserved: int) -> None:
        """Give reserved space back: after the change was appended, or was not made."""
        self._promised_bytes -= reserved

    def append(self, change: bytes) -> None:
        """Queue a change, in the order of the calls. It may be acknowledged after the next `commit`."""
        self._sequence += 1
        record = wal_files.encode_record(self._log_generation, self._sequence, change)
        self._queue.append(record)
        self._queued_end += len(record)
        self._queued_count += 1
        self.change_count += 1

    async def commit(self) -> None:
        """Wait until every queued change is on the disk. Concurrent callers share an fsync. Raises `LogFailedError`."""
        target = self._queued_count
        while self._written_count < target:
            if self._failure is not None:
                raise LogFailedError(str(self._failure))
            if self._writer is None:
                self._writer = asyncio.create_task(asyncio.to_thread(self._write_queue))
                self._writer.add_done_callback(self._forget_writer)
            await asyncio.wait({self._writer})

    def commit_now(self) -> None:
        """Write every queued change in this thread. Raises `LogFailedError`."""
        self._write_queue()
        if self._failure is not None:
            raise LogFailedError(str(self._failure))

    def rotate(self) -> int:
        """Start the log of the next generation, and return the generation of the snapshot to take.

        Raises:
            OSError: there is no space for a new log; the current one stays in use.
            LogFailedError: the current log could not be written.
        """
        generation = self._log_generation + 1
        new_log = wal_files.open_log(self.folder, generation, 0)
        allocated_end = self._promised_bytes + _CLOSING_BYTES
        try:
            os.posix_fallocate(new_log, 0, allocated_end)
        except OSError:
            os.close(new_log)
            (self.folder / wal_files.log_name(generation)).unlink()
            raise
        self.append(wal_files.CLOSING_CHANGE)
        self.commit_now()
        with self._disk_lock:
            os.close(self._log)
            self._log, self._log_generation = new_log, generation
            self._sequence = self._end = self._queued_end = 0
            self._allocated_end = allocated_end
            self._write_acknowledged()
            wal_files.sync_folder(self.folder)
        self.change_count = 0
        return generation

    def temporary_folder(self, generation: int) -> Path:
        """Return the folder in which to write that snapshot."""
        return self.folder / f"{generation}.new"

    def commit_snapshot(self, generation: int) -> None:
        """Give a complete snapshot its checksums and its name. Raises `OSError`."""
        wal_files.seal_snapshot(self.temporary_folder(generation))
        self.temporary_folder(generation).rename(self.folder / str(generation))
        wal_files.sync_folder(self.folder)

    def discard_snapshot(self, generation: int) -> None:
        """Delete an incomplete snapshot."""
        shutil.rmtree(self.temporary_folder(generation), ignore_errors=True)

    def delete_before(self, generation: int) -> None:
        """Delete what the snapshot of a generation replaces. A later snapshot may have replaced it in the meantime."""
        self.generation = generation = max(generation, self.generation)
        with self._disk_lock:
            self._write_acknowledged()
            os.fsync(self._acknowledged)
        for path in self.folder.iterdir():
            if path.stem.isdigit() and int(path.stem) < generation:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """Write what is queued, and close the files. Idempotent."""
        if self._log >= 0:
            self._write_queue()
            os.close(self._log)
            os.close(self._acknowledged)
            self._log = self._acknowledged = -1

    def _allocate(self, missing: int) -> None:
        """Reserve disk space behind the log's end, in large steps where there is room. Raises `OSError`."""
        try:
            os.posix_fallocate(self._log, self._allocated_end, max(missing, _RESERVE_STEP_BYTES))
            self._allocated_end += max(missing, _RESERVE_STEP_BYTES)
        except OSError:
            os.posix_fallocate(self._log, self._allocated_end, missing)
            self._allocated_end += missing

    def _forget_writer(self, _: asyncio.Task[None]) -> None:
        self._writer = None

    def _write_queue(self) -> None:
        """Write what is queued, and say that it is acknowledged. After a failure nothing is written any more."""
        with self._disk_lock:
            records: list[bytes] = []
            while self._queue:
                records.append(self._queue.popleft())
            if not records or self._failure is not None:
                return
            batch = b"".join(records)
            try:
                wal_files.write_at(self._log, batch, self._end)
                os.fdatasync(self._log)
                self._end += len(batch)
                self._write_acknowledged()
            except OSError as error:
                self._failure = error
                return
            self._written_count += len(records)

    def _write_acknowledged(self) -> None:
        content = Acknowledged(self.generation, self._log_generation, self._end).encode()
        wal_files.write_at(self._acknowledged, content, 0)
