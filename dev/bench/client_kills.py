"""Kill `ferry` at random during transfers over bad connections: `python -m dev.bench.client_kills [--write]`.

Each file goes up, comes back and is compared. On the way is a line of `--rate` MB/s, behind it a proxy that cuts and
stalls transfers, responds with 503 and loses responses. Each tenth kill hits the service, too. The command fails if a
file differs, a transfer fails, or more than 1.1 times the file's bytes were moved, besides those in flight at a kill.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.bench.client_report import kills_table, write_table
from dev.bench.s3_clients import ferry_environment
from dev.figures import read_figures, write_figures
from dev.local import tcp_ports
from dev.local.launcher import LocalService
from dev.network.fault_proxy import Fault, FaultProxy
from dev.network.model import Network
from dev.network.proxy import NetworkProxy
from dev.paths import ROOT

MB = 1_000_000
MAX_MOVED = 1.1
"""Bytes moved for a file, as a multiple of its size, besides those in flight at kills."""

SERVICE_KILL_EVERY = 10
"""The service is killed with each client whose kill has a number divisible by this one."""

POLL_SECONDS = 0.02
"""How often the bytes that a client has moved are compared with the number after which it is killed."""

STALL_SECONDS = 2.0

SETTLE_SECONDS = 1.0
"""Time after a kill in which what was in flight ends at the proxy."""


class Faults:
    """Decides at random what happens to a request. Called from any thread."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {"rejected": 0, "lost": 0, "cut_up": 0, "cut_down": 0, "stalled": 0}
        """Faults by kind."""

    def decide(self, method: str, url: str) -> Fault | None:
        """Return a fault for about one request in nine."""
        del method, url
        with self._lock:
            chance, after = self._random.random(), self._random.randrange(4 * MB)
            for kind, share, fault in (
                ("rejected", 0.03, Fault(status=503, headers={"Retry-After": "0"})),
                ("lost", 0.02, Fault(lose_response=True)),
                ("cut_up", 0.03, Fault(cut_request_after=after)),
                ("cut_down", 0.02, Fault(cut_response_after=after)),
                ("stalled", 0.01, Fault(stall_seconds=STALL_SECONDS)),
            ):
                if chance < share:
                    self.counts[kind] += 1
                    return fault
                chance -= share
        return None


@dataclass
class Result:
    """What happened."""

    client_kills: int = 0
    """Kills of `ferry` during a transfer."""
    service_kills: int = 0
    """Kills of the service during a transfer."""
    early_ends: int = 0
    """Transfers that ended before the kill that was meant for them."""
    most_moved: dict[str, float] = field(default_factory=lambda: {"up": 0.0, "down": 0.0})
    """Largest multiple of a file's size that was moved, besides what was in flight at kills."""
    in_flight_mb: float = 0.0
    """In flight at all kills together."""
    problems: list[str] = field(default_factory=list)
    """What should not have happened."""


