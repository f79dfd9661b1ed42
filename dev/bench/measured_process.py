"""Run a command to its exit and measure it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dev.bench.errors import BenchError
from dev.bench.process_usage import peak_memory_mb

_SAMPLE_SECONDS = 0.02


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


def run_measured(
    name: str, command: Sequence[str], env: Mapping[str, str], stdin: str = "", *, sample_peak: bool = False
) -> ProcessRun:
    """Run a command, with `env` as its whole environment.

    The system counts this process's own memory at the fork as the command's. With `sample_peak` the command's memory is
    read while it runs instead: for commands that run longer than `_SAMPLE_SECONDS` and need less memory than this one.

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
        sampler = _PeakSampler(child.pid) if sample_peak else None
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started_at
        peak_mb = sampler.stop() if sampler else usage.ru_maxrss / 1024
        child.returncode = os.waitstatus_to_exitcode(status)
        output_file.seek(0)
        output = output_file.read().decode("utf-8", "replace")
    if child.returncode:
        raise BenchError(f"{name} exited with {child.returncode}: {output[-2000:]}")
    return ProcessRun(seconds, usage.ru_utime + usage.ru_stime, peak_mb, output)


class _PeakSampler:
    """Reads the peak memory of a process until it has exited."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_mb = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            # After the exec the peak is that of the new program.
            self._peak_mb = peak_memory_mb(self._pid) or self._peak_mb

    def stop(self) -> float:
        """Stop, and return the last peak in MB."""
        self._stopped.set()
        self._thread.join()
        return self._peak_mb
