"""Programs started for a while: they have a log, and are ended with us."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.docker.errors import SamError

STOP_GRACE_SECONDS = 20.0
"""Seconds a program has to stop by itself."""


@contextmanager
def managed_process(
    command: Sequence[str], *, env: Mapping[str, str], log_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program, asked to stop at the end and killed when it does not. What it says goes to `log`."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as output:
        # A group of its own: Ctrl-C is for us, who end things in their order.
        process = subprocess.Popen(
            list(command), env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
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
        SamError: the program ended, or it took longer than `seconds`. Says what the log ends with.
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
    return "\n".join(log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-line_count:])