class KillRun:
    """A service, a line with faults, and clients that are killed."""

    def __init__(self, folder: Path, stack: ExitStack, options: argparse.Namespace) -> None:
        self._folder = folder
        self._random = random.Random(options.seed)
        self._port = tcp_ports.free_ports(1)[0]
        self._service = self._start_service()
        stack.callback(self._stop_service)
        self.faults = Faults(options.seed)
        """What happens to requests."""
        self._proxy = stack.enter_context(FaultProxy(self.faults.decide))
        network = Network(round_trip_ms=5, link_bytes_per_second=options.rate * MB)
        self._line = stack.enter_context(NetworkProxy("127.0.0.1", self._proxy.port, network))
        self.result = Result()
        """What happened so far."""

    def _start_service(self) -> LocalService:
        return LocalService(self._folder / "service", options=("--port", str(self._port)))

    def _stop_service(self) -> None:
        self._service.stop()  # The current one: kills replace it.

    def transfer_file(self, name: str, size: int, kills: tuple[int, int]) -> None:
        """Send and fetch a file with so many kills in each direction, and compare it."""
        source, target = self._folder / "source", self._folder / "target"
        source.write_bytes(self._random.randbytes(size))
        self._transfer("up", size, kills[0], "put", str(source), name)
        self._transfer("down", size, kills[1], "get", name, str(target))
        if not target.exists() or target.read_bytes() != source.read_bytes():
            self.result.problems.append(f"{name}: other bytes came back")
        target.unlink(missing_ok=True)
        with suppress(OSError):
            self._client("rm", name).wait(60)

    def _transfer(self, direction: str, size: int, kills: int, *command: str) -> None:
        moved_before, in_flight = self._moved(direction), 0
        for _ in range(kills):
            lost = self._run_and_kill(direction, size / kills, command)
            if lost is None:
                self.result.early_ends += 1
                break
            in_flight += lost
        client = self._client(*command, *(("--if-exists", "replace") if direction == "up" else ()))
        if client.wait() != 0:
            log = (self._folder / "log").read_text(errors="replace")[-500:]
            self.result.problems.append(f"{command}: exit code {client.returncode}: {log}")
        multiple = (self._moved(direction) - moved_before - in_flight) / size
        self.result.in_flight_mb += in_flight / MB
        self.result.most_moved[direction] = max(self.result.most_moved[direction], round(multiple, 3))
        if multiple > MAX_MOVED:
            self.result.problems.append(f"{command}: moved {multiple:.2f} times the file")

    def _run_and_kill(self, direction: str, most_bytes: float, command: tuple[str, ...]) -> int | None:
        """Run a client, and kill it after a random number of bytes, at most `most_bytes`.

        Return the bytes in flight at the kill; None if it ended before.
        """
        moved_before, broken_before = self._moved(direction), self._proxy.interrupted_bytes
        durable_before = self._durable_bytes()
        kill_after = self._random.random() * most_bytes
        client = self._client(*command)
        while client.poll() is None and self._moved(direction) - moved_before < kill_after:
            time.sleep(POLL_SECONDS)
        if client.poll() is not None:
            return None
        client.kill()
        client.wait()
        self.result.client_kills += 1
        if self.result.client_kills % SERVICE_KILL_EVERY == 0:
            self._service.kill()
            self.result.service_kills += 1
            self._service = self._start_service()
        time.sleep(SETTLE_SECONDS)
        interrupted = self._proxy.interrupted_bytes - broken_before
        if direction == "up":
            return interrupted
        # Of a range that was interrupted, the first bytes are on the disk.
        not_durable = self._moved(direction) - moved_before - (self._durable_bytes() - durable_before)
        return max(0, min(interrupted, not_durable))

    def _durable_bytes(self) -> int:
        """Return the bytes that the journal of the download has."""
        with suppress(OSError, ValueError):
            journal = json.loads((self._folder / ".target.ferry-part.json").read_bytes())
            return sum(length for _, _, length in journal["ranges"])
        return 0

    def _moved(self, direction: str) -> int:
        return self._proxy.bytes_up if direction == "up" else self._proxy.bytes_down

    def _client(self, *arguments: str) -> subprocess.Popen[bytes]:
        proxy = f"http://127.0.0.1:{self._line.port}"
        environment = ferry_environment(self._service.connection_info, self._folder / "state", proxy)
        program = "from ferry_client.cli.main import main; main()"
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", program, *arguments], env=environment, stdout=log, stderr=log
            )


def main() -> int:
    """Run the transfers, and print and write the figures. Return 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--size", type=float, default=200, help="MB of each file")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=25, help="MB/s of the line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/figures/client-kills.json and the table")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; write the table from client-kills.json")
    options = parser.parse_args()
    if options.redraw:
        write_table("kills", kills_table(read_figures("client-kills")))
        return 0
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        run = KillRun(Path(temporary), stack, options)
        for number in range(options.files):
            left = options.kills - run.result.client_kills
            kills = math.ceil(left / (options.files - number))
            run.transfer_file(f"file-{number}", int(options.size * MB), (math.ceil(kills / 2), kills // 2))
            print(f"file {number + 1}: {run.result}", flush=True)
        extra = 0
        while run.result.client_kills < options.kills and extra < options.files:
            extra += 1
            run.transfer_file(f"extra-{extra}", int(options.size * MB), (1, 1))
        figures: dict[str, Any] = {
            "files": options.files + extra,
            "size_mb": options.size,
            "line_mb_per_second": options.rate,
            "faults": run.faults.counts,
            **vars(run.result),
            "seconds": round(time.monotonic() - started_at),
        }
    print(figures)
    if options.write:
        print(f"wrote {write_figures('client-kills', 'make prove-client-kills', figures).relative_to(ROOT)}")
        write_table("kills", kills_table(figures))
    return 1 if figures["problems"] or figures["client_kills"] < options.kills else 0


if __name__ == "__main__":
    sys.exit(main())
