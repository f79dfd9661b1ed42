"""Send the files of a folder once they no longer change, and remove what is safe on the service.

The folder is the queue: a file stays in it until the service has committed it and its CRC32C was compared. So a power
loss at any moment loses nothing: the next run finds the file and continues its upload, or sees that it is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ferry_client.atomic_files import write_atomically
from ferry_client.client import Ferry
from ferry_client.errors import (
    AccessError,
    CancelledError,
    FerryError,
    IntegrityError,
    LocalFileError,
    NetworkError,
    NotFoundError,
    QuotaError,
    SourceChangedError,
)
from ferry_client.etags import has_content
from ferry_client.folder_walk import WalkRules, walk
from ferry_client.local_files import LocalFile
from ferry_client.models import FileRecord, IfExists
from ferry_client.options import MIB
from ferry_client.sources import FileSource, range_crc32c
from ferry_client.spool_folder import FolderLock, Removal
from ferry_client.systemd import notify_systemd

STATE_FILE_NAME = ".ferry-spool.json"
"""The state of the spool, in its folder."""

MAX_PAUSE_SECONDS = 60.0
"""Longest pause while the network is away, the client has no access, or the quota is full."""

LOCAL_RETRY_SECONDS = 600.0
"""Time after which a file that could not be read or removed is tried again."""

COMPARED_FROM_BYTES = MIB // 4
"""Files from this size on are looked up on the service before they are sent. Smaller ones go in one request, whose
rejection says so."""

_VISIBLE = WalkRules(exclude=(".*",))
"""The files that are sent: no name in their paths begins with a dot."""


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """How a folder is watched."""

    then: Literal["delete", "move"] = "delete"
    """What becomes of a file that is safe on the service."""
    settle_seconds: float = 5.0
    """A file is sent once its size and modification time have not changed for this long."""
    scan_seconds: float = 2.0
    """Time between two scans of the folder."""
    if_exists: IfExists = "rename"
    """What to do where the name has another file."""


@dataclass(slots=True)
class SpoolState:
    """What the spool is doing, as its state file says it."""

    backlog_files: int = 0
    """Files that wait, those that are still written included."""
    backlog_bytes: int = 0
    """Their bytes."""
    sent_files: int = 0
    """Files sent since the start."""
    sending: str | None = None
    """The file that is being sent."""
    last_success_at: str | None = None
    """When the last file was safe (RFC 3339)."""
    last_error: str | None = None
    """What went wrong last; None after a success."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Files that the service or the disk rejects, with the reason. They stay, and are tried again when they change, at
    the next start, and after ten minutes if it was the disk."""


class Spool:
    """Watches one folder. Files are sent one after the other, the oldest first."""

    def __init__(
        self,
        ferry: Ferry,
        folder: Path,
        prefix: str,
        options: SpoolOptions,
        *,
        on_event: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ferry = ferry
        self._folder = folder
        self._prefix = prefix
        self._options = options
        self._on_event = on_event
        self._now = now
        self._seen: dict[Path, tuple[int, int, float]] = {}
        """Size, modification time, and since when a file has had both."""
        self._failures = 0
        """Failures in a row that concern all files."""
        self._lock = FolderLock(folder)
        self._removal = Removal(folder, options.then)
        self._local_failures: dict[str, float] = {}
        """When the local disk failed, by the paths in `SpoolState.rejected` that are tried again (monotonic)."""
        self.state = SpoolState()
        """What the spool is doing."""

    def run(self, *, once: bool = False) -> None:
        """Send what comes, until the client is closed. `once`: until the folder is empty or only holds what failed.

        Raises:
            LocalFileError: another process watches the folder, or it cannot be written.
            FerryError: with `once`, an error that concerns all files.
        """
        self._attach()
        notify_systemd(READY="1")
        try:
            while self._run_round(once=once):
                notify_systemd(WATCHDOG="1")
        finally:
            notify_systemd(STOPPING="1")
            self._lock.release()

    def _run_round(self, *, once: bool) -> bool:
        """Look at the folder, and send what is ready. Return False when `once` has nothing more to do."""
        if not self._is_attached(once=once):
            self._ferry.api.sleep(self._options.scan_seconds)
            return True
        waiting = self._scan()
        self._save_state()
        ready = [file for file in waiting if self._is_settled(file) and str(file.path) not in self.state.rejected]
        looked_at = time.monotonic()
        for file in ready:
            if not self._send(file, once=once) or time.monotonic() - looked_at > self._options.scan_seconds:
                break  # Newer files are found, and what failed is tried again, in the order of their times.
        if ready and not self._failures:
            return True
        if once and all(str(file.path) in self.state.rejected for file in waiting):
            return False
        notify_systemd(STATUS=f"{len(waiting)} files in the folder, {len(self.state.rejected)} of them rejected")
        self._ferry.api.sleep(min(MAX_PAUSE_SECONDS, self._options.scan_seconds * 2 ** min(self._failures, 5)))
        return True

    def _attach(self) -> None:
        """Lock the folder, and finish what a crash interrupted. Raises `LocalFileError`."""
        self._lock.acquire()
        self._removal.finish_interrupted(self._on_event)

    def _is_attached(self, *, once: bool) -> bool:
        """Return whether the folder is there and locked. A folder that vanished is waited for, and locked again."""
        if self._lock.is_held():
            return True
        if once or self._folder.is_dir():
            self._attach()
            return True
        text = f"{self._folder} is gone. It is watched again when it is back."
        if self.state.last_error != text:
            self._on_event(text)
            notify_systemd(STATUS=text)
        self.state.last_error = text
        return False

    def _scan(self) -> list[LocalFile]:
        """Return the files of the folder, the oldest first. Names that begin with a dot are left out."""
        problems: dict[str, str] = {}
        files = list(walk(self._folder, self._prefix, _VISIBLE, on_problem=problems.__setitem__))
        paths = {file.path for file in files}
        self._seen = {path: seen for path, seen in self._seen.items() if path in paths}
        known = {str(path) for path in paths} - self._retried()
        self.state.rejected = {path: text for path, text in self.state.rejected.items() if path in known} | problems
        self.state.backlog_files = len(files)
        self.state.backlog_bytes = sum(file.size for file in files)
        return sorted(files, key=lambda file: (_mtime_ns(file.path), file.name))

    def _retried(self) -> set[str]:
        """Return the rejected paths that are tried again, and forget when they failed."""
        oldest = time.monotonic() - LOCAL_RETRY_SECONDS
        retried = {path for path, failed_at in self._local_failures.items() if failed_at < oldest}
        for path in retried:
            del self._local_failures[path]
        return retried

    def _is_settled(self, file: LocalFile) -> bool:
        """Return whether the file has not changed for `settle_seconds`, by this process's own observation."""
        with suppress(OSError):
            status = file.path.stat()
            size, mtime_ns, since = self._seen.get(file.path, (-1, -1, 0.0))
            if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
                self._seen[file.path] = (status.st_size, status.st_mtime_ns, time.monotonic())
                self.state.rejected.pop(str(file.path), None)
                return self._options.settle_seconds <= 0
            return time.monotonic() - since >= self._options.settle_seconds
        return False

    def _send(self, file: LocalFile, *, once: bool) -> bool:
        """Send a file, and return whether the next one may follow at once."""
        self.state.sending = file.name
        self._save_state()
        notify_systemd(STATUS=f"sending {file.name}", WATCHDOG="1")
        try:
            self._send_and_verify(file)
        except (CancelledError, KeyboardInterrupt):
            raise
        except SourceChangedError as error:
            self._seen.pop(file.path, None)
            self._report_error(f"{file.name}: {error}", error)
        except (NetworkError, AccessError, QuotaError) as error:
            # It concerns every file. The spool continues when the network, the access or the quota is back.
            self._failures += 1
            self._report_error(f"{file.name} waits: {error}", error)
            if once:
                raise
            return False
        except FerryError as error:
            self.state.rejected[str(file.path)] = str(error)
            if isinstance(error, LocalFileError):
                self._local_failures[str(file.path)] = time.monotonic()
            self._report_error(f"{file.name} stays in the folder: {error}", error)
        else:
            self._failures = 0
        finally:
            self.state.sending = None
            self._save_state()
        return True

    def _report_error(self, text: str, error: FerryError) -> None:
        self.state.last_error = str(error)
        self._on_event(text)

    def _send_and_verify(self, file: LocalFile) -> None:
        """Send a file, compare the checksums, and remove it. Raises `FerryError`."""
        with closing(FileSource(file.path)) as source:
            committed = self._find_committed(file, source) or self._upload(file)
            source.raise_if_changed()
            crc = range_crc32c(source, 0, source.size)
            if committed is None or committed.crc32c != crc:
                if not source.is_at(file.path):
                    raise SourceChangedError(f"{file.path} was replaced while it was sent. The new file is sent next.")
                raise IntegrityError("the service has other bytes than this file")
            self._removal.remove(file.path, source)
            self._seen.pop(file.path, None)
        self.state.sent_files += 1
        self.state.last_success_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.state.last_error = None
        self._on_event(f"sent {committed.name}")

    def _find_committed(self, file: LocalFile, source: FileSource) -> FileRecord | None:
        """Return the file on the service if an earlier run committed it, and ended before it removed it here.

        The upload of a large file is recognized by its fingerprint, which changes with the number of the device.
        """
        if source.size < COMPARED_FROM_BYTES:
            return None
        try:
            record = self._ferry.stat(file.name)
        except NotFoundError:
            return None
        if (record.size, record.crc32c) != (source.size, range_crc32c(source, 0, source.size)):
            return None
        return record if has_content(file.path, record.etag) else None

    def _upload(self, file: LocalFile) -> FileRecord | None:
        result = self._ferry.upload(
            file.path,
            file.name,
            if_exists=self._options.if_exists,
            on_progress=lambda _: notify_systemd(WATCHDOG="1"),
        )
        return self._ferry.stat(result.file.name) if result.file else None

    def _save_state(self) -> None:
        state = {name: getattr(self.state, name) for name in self.state.__slots__}
        state["updated_at"] = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")
        with suppress(OSError):
            path = self._folder / STATE_FILE_NAME
            data = json.dumps(state, indent=1).encode()
            write_atomically(path, data, mode=0o644, temporary=path.with_name(f"{STATE_FILE_NAME}.tmp"))


def _mtime_ns(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
