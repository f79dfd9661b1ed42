"""Processes that end with the runner: started on a leash, their output kept in a log file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.local.state import StateFolder

_DIE_WITH_PARENT_SCRIPT = Path(__file__).with_name("die_with_parent.py")
_READ_SIZE_BYTES = 64 * 1024
# What the platform and a function's metrics say of every single call goes to the log file only.
_SUPPRESSED_PREFIXES = (b"START RequestId: ", b"END RequestId: ", b"REPORT RequestId: ", b'{"_aws":')


def die_with_parent_command(command: Sequence[str], *, parent_pid: int) -> list[str]:
    """The command, put on a leash. Must be started from the runner's main thread: the leash is tied to the thread."""
    return [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT_SCRIPT), str(parent_pid), *command]


class ManagedProcess:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, log_task: asyncio.Task[None]) -> None:
        self._process = process
        self._log_task = log_task

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def is_alive(self) -> bool:
        return self.alive

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """End it: asked first when there are seconds of `grace`. Idempotent."""
        if self.alive and grace_seconds:
            self._send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_seconds)
        if self.alive:
            self._send_signal(signal.SIGKILL)
            await self._process.wait()
        # Its own children may hold the pipe a moment longer.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._log_task, 1.0)

    def _send_signal(self, signal_number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal_number)


async def start_process(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log_name: str, state: StateFolder, echo: bool = False
) -> ManagedProcess:
    """Start a process whose output goes to `.local/logs/<log>.log` and, with `echo`, to stderr too.

    It is in a session of its own, so that Ctrl-C reaches the runner alone, which then stops all in order.
    """
    process = await asyncio.create_subprocess_exec(
        *die_with_parent_command(command, parent_pid=os.getpid()),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    state.record_process(process.pid)
    assert process.stdout is not None
    pump = asyncio.create_task(_pump_output(process.stdout, state.log_path(log_name), echo))
    return ManagedProcess(process, pump)


async def _pump_output(source: asyncio.StreamReader, log_path: Path, echo: bool) -> None:
    rest = b""
    with log_path.open("ab", buffering=0) as log:
        while piece := await source.read(_READ_SIZE_BYTES):
            log.write(piece)
            if echo:
                *lines, rest = (rest + piece).split(b"\n")
                sys.stderr.buffer.write(
                    b"".join(line + b"\n" for line in lines if not line.startswith(_SUPPRESSED_PREFIXES))
                )
                sys.stderr.buffer.flush()
