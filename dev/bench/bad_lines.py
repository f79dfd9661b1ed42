"""Models of bad lines, and one run of a client over one of them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dev.network.model import OUTAGES, RESETS, SATELLITE, SLOW_LINE, Network
from dev.network.proxy import NetworkProxy

BYTES_PER_SECOND = 125_000.0
"""Rate of a line: 1 Mbit/s. With it, 32 runs side by side need about one processor core, most of it for the service."""

ADDRESS_CHANGES = replace(SATELLITE, round_trip_ms=60, link_bytes_per_second=2 * BYTES_PER_SECOND)
"""A mobile line whose address changes: each open connection is cut every `CHANGE_SECONDS`."""

CHANGE_SECONDS = 15.0

CLOCK_LINE = "clock an hour off"
"""The line on which the client's clock is wrong."""

LINES: dict[str, Network] = {
    "satellite, 600 ms": replace(SATELLITE, link_bytes_per_second=BYTES_PER_SECOND),
    "64 kbit/s": SLOW_LINE,
    "outage of 30 s every 120 s": replace(OUTAGES, link_bytes_per_second=BYTES_PER_SECOND),
    "reset every 500 KB": replace(RESETS, link_bytes_per_second=BYTES_PER_SECOND),
    "address change every 15 s": ADDRESS_CHANGES,
    CLOCK_LINE: replace(SATELLITE, round_trip_ms=60, link_bytes_per_second=BYTES_PER_SECOND),
}
"""Network by name."""


@dataclass(frozen=True, slots=True)
class Command:
    """The command of a client that moves one file over a line."""

    words: Sequence[str]
    """Program and arguments."""
    environment: Mapping[str, str]
    """The whole environment."""


@dataclass(frozen=True, slots=True)
class Case:
    """What one run moves, and where."""

    client: str
    """The client's name."""
    line: str
    """The line's name in `LINES`."""
    direction: str
    """`up` or `down`."""

    @property
    def network(self) -> Network:
        """The line."""
        return LINES[self.line]

    def size(self, seconds: float) -> int:
        """Return how many bytes the line carries in this time."""
        return int((self.network.link_bytes_per_second or BYTES_PER_SECOND) * seconds)


@contextmanager
def running_line(case: Case, server: tuple[str, int]) -> Iterator[NetworkProxy]:
    """Run the model of a case's line in front of a server."""
    with ExitStack() as stack:
        line = stack.enter_context(NetworkProxy(*server, case.network))
        stopped = threading.Event()
        stack.callback(stopped.set)
        if case.network is ADDRESS_CHANGES:
            threading.Thread(target=_change_address, args=(line, stopped), daemon=True).start()
        yield line


def run_case(
    case: Case, line: NetworkProxy, command: Command, size: int, *, deadline: float, is_right: Callable[[], bool]
) -> dict[str, Any]:
    """Run a command over a line, and return the figures.

    Args:
        case: the case.
        line: its line, on which nothing has moved yet.
        command: moves the file.
        size: bytes of the file.
        deadline: seconds after which the command is killed.
        is_right: returns whether the bytes that arrived are those of the file.
    """
    started_at = time.monotonic()
    code = run(command, deadline)
    elapsed = time.monotonic() - started_at
    network = case.network
    moved = line.bytes_up if case.direction == "up" else line.bytes_down
    up_seconds = elapsed - sum(0.1 for tick in range(int(elapsed * 10)) if network.seconds_until_back(tick / 10) > 0)
    return {
        "finished": code == 0 and is_right(),
        "exit_code": code,
        "size_bytes": size,
        "seconds": round(elapsed, 1),
        "part_of_rate": round(size / up_seconds / (network.link_bytes_per_second or BYTES_PER_SECOND), 3),
        "moved_over_size": round(moved / size - 1, 3),
        "connections": line.connections,
    }


def run(command: Command, deadline: float | None = None) -> int | None:
    """Run a command without output, and return its exit code; None if it was killed at the deadline."""
    process = subprocess.Popen(
        command.words,
        env=command.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        process.wait()


def write_random(path: Path, size: int) -> None:
    """Write a file of random bytes."""
    path.write_bytes(os.urandom(size))


def same_bytes(one: Path, two: Path) -> bool:
    """Return whether two files exist and are equal."""
    return two.exists() and one.read_bytes() == two.read_bytes()


def _change_address(line: NetworkProxy, stopped: threading.Event) -> None:
    while not stopped.wait(CHANGE_SECONDS):
        line.reset_all()
