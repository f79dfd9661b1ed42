"""Measure `ferry` on bad lines: `python -m dev.bench.client_lines [--seconds 60] [--runs 1] [--write]`.

The client sends and fetches one file through a model of each line (`dev.network`), against a local service. Its size is
what the line carries in `--seconds`. A run that ends with another exit code than 0 counts as failed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from dev.figures import write_figures
from dev.local.launcher import LocalService
from dev.network.fault_proxy import FaultProxy
from dev.network.model import OUTAGES, RESETS, SATELLITE, SLOW_LINE, Network
from dev.network.proxy import NetworkProxy
from dev.paths import ROOT

ADDRESS_CHANGES = replace(SATELLITE, round_trip_ms=60)
"""A mobile line whose address changes: each open connection is cut every `CHANGE_SECONDS`."""

CHANGE_SECONDS = 15.0
WARM_UP_BYTES = 12_000_000
CLOCK_AN_HOUR_OFF = "import time; _right = time.time; time.time = lambda: _right() + 3600\n"

LINES: dict[str, tuple[Network, str]] = {
    "satellite, 600 ms": (SATELLITE, ""),
    "64 kbit/s": (SLOW_LINE, ""),
    "outage of 30 s every 120 s": (OUTAGES, ""),
    "reset every 500 KB": (RESETS, ""),
    "address change every 15 s": (ADDRESS_CHANGES, ""),
    "clock an hour off": (replace(SATELLITE, round_trip_ms=60), CLOCK_AN_HOUR_OFF),
}
"""Network by name, with Python that runs before the command."""


def warm_up(service: LocalService, folder: Path) -> None:
    """Send and fetch a file without a line, so that no run waits for the first start of a function."""
    source = folder / "warm-up"
    source.write_bytes(os.urandom(WARM_UP_BYTES))
    for arguments in (("put", str(source), "warm-up"), ("get", "warm-up", str(folder / "warm-up-back"))):
        _ferry(service, folder, "", None, *arguments)


def measure(service: LocalService, folder: Path, name: str, seconds: float, direction: str) -> dict[str, Any]:
    """Send (`up`) or fetch (`down`) one file over one line, and return the figures."""
    network, before = LINES[name]
    size = int((network.link_bytes_per_second or 1e6) * seconds)
    source, target = folder / "source", folder / "target"
    remote = f"{name.replace(' ', '-')}-{direction}-{time.monotonic_ns()}"
    source.write_bytes(os.urandom(size))
    if direction == "down":
        _ferry(service, folder, "", None, "put", str(source), remote)
    arguments = ("put", str(source), remote) if direction == "up" else ("get", remote, str(target))
    with ExitStack() as stack:
        forward = stack.enter_context(FaultProxy())
        line = stack.enter_context(NetworkProxy("127.0.0.1", forward.port, network))
        stopped = threading.Event()
        stack.callback(stopped.set)
        if network is ADDRESS_CHANGES:
            threading.Thread(target=_change_address, args=(line, stopped), daemon=True).start()
        started_at = time.monotonic()
        code = _ferry(service, folder, before, f"http://127.0.0.1:{line.port}", *arguments)
        elapsed = time.monotonic() - started_at
        moved = line.bytes_up if direction == "up" else line.bytes_down
    is_right = direction == "up" or (target.exists() and target.read_bytes() == source.read_bytes())
    up_seconds = elapsed - sum(0.1 for tick in range(int(elapsed * 10)) if network.seconds_until_back(tick / 10) > 0)
    return {
        "direction": direction,
        "size_bytes": size,
        "exit_code": code,
        "right_bytes": is_right,
        "seconds": round(elapsed, 1),
        "seconds_up": round(up_seconds, 1),
        "part_of_rate": round(size / up_seconds / (network.link_bytes_per_second or 1), 3),
        "moved_over_size": round(moved / size - 1, 3),
        "connections": line.connections,
    }


def measure_runs(service: LocalService, root: Path, case: tuple[str, str], seconds: float, runs: int) -> dict[str, Any]:
    """Measure one line and direction (`case`) `runs` times, and return the summary."""
    name, direction = case
    folder = root / f"{name}-{direction}".replace("/", "-")
    folder.mkdir()
    result = summarize([measure(service, folder, name, seconds, direction) for _ in range(runs)])
    print(f"{name:28} {direction:5}", result, flush=True)
    return result


def _change_address(line: NetworkProxy, stopped: threading.Event) -> None:
    while not stopped.wait(CHANGE_SECONDS):
        line.reset_all()


def _ferry(service: LocalService, folder: Path, before: str, proxy: str | None, *arguments: str) -> int:
    client = service.connection_info["clients"][0]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "client" / "src"),
        "FERRY_URL": service.connection_info["base_url"],
        "FERRY_CLIENT_ID": client["client_id"],
        "FERRY_CLIENT_SECRET": client["client_secret"],
        "FERRY_STATE_DIR": tempfile.mkdtemp(prefix="state", dir=folder),
        "FERRY_CONFIG_DIR": str(folder / "config"),
    }
    if proxy is not None:
        environment["http_proxy"] = proxy
    program = f"{before}from ferry_client.cli.main import main; main()"
    with (folder / "log").open("ab") as log:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, stdout=log, stderr=log, check=False
        ).returncode


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of the figures of several runs, and whether all ended well."""
    return {
        "runs": len(runs),
        "finished": sum(run["exit_code"] == 0 and run["right_bytes"] for run in runs),
        **{
            key: statistics.median(run[key] for run in runs)
            for key in ("size_bytes", "seconds", "part_of_rate", "moved_over_size", "connections")
        },
    }


def main() -> int:
    """Measure each line, and print and write the figures. Return 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="the file's size, as seconds of the line")
    parser.add_argument("--runs", type=int, default=1, help="runs of each line and direction")
    parser.add_argument("--line", action="append", choices=list(LINES), help="this line alone; repeatable")
    parser.add_argument("--at-once", type=int, default=1, help="lines and directions measured side by side")
    parser.add_argument("--write", action="store_true", help="write docs/figures/lines.json")
    options = parser.parse_args()
    figures: dict[str, Any] = {"seconds_of_line": options.seconds, "at_once": options.at_once, "lines": {}}
    with tempfile.TemporaryDirectory() as temporary:
        service = LocalService(Path(temporary) / "service")
        try:
            warm_up(service, Path(temporary))
            cases = [(name, direction) for name in options.line or LINES for direction in ("up", "down")]
            with ThreadPoolExecutor(options.at_once) as threads:
                results = threads.map(
                    lambda case: measure_runs(service, Path(temporary), case, options.seconds, options.runs), cases
                )
                for (name, direction), result in zip(cases, results, strict=True):
                    figures["lines"].setdefault(name, {})[direction] = result
        finally:
            service.stop()
    figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
    if options.write:
        print(f"wrote {write_figures('lines', 'make prove-lines', figures).relative_to(ROOT)}")
    ends = [result for line in figures["lines"].values() for result in line.values()]
    return 0 if all(result["finished"] == result["runs"] for result in ends) else 1


if __name__ == "__main__":
    sys.exit(main())
