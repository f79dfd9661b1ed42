"""Run a program for as long as a block lasts, with its output in a log file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.docker.errors import SamError

STOP_GRACE_SECONDS = 20.0
"""Seconds between SIGTERM and SIGKILL."""


@contextmanager
def managed_process(
    command: Sequence[str], *, env: Mapping[str, str], log_path: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block. Its output replaces the content of `log_path`."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches this process alone, which then stops the programs in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    condition: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    name: str,
    log_path: Path,
    timeout_seconds: float,
) -> None:
    """Wait until `condition` holds.

    Raises:
        SamError: the program ended, or the time is up. The message has the end of its log.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if process.poll() is not None:
            raise SamError(f"{name} ended with {process.returncode}; the end of {log_path}:\n{read_log_tail(log_path)}")
        if time.monotonic() > deadline:
            raise SamError(
                f"{name} is not ready after {timeout_seconds:.0f} s; the end of {log_path}:\n{read_log_tail(log_path)}"
            )
        time.sleep(0.1)


def read_log_tail(log_path: Path, line_count: int = 20) -> str:
    """Return the last lines of a log."""
    return "\n".join(log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-line_count:])
