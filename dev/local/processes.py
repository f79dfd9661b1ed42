"""Start processes that end when the local service ends, and keep their output in log files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from dev.local.state import StateFolder

_DIE_WITH_PARENT_SCRIPT = Path(__file__).with_name("die_with_parent.py")
_READ_SIZE_BYTES = 64 * 1024
# Not for the terminal: the platform's lines and the line of each response, and JSON log lines below WARNING.
_LOG_FILE_ONLY = re.compile(
    rb'(?:START|END|REPORT) RequestId: |\{"(?:_aws|service)":|\{[^{}]{0,100}?"level": ?"(?:DEBUG|INFO)"',
)


def die_with_parent_command(command: Sequence[str], *, parent_pid: int) -> list[str]:
    """Return a command that ends when its parent ends. Start it from the main thread: Linux watches the thread."""
    return [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT_SCRIPT), str(parent_pid), *command]


class ManagedProcess:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, log_task: asyncio.Task[None]) -> None:
        self._process = process
        self._log_task = log_task

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self.alive

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while the process runs."""
        return self._process.returncode

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """Kill the process; with a grace period, send SIGTERM and wait that long first. Idempotent."""
        if self.alive and grace_seconds:
            self._send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_seconds)
        if self.alive:
            self._send_signal(signal.SIGKILL)
            await self._process.wait()
        # The process's own children may hold the pipe a moment longer.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._log_task, 1.0)

    def _send_signal(self, signal_number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal_number)


async def start_process(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log_name: str,
    state: StateFolder,
    echo: bool = False,
    inherited_descriptors: Collection[int] = (),
    on_output: Callable[[bytes], None] | None = None,
) -> ManagedProcess:
    """Start a process whose output goes to `.local/logs/<log_name>.log` and, with `echo`, to stderr too.

    `on_output` is called with each piece of output.

    The process inherits no open file but `inherited_descriptors`. It has a session of its own, so that Ctrl-C reaches
    the local service alone, which stops all in order.
    """
    process = await asyncio.create_subprocess_exec(
        *die_with_parent_command(command, parent_pid=os.getpid()),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherited_descriptors,
    )
    state.record_process(process.pid)
    assert process.stdout is not None
    log_task = asyncio.create_task(_copy_output(process.stdout, state.log_path(log_name), echo, on_output))
    return ManagedProcess(process, log_task)


async def _copy_output(
    source: asyncio.StreamReader, log_path: Path, echo: bool, on_output: Callable[[bytes], None] | None
) -> None:
    rest = b""
    with log_path.open("ab", buffering=0) as log:
        while data := await source.read(_READ_SIZE_BYTES):
            # A process whose output is not read would stand still: on a full disk its output is dropped.
            with contextlib.suppress(OSError):
                log.write(data)
            if on_output is not None:
                on_output(data)
            if echo:
                *lines, rest = (rest + data).split(b"\n")
                sys.stderr.buffer.write(b"".join(line + b"\n" for line in lines if is_for_terminal(line)))
                sys.stderr.buffer.flush()


def is_for_terminal(line: bytes) -> bool:
    """Return whether a line of a function's output is a warning, an error or no log line at all."""
    return _LOG_FILE_ONLY.match(line) is None
