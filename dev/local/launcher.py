"""Run a local service as a child process of the demo or of a test; stop it, or kill every process of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dev.local import tcp_ports
from dev.local.errors import LocalError
from dev.paths import ROOT

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
_EXIT_TIMEOUT_SECONDS = 10.0


class LocalService:
    """A running service with a state folder of its own."""

    def __init__(
        self,
        state_folder: Path,
        *,
        parameters: str = "",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, and return once it is ready. Its output goes to `<state>.log`.

        Args:
            state_folder: where it keeps everything.
            parameters: template parameters, `"Name=value Other=value"`.
            options: more command-line options of `python -m dev.local`.
            environment: values for environment variables that the template declares for its functions.

        Raises:
            LocalError: it does not start.
        """
        variables = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        self.state_folder = state_folder
        self._log_path = state_folder.with_name(f"{state_folder.name}.log")
        self._process = self._start_process(["--params", parameters, *variables, *options])
        try:
            self.ready_line = self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _start_process(self, options: Sequence[str]) -> subprocess.Popen[str]:
        port = tcp_ports.free_ports(1)[0]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "dev.local", "--quiet", "--exit-with-parent"),
                    *("--state", str(self.state_folder), "--port", str(port), *options),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                # Ctrl-C reaches the parent alone, which then stops this service.
                start_new_session=True,
            )

    def _wait_until_ready(self) -> str:
        assert self._process.stdout is not None
        timer = threading.Timer(START_TIMEOUT_SECONDS, self._process.kill)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith("ready"):
                    return line.strip()
        finally:
            timer.cancel()
        raise LocalError(f"the service did not start; the end of its log:\n{self.read_log()[-2000:]}")

    @property
    def connection_info(self) -> dict[str, Any]:
        """The addresses and the clients (`ferry.json`)."""
        found: dict[str, Any] = json.loads((self.state_folder / "ferry.json").read_text(encoding="utf-8"))
        return found

    def read_log(self) -> str:
        """Return what the service printed to stderr."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Stop the service as Ctrl-C does, and return its exit code. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_SECONDS)
        self.kill()
        return self._process.returncode

    def kill(self) -> int:
        """Kill every process of the service with SIGKILL, and return how many there were. Idempotent."""
        killed = 0
        while pids := find_processes(self.state_folder):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _wait_until_exited(pids)
            self._process.poll()
            killed += len(pids)
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return killed


def find_processes(state_folder: Path) -> list[int]:
    """Return the processes that have this folder in their command or their environment. Linux only."""
    marker = re.compile(re.escape(str(state_folder).encode()) + rb"[/\0]")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            texts = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes() + b"\0"
            if marker.search(texts) and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def _wait_until_exited(pids: Sequence[int]) -> None:
    """Wait until the processes have ended. They need not be children of this one."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # Readable once the process has ended, even while it is a zombie.
                select.select([handle], [], [], _EXIT_TIMEOUT_SECONDS)
            finally:
                os.close(handle)
