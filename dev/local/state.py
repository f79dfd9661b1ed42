"""The state folder (`.local`): locked for one run at a time, with everything that outlives a run, and the logs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dev.local.errors import LocalError

START_ANEW = "`make run CLEAN=1`"
"""The command that deletes all state and starts with none."""
_CHECKSUM_MEMBER = "sha256"
_MAX_LOG_BYTES = 10 * 1024 * 1024


class StateFolder:
    """The folder, locked for this run."""

    def __init__(self, folder: Path) -> None:
        """Create the folder where it is missing, and lock it.

        Raises:
            LocalError: another run has locked it, or it is not writable.
        """
        self.folder = folder
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = (folder / "lock").open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise LocalError(unusable_path(error, folder)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            other = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise LocalError(
                f"another run (pid {other}) uses {folder}: stop it first (Ctrl-C in its terminal, or kill {other}), "
                "or choose another folder with --state"
            ) from None
        try:
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()))
            self._lock.flush()
            self._kill_leftover_processes()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._lock.close()
            raise LocalError(unusable_path(error, folder)) from None

    def close(self) -> None:
        """Unlock the folder."""
        self._lock.close()

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's object; an empty one when there is no file. Raises `LocalError` when it is damaged."""
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LocalError(f"{path} is damaged: delete it, and the next start writes it; or start anew: {START_ANEW}")
        return found

    def read_checked_json(self, name: str) -> dict[str, Any]:
        """Return what `write_checked_json` wrote; an empty object when there is no file. Raises `LocalError`."""
        try:
            found: dict[str, Any] | None = self.read_json(name)
        except LocalError:
            found = None
        if found is None or (found and found.pop(_CHECKSUM_MEMBER, None) != _checksum(found)):
            raise LocalError(
                f"{self.folder / name} is damaged: its checksum differs. "
                f"Put it back from a copy, or delete all state and start with none: {START_ANEW}"
            )
        return found

    def write_checked_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Replace a JSON file as `write_json` does, with a checksum."""
        return self.write_json(name, {**content, _CHECKSUM_MEMBER: _checksum(content)})

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Replace a JSON file in one step and return its path. Only its owner may read it."""
        return self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, content: str) -> Path:
        """Replace a text file in one step and return its path. Only its owner may read it."""
        path = self.folder / name
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        return path

    def log_path(self, name: str) -> Path:
        """Return the path of a log. A log over 10 MiB is renamed to `<name>.log.1` first."""
        path = self.folder / "logs" / f"{name}.log"
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def record_process(self, pid: int) -> None:
        """Record a child with its start time, so that a later run can tell it from another process with that pid."""
        # On a full disk the record is left out: it matters only where there is no parent-death signal.
        with contextlib.suppress(OSError), (self.folder / "processes").open("a", encoding="utf-8") as file:
            file.write(f"{pid} {_process_start_time(pid)}\n")

    def _kill_leftover_processes(self) -> None:
        """Kill children of an earlier run. They exist only where the system has no parent-death signal."""
        records = self.folder / "processes"
        if records.exists():
            for line in records.read_text(encoding="utf-8", errors="replace").splitlines():
                pid, _, started_at = line.partition(" ")
                if pid.isdigit() and started_at and _process_start_time(int(pid)) == started_at:
                    os.kill(int(pid), signal.SIGKILL)
        records.write_text("", encoding="utf-8")


def _process_start_time(pid: int) -> str:
    """Return a process's start time in ticks since boot (proc(5), field 22); an empty string when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19]


def unusable_path(error: OSError, folder: Path) -> str:
    """Return in one line why a path of the state folder cannot be used, and what to do."""
    path = error.filename or folder
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        problem = "is a file where a folder is needed: move it away"
    elif error.errno == errno.EISDIR:
        problem = "is a folder where a file is needed: move it away"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        problem = "cannot be written, because its disk is full: free some space"
    else:
        problem = f"cannot be written ({error.strerror}): make it writable for this user"
    return f"{path} {problem}, or choose another folder with --state"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def new_secret() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def delete_state(folder: Path, announce: Callable[[], None] = lambda: None) -> None:
    """Delete the folder with all state. Raises `LocalError` when a run has locked it, or it is not writable.

    `announce` is called before anything is deleted.
    """
    if folder.exists():
        with contextlib.closing(StateFolder(folder)):
            announce()
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            # The folder itself may be a mount point, which stays.
            with contextlib.suppress(OSError):
                folder.rmdir()
