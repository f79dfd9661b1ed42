"""Run a command to its exit and measure it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dev.bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """The measurements of a process that has exited."""

    seconds: float
    """Wall time."""

    cpu_seconds: float
    """User and system time."""

    peak_mb: float
    """Peak resident memory."""

    output: str
    """Standard output and standard error."""


def run_measured(name: str, command: Sequence[str], env: Mapping[str, str], stdin: str = "") -> ProcessRun:
    """Run a command, with `env` as its whole environment.

    Raises:
        BenchError: the command failed. The message has its `name` and its output.
    """
    with tempfile.TemporaryFile() as output_file:
        started_at = time.perf_counter()
        child = subprocess.Popen(
            list(command), env=dict(env), stdin=subprocess.PIPE, stdout=output_file, stderr=output_file
        )
        assert child.stdin is not None
        child.stdin.write(stdin.encode())
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started_at
        child.returncode = os.waitstatus_to_exitcode(status)
        output_file.seek(0)
        output = output_file.read().decode("utf-8", "replace")
    if child.returncode:
        raise BenchError(f"{name} exited with {child.returncode}: {output[-2000:]}")
    return ProcessRun(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)
