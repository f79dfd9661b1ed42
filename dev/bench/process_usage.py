"""Read processor time and peak memory of the local service's processes, by what they emulate. Linux only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dev.local.launcher import find_processes

GATEWAY = "gateway"
KINDS: Mapping[str, tuple[str, ...]] = {
    "network model": ("dev.network.aws",),
    "S3 proxy": ("dev.local.s3_proxy",),
    "S3": ("weed",),
    "tables": ("ministack", "tables_host"),
    "functions": ("function_process.py", "awslambdaric", "aws-lambda-rie"),
}
"""Words in the command lines of the processes of a service, earlier commits included, by what they emulate.

The others are the gateway."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_RESET_PEAK = "5"
"""Written to `clear_refs`, it makes the peak memory the current memory (proc(5))."""


def pids_by_kind(state_folder: Path) -> dict[str, list[int]]:
    """Return the processes of the service with this state folder, by what they emulate."""
    pids: dict[str, list[int]] = {}
    for pid in find_processes(state_folder):
        pids.setdefault(kind_of(pid), []).append(pid)
    return pids


def kind_of(pid: int) -> str:
    """Return what a process of the service emulates."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return GATEWAY
    return next((kind for kind, words in KINDS.items() if any(word in command for word in words)), GATEWAY)


def cpu_by_kind(pids: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """Return the processor seconds of the processes so far, by kind."""
    return {kind: cpu_seconds(found) for kind, found in pids.items()}


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return user and system time of the processes that still run (proc(5), fields 14 and 15)."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SECOND


def cpu_seconds_of_threads(pid: int) -> float:
    """Return the processor time of the threads that a process has, to the nanosecond (`schedstat`, first field)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9


def peak_memory_mb(pid: int) -> float:
    """Return the peak resident memory of a process; 0 if it has exited."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def reset_peaks(pids: Iterable[int]) -> None:
    """Make the peak memory of each process its current memory."""
    for pid in pids:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, encoding="utf-8")
