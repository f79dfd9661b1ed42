"""Send the files of a folder once they no longer change, and remove what is safe on the service.

The folder is the backlog: a file stays in it until the service has committed it and its CRC32C was compared. So a power
loss at any moment loses nothing: the next run finds the file and continues its upload, or sees that it is there.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ferry_client.client import Ferry
from ferry_client.errors import (
    AccessError,
    CancelledError,
    FerryError,
    IntegrityError,
    NetworkError,
    QuotaError,
    SourceChangedError,
)
from ferry_client.local_files import LocalFile, walk
from ferry_client.models import IfExists
from ferry_client.sources import FileSource, range_crc32c
from ferry_client.state import write_atomically

STATE_FILE_NAME = ".ferry-spool.json"
"""The state of the spool, in its folder."""

REMOVED_PREFIX = ".ferry-removed-"
"""Begins the names of files on their way out: sent, verified, and about to be deleted or moved."""

MAX_PAUSE_SECONDS = 60.0
"""Longest pause while the network is away, the client has no access, or the quota is full."""

SENT_FOLDER_NAME = ".ferry-sent"
"""Where sent files are moved with `then="move"`, in the folder itself, so that a move is one rename."""


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """How a folder is watched."""

    then: Literal["delete", "move"] = "delete"
    """What becomes of a file that is safe on the service."""
    settle_seconds: float = 5.0
    """A file is sent once its size and modification time have not changed for this long."""
    scan_seconds: float = 2.0
    """Time between two looks at the folder."""
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
    """Files that the service or the disk rejects, with the reason. They stay, and are tried again when they change, or
    at the next start."""


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
        self.state = SpoolState()
        """What the spool is doing."""

    def run(self, *, once: bool = False) -> None:
        """Send what comes, until the client is closed. `once`: until the folder is empty or only holds what failed."""
        notify_systemd("READY=1")
        self._put_back_removed()
        while True:
            waiting = self._scan()
            self._save_state()
            ready = [file for file in waiting if self._is_at_rest(file) and str(file.path) not in self.state.rejected]
            looked_at = time.monotonic()
            for file in ready:
                if not self._send(file, once=once) or time.monotonic() - looked_at > self._options.scan_seconds:
                    break  # Newer files are found, and what failed is tried again, in the order of their times.
            if ready and not self._failures:
                continue
            if once and all(str(file.path) in self.state.rejected for file in waiting):
                return
            notify_systemd("WATCHDOG=1")
            self._ferry.api.sleep(min(MAX_PAUSE_SECONDS, self._options.scan_seconds * 2 ** min(self._failures, 5)))

    def _scan(self) -> list[LocalFile]:
        """Return the files of the folder, the oldest first. Names that begin with a dot are left out."""
        problems: dict[str, str] = {}
        files = [
            file
            for file in walk(self._folder, self._prefix, on_problem=problems.__setitem__)
            if not any(part.startswith(".") for part in file.path.relative_to(self._folder).parts)
        ]
        paths = {file.path for file in files}
        self._seen = {path: seen for path, seen in self._seen.items() if path in paths}
        known = {str(path) for path in paths}
        self.state.rejected = {path: text for path, text in self.state.rejected.items() if path in known} | problems
        self.state.backlog_files = len(files)
        self.state.backlog_bytes = sum(file.size for file in files)
        return sorted(files, key=lambda file: (_mtime_ns(file.path), file.name))

    def _is_at_rest(self, file: LocalFile) -> bool:
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
        notify_systemd(f"STATUS=sending {file.name}\nWATCHDOG=1")
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
        with closing(FileSource(file.path)) as source:
            result = self._ferry.upload(
                file.path,
                file.name,
                if_exists=self._options.if_exists,
                on_progress=lambda _: notify_systemd("WATCHDOG=1"),
            )
            committed = self._ferry.stat(result.file.name) if result.file else None
            source.raise_if_changed()
            crc = range_crc32c(source, 0, source.size)
            if committed is None or committed.crc32c != crc:
                if not source.is_at(file.path):
                    raise SourceChangedError(f"{file.path} was replaced while it was sent. The new file is sent next.")
                raise IntegrityError("the service has other bytes than this file")
            self._remove(file.path, source)
        self.state.sent_files += 1
        self.state.last_success_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.state.last_error = None
        self._on_event(f"sent {committed.name}")

    def _remove(self, path: Path, source: FileSource) -> None:
        """Remove the file that is safe, and make that durable.

        The name may have been taken by a newer file at any moment. So it is renamed first, then looked at: only the
        file that was sent goes.

        Raises:
            SourceChangedError: another file had the name. It is back under it.
        """
        hidden = path.with_name(f"{REMOVED_PREFIX}{secrets.token_hex(8)}")
        try:
            path.rename(hidden)
        except FileNotFoundError:
            return
        if not source.is_at(hidden):
            _put_back(hidden, path)
            raise SourceChangedError(f"{path} was replaced while it was sent. The new file is sent next.")
        if self._options.then == "delete":
            hidden.unlink(missing_ok=True)
        else:
            target = self._folder / SENT_FOLDER_NAME / path.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            _put_back(hidden, target)
        self._seen.pop(path, None)
        _sync_folder(path.parent)

    def _put_back_removed(self) -> None:
        """Give files a visible name whose removal a crash interrupted. The service recognizes those that it has."""
        for hidden in list(self._folder.rglob(f"{REMOVED_PREFIX}*")):
            _put_back(hidden, hidden.with_name(hidden.name.removeprefix(REMOVED_PREFIX)))

    def _save_state(self) -> None:
        state = {name: getattr(self.state, name) for name in self.state.__slots__}
        state["updated_at"] = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")
        with suppress(OSError):
            write_atomically(self._folder / STATE_FILE_NAME, json.dumps(state, indent=1).encode(), mode=0o644)


def notify_systemd(message: str) -> None:
    """Send a message to systemd where it started this process with `Type=notify` (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _put_back(path: Path, target: Path) -> None:
    """Rename a file to the first free name of `name.ext`, `name (2).ext` and so on. Nothing is replaced."""
    number, free = 1, target
    while True:
        try:
            os.link(path, free)
        except FileExistsError:
            number += 1
            free = target.with_name(f"{target.stem} ({number}){target.suffix}")
        except OSError:  # This file system has no hard links.
            path.rename(free)
            return
        else:
            path.unlink()
            return


def _mtime_ns(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
