"""The folder .local: one run at a time on it, what must outlive a run, and the logs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.local.errors import LocalError

_MAX_LOG_BYTES = 10 * 1024 * 1024


class StateFolder:
    """The folder, locked for this run."""

    def __init__(self, folder: Path) -> None:
        """Raises `LocalError` when another run has it."""
        self.folder = folder
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._lock = (folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            other = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise LocalError(
                f"another run (pid {other}) works on {folder}: stop it first, or choose another --state"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._kill_leftover_processes()

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file's object; empty when there is none. Raises `LocalError` when it is damaged."""
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LocalError(
                f"{path} is damaged: delete it to have it made anew, or all state with `python -m dev.local --reset`"
            )
        return found

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Replace a JSON file in one step; only the owner may read it."""
        path = self.folder / name
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        return path

    def log_path(self, name: str) -> Path:
        """Where a log goes; one that has grown too long is put aside first."""
        path = self.folder / "logs" / f"{name}.log"
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def record_process(self, pid: int) -> None:
        """Note a child with the moment it began, so that a later run can tell it from another process of that pid."""
        with (self.folder / "processes").open("a", encoding="utf-8") as file:
            file.write(f"{pid} {_process_start_time(pid)}\n")

    def _kill_leftover_processes(self) -> None:
        """End what an earlier run left behind: only where there are no leashes, for no program outlives them."""
        notes = self.folder / "processes"
        if notes.exists():
            for line in notes.read_text(encoding="utf-8").splitlines():
                pid, _, began = line.partition(" ")
                if pid.isdigit() and began and _process_start_time(int(pid)) == began:
                    os.kill(int(pid), signal.SIGKILL)
        notes.write_text("", encoding="utf-8")


def _process_start_time(pid: int) -> str:
    """When a process began, in ticks since the machine did (proc(5), field 22); empty when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19]


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def delete_state(folder: Path) -> None:
    """Delete all state. Raises `LocalError` when a run has it."""
    if folder.exists():
        with contextlib.closing(StateFolder(folder)):
            shutil.rmtree(folder)
