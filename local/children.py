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

from local.state import State

_LEASH = Path(__file__).with_name("leash.py")
_PIECE = 64 * 1024
# What the platform and a function's metrics say of every single call goes to the log file only.
_NOISE = (b"START RequestId: ", b"END RequestId: ", b"REPORT RequestId: ", b'{"_aws":')


def leashed(command: Sequence[str], *, parent: int) -> list[str]:
    """The command, put on a leash. Must be started from the runner's main thread: the leash is tied to the thread."""
    return [sys.executable, "-I", "-S", str(_LEASH), str(parent), *command]


class Child:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, pump: asyncio.Task[None]) -> None:
        self._process = process
        self._pump = pump

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def is_alive(self) -> bool:
        return self.alive

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def stop(self, grace: float = 0.0) -> None:
        """End it: asked first when there are seconds of `grace`. Idempotent."""
        if self.alive and grace:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace)
        if self.alive:
            self._signal(signal.SIGKILL)
            await self._process.wait()
        # Its own children may hold the pipe a moment longer.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pump, 1.0)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


async def start(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: str, state: State, echo: bool = False
) -> Child:
    """Start a process whose output goes to `.local/logs/<log>.log` and, with `echo`, to stderr too.

    It is in a session of its own, so that Ctrl-C reaches the runner alone, which then stops all in order.
    """
    process = await asyncio.create_subprocess_exec(
        *leashed(command, parent=os.getpid()),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    state.note_child(process.pid)
    assert process.stdout is not None
    pump = asyncio.create_task(_pump(process.stdout, state.log_file(log), echo))
    return Child(process, pump)


async def _pump(source: asyncio.StreamReader, path: Path, echo: bool) -> None:
    rest = b""
    with path.open("ab", buffering=0) as log:
        while piece := await source.read(_PIECE):
            log.write(piece)
            if echo:
                *lines, rest = (rest + piece).split(b"\n")
                sys.stderr.buffer.write(b"".join(line + b"\n" for line in lines if not line.startswith(_NOISE)))
                sys.stderr.buffer.flush()
