"""Measure `ferry` against s5cmd, aws-cli and rclone on one S3 server: `python -m dev.bench.client_speed [--write]`.

One large file, files of 8 MiB and small files go up and come back. The clients take turns, so that a ratio compares
runs of the same minutes; `ferry` and the reference move the large file `--rounds` times, everything else goes once.
Rates include Ferry's own calls; peak memory is the client's, and `server_cpu_seconds` are those of S3 and the service.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.bench import service
from dev.bench.client_report import clients_table, write_table
from dev.bench.errors import BenchError
from dev.bench.measured_process import ProcessRun, run_measured
from dev.bench.process_usage import cpu_by_kind, pids_by_kind
from dev.bench.s3_clients import BUCKET, FERRY, Client, clients
from dev.bench.service import BenchService
from dev.figures import read_figures, write_figures
from dev.paths import ROOT
from ferry.rules.layout import KIB, MIB

REFERENCE = "s5cmd"
"""The client that ratios compare with."""

MAX_INSTANCES = 8

WARM_UP_MIB = 64
"""Size of a file that every client moves before the first case: connections, volumes, functions, ferry's line."""


def make_cases(folder: Path, options: argparse.Namespace) -> dict[str, tuple[Path, int]]:
    """Write the files, and return path and bytes by case."""
    cases: dict[str, tuple[Path, int]] = {}
    large = folder / "large.bin"
    with large.open("wb") as file:
        for _ in range(options.large):
            file.write(os.urandom(MIB))
    cases[f"1 file of {options.large} MiB"] = large, options.large * MIB
    for count, size, text in ((options.middle, 8 * MIB, "8 MiB"), (options.small, 16 * KIB, "16 KiB")):
        if count:
            files = folder / text.replace(" ", "-")
            files.mkdir()
            for number in range(count):
                (files / f"{number:05}.bin").write_bytes(os.urandom(size))
            cases[f"{count} files of {text}"] = files, count * size
    return cases


@dataclass(frozen=True, slots=True)
class ClientRun:
    """A transfer of a client."""

    process: ProcessRun
    """The client."""

    server_cpu_seconds: Mapping[str, float]
    """Processor seconds of S3 and the service meanwhile, by what the processes are."""


def run_case(running: BenchService, client: Client, source: Path, folder: Path, name: str) -> dict[str, ClientRun]:
    """Send and fetch the files of a case. Raises `BenchError` if the client fails, or other bytes come back."""
    kind = "folder" if source.is_dir() else "file"
    target = folder / "back"
    if source.is_dir():
        target.mkdir()
    try:
        up = _run(running, client, client.command(f"put_{kind}", source, name))
        down = _run(running, client, client.command(f"get_{kind}", target, name))
        _compare(client, source, target)
    finally:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    return {"up": up, "down": down}


def _run(running: BenchService, client: Client, command: Sequence[str]) -> ClientRun:
    before = _server_cpu(running)
    process = run_measured(client.name, command, client.environment, sample_peak=True)
    after = _server_cpu(running)
    return ClientRun(process, {kind: after[kind] - before.get(kind, 0) for kind in after})


def _compare(client: Client, source: Path, target: Path) -> None:
    names = [path.name for path in source.iterdir()] if source.is_dir() else []
    pairs = [(source / name, target / name) for name in names] or [(source, target)]
    if not all(two.exists() and filecmp.cmp(one, two, shallow=False) for one, two in pairs):
        raise BenchError(f"{client.name} fetched other bytes than it sent")


def measure(running: BenchService, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run every case and round, and return the figures."""
    endpoint = running.connection_info["s3_endpoint"]
    running.create_bucket(BUCKET)
    contenders = clients(running, endpoint, folder / "state")
    figures: dict[str, Any] = {"rounds": options.rounds, "cases": {}}
    warm_up = folder / "warm-up.bin"
    warm_up.write_bytes(os.urandom(WARM_UP_MIB * MIB))
    for client in contenders:
        run_case(running, client, warm_up, folder, f"warm-up-{client.name}")
    for case, (source, size) in make_cases(folder, options).items():
        runs: dict[str, dict[str, list[ClientRun]]] = {c.name: {"up": [], "down": []} for c in contenders}
        for number in range(1 if source.is_dir() else options.rounds):
            for client in contenders if number % 2 == 0 else contenders[::-1]:
                if number and client.name not in (FERRY, REFERENCE):
                    continue
                transfers = run_case(running, client, source, folder, f"{source.stem}-{client.name}-{number}")
                for direction, run in transfers.items():
                    print(f"{case} {client.name} {direction}: {run.process.seconds:.2f} s", file=sys.stderr, flush=True)
                    runs[client.name][direction].append(run)
        figures["cases"][case] = {name: _summarize(runs, name, size) for name in runs}
        for name, row in figures["cases"][case].items():
            print(f"{case:24} {name:8}", row, flush=True)
    return figures


def _server_cpu(running: BenchService) -> dict[str, float]:
    """Return the processor seconds of S3 and the service so far, by what the processes are."""
    return cpu_by_kind(pids_by_kind(running.local_service.state_folder))


def _summarize(runs: Mapping[str, Mapping[str, Sequence[ClientRun]]], name: str, size: int) -> dict[str, Any]:
    """Return medians of one client, and the medians of the ratios to the reference within each round."""
    rows: dict[str, Any] = {}
    for direction, own in runs[name].items():
        processes = [run.process for run in own]
        rows[direction] = {
            "mb_per_second": round(size / 1e6 / statistics.median(run.seconds for run in processes), 1),
            "cpu_seconds": round(statistics.median(run.cpu_seconds for run in processes), 2),
            "peak_mb": round(max(run.peak_mb for run in processes)),
            "server_cpu_seconds": {
                kind: round(statistics.median(run.server_cpu_seconds[kind] for run in own), 2)
                for kind in own[0].server_cpu_seconds
                if all(kind in run.server_cpu_seconds for run in own)
            },
        }
        if REFERENCE in runs:
            reference = [run.process for run in runs[REFERENCE][direction]]
            ratios = [b.seconds / a.seconds for a, b in zip(processes, reference, strict=False)]
            rows[direction][f"rate_to_{REFERENCE}"] = round(statistics.median(ratios), 2)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ferry and the reference with the large file")
    parser.add_argument("--large", type=int, default=2048, help="MiB of the large file")
    parser.add_argument("--middle", type=int, default=100, help="number of files of 8 MiB")
    parser.add_argument("--small", type=int, default=2000, help="number of files of 16 KiB")
    parser.add_argument("--write", action="store_true", help="write docs/figures/client.json and the table")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; write the table from client.json")
    options = parser.parse_args(arguments)
    if options.redraw:
        write_table("clients", clients_table(read_figures("client"), REFERENCE))
        return 0
    try:
        with (
            service.running_service("--instances", str(MAX_INSTANCES)) as running,
            tempfile.TemporaryDirectory() as folder,
        ):
            figures = measure(running, Path(folder), options)
    except BenchError as error:
        print(f"client-speed: {error}", file=sys.stderr)
        return 1
    if options.write:
        print(f"wrote {write_figures('client', 'make prove-client', figures).relative_to(ROOT)}")
        write_table("clients", clients_table(figures, REFERENCE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
