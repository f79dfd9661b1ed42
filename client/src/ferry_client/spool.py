"""Send the files of a folder as they come to rest, and remove what is safe on the service.

The folder is the backlog: a file stays in it until the service has committed it and its CRC32C was compared. So a power
loss at any moment loses nothing: the next run finds the file and continues its upload, or sees that it is there.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ferry_client.client import Ferry
from ferry_client.errors import CancelledError, FerryError, IntegrityError, NetworkError, SourceChangedError
from ferry_client.local_files import LocalFile, walk
from ferry_client.models import IfExists
from ferry_client.sources import FileSource, range_crc32c
from ferry_client.state import write_atomically

STATE_FILE_NAME = ".ferry-spool.json"
"""The state of the spool, in its folder."""

SENT_FOLDER_NAME = ".ferry-sent"
"""Where sent files are moved with `then="move"`, in the folder itself, so that a move is one rename."""


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """How a folder is watched."""

    then: Literal["delete", "move"] = "delete"
    """What becomes of a file that is safe on the service."""
    settle_seconds: float = 5.0
    """A file is at rest when size and modification time have not changed for this long."""
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
    """Files that the service or the disk rejects, with the reason. They stay, and are tried again at the next start."""


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
        self.state = SpoolState()
        """What the spool is doing."""

    def run(self, *, once: bool = False) -> None:
        """Send what comes, until the client is closed. `once`: until the folder is empty or only holds what failed."""
        notify_systemd("READY=1")
        while True:
            waiting = self._scan()
            self._save_state()
            ready = [file for file in waiting if self._is_at_rest(file) and str(file.path) not in self.state.rejected]
            if ready:
                self._send(ready[0])
                continue
            if once and all(str(file.path) in self.state.rejected for file in waiting):
                return
            notify_systemd("WATCHDOG=1")
            self._ferry.api.sleep(self._options.scan_seconds)

    def _scan(self) -> list[LocalFile]:
        """Return the files of the folder, the oldest first. Names that begin with a dot are left out."""
        files = [
            file
            for file in walk(self._folder, self._prefix)
            if not any(part.startswith(".") for part in file.path.relative_to(self._folder).parts)
        ]
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
                return self._options.settle_seconds <= 0
            return time.monotonic() - since >= self._options.settle_seconds
        return False

    def _send(self, file: LocalFile) -> None:
        self.state.sending = file.name
        self._save_state()
        notify_systemd(f"STATUS=sending {file.name}\nWATCHDOG=1")
        try:
            self._send_and_verify(file)
        except (CancelledError, KeyboardInterrupt):
            raise
        except (NetworkError, SourceChangedError) as error:
            self._seen.pop(file.path, None)
            self.state.last_error = str(error)
            self._on_event(f"{file.name}: {error}")
        except FerryError as error:
            self.state.last_error = str(error)
            self.state.rejected[str(file.path)] = str(error)
            self._on_event(f"{file.name} stays in the folder: {error}")
        finally:
            self.state.sending = None

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
            if committed is None or committed.crc32c != range_crc32c(source, 0, source.size):
                raise IntegrityError("the service has other bytes than this file")
        self._remove(file.path)
        self.state.sent_files += 1
        self.state.last_success_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.state.last_error = None
        self._on_event(f"sent {committed.name}")

    def _remove(self, path: Path) -> None:
        """Remove a file that is safe, and make that durable."""
        if self._options.then == "delete":
            path.unlink(missing_ok=True)
        else:
            target = self._folder / SENT_FOLDER_NAME / path.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        self._seen.pop(path, None)
        _sync_folder(path.parent)

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
