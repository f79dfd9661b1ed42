"""Measure uploads behind a model of AWS's delays: Ferry by the API, tus, boto3 and s5cmd, on one S3 server.

Every round uploads the file once with each contender, every second round in the reverse order. The time of a transfer
is the client's own, without its start. Beside it are the calls to S3 and DynamoDB, the processor time and the peak
memory of each process between the client and S3.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.bench import api_report, contenders, process_usage, service
from dev.bench.api_report import Run
from dev.bench.contenders import Contender, TusServer
from dev.bench.errors import BenchError
from dev.bench.measured_process import run_measured
from dev.bench.service import BenchService
from dev.local.errors import LocalError
from dev.local.network_lines import COUNTS_FILE
from dev.network import aws
from ferry.rules.layout import MIB

DEFAULT_ROUNDS, DEFAULT_SIZE_MIB = 3, 128
CHUNK_SENDERS = (1, 4, 8)
CLIENT, TUS_SERVER = "client", "tus server"
_PARALLEL_UPLOADS = 8
_MAX_INSTANCES = 8
_UPLOAD_LOG = Path("logs", "UploadFunction.log")
_DURATION = re.compile(r"REPORT RequestId: \S+\tDuration: ([\d.]+) ms")


@dataclass(slots=True)
class Bench:
    """What is measured on."""

    running: BenchService
    """The service."""
    file: Path
    """The file that every contender uploads."""
    tus: TusServer | None
    """tus-node-server; None where npm is not installed."""
    counts: Path | None
    """The file of the network model's counters; None without a model."""
    runs: dict[str, list[Run]] = field(default_factory=dict)
    """The measured runs of each contender."""
    senders: dict[str, int] = field(default_factory=dict)
    """Senders of each contender."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help=f"default {DEFAULT_ROUNDS}")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_MIB, metavar="MIB", help=f"default {DEFAULT_SIZE_MIB}")
    parser.add_argument("--network", default=os.environ.get("NETWORK", ""), help="a network model (default: $NETWORK)")
    parser.add_argument("--note", default="", help="a remark for the figures, such as how busy the machine is")
    api_report.AWS.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        delays = aws.parse(options.network) if options.network else None
        report = api_report.AWS if delays else api_report.LOOPBACK
        if options.redraw:
            report.redraw()
            return 0
        figures = measure(delays, options.rounds, options.size)
        report.publish({**figures, "note": options.note}, write=options.write)
    except (BenchError, LocalError, aws.InvalidNetworkError) as error:
        print(f"bench-api: {error}", file=sys.stderr)
        return 1
    return 0


def measure(delays: aws.AwsDelays | None, rounds: int, size_mib: int) -> dict[str, Any]:
    """Run every contender in every round, and return the figures. Raises `BenchError`, `LocalError`."""
    load_before = os.getloadavg()[0]
    with _prepared(delays, size_mib) as bench:
        for number in range(rounds + 1):
            todo = _contenders(bench, number)
            for contender in reversed(todo) if number % 2 else todo:
                run = run_contender(bench, contender)
                if number:  # the first round opens connections, fills caches and starts function instances
                    bench.senders[contender.name] = contender.senders
                    bench.runs.setdefault(contender.name, []).append(run)
                    print(f"{number}: {contender.name}: {size_mib * MIB / 1e6 / run.seconds:.1f} MB/s", file=sys.stderr)
        outcome = _parallel_uploads_outcome(bench)
    return {
        "network": delays.to_text() if delays else "none (loopback)",
        "network_description": delays.describe() if delays else "No network model: the loopback interface alone.",
        "rounds": rounds,
        "size_mib": size_mib,
        "load_before": round(load_before, 1),
        "tus_js_parallel_uploads": outcome,
        **api_report.summarize(bench.runs, bench.senders, size_mib),
    }


@contextmanager
def _prepared(delays: aws.AwsDelays | None, size_mib: int) -> Iterator[Bench]:
    network = ("--network", delays.to_text()) if delays else ()
    with (
        service.running_service("--instances", str(_MAX_INSTANCES), *network) as running,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder) / "file.bin"
        file.write_bytes(os.urandom(size_mib * MIB))
        endpoint = running.connection_info["s3_endpoint"]
        running.create_bucket(contenders.BUCKET)
        with contenders.running_tus(running, endpoint) as tus:
            if tus is None:
                print("tus is not measured: npm is not installed", file=sys.stderr)
            yield Bench(running, file, tus, running.local_service.state_folder / COUNTS_FILE if delays else None)


def _contenders(bench: Bench, number: int) -> list[Contender]:
    """Return the contenders of a round. Those that a goal compares follow one another."""
    running, file = bench.running, bench.file
    *chunks, parts = contenders.ferry_contenders(running, file, number, CHUNK_SENDERS)
    s3 = contenders.s3_contenders(running, running.connection_info["s3_endpoint"], file)
    if bench.tus is None:
        return [*chunks, parts, *s3]
    one_by_one = [
        bench.tus.tuspy(file),
        bench.tus.tuspy(file, contenders.PART_BYTES, ", 8 MiB chunks"),
        bench.tus.tus_js(file, 1),
    ]
    return [*one_by_one, *chunks, bench.tus.tus_js(file, _PARALLEL_UPLOADS), parts, *reversed(s3)]


def _parallel_uploads_outcome(bench: Bench) -> str:
    """Return what tus-js-client says with its option `parallelUploads`, which the S3 store may not support."""
    if bench.tus is None:
        return "not measured."
    contender = bench.tus.tus_js(bench.file, 1, _PARALLEL_UPLOADS)
    try:
        run_contender(bench, contender)
    except BenchError as error:
        status = re.search(r"response code: (\d+), response text: ([^,\n]*)", str(error))
        return (
            f"rejected by tus-node-server's S3 store: {status[1]} {status[2].strip(' .')}." if status else "rejected."
        )
    return "supported."


def run_contender(bench: Bench, contender: Contender) -> Run:
    """Upload once. Raises `BenchError` if the command fails."""
    state_folder = bench.running.local_service.state_folder
    pids = process_usage.pids_by_kind(state_folder)
    if bench.tus is not None and bench.tus.pid in contender.server_pids:
        pids = {kind: found for kind, found in pids.items() if kind in ("S3", "S3 proxy", "network model")}
        pids[TUS_SERVER] = [bench.tus.pid]
    process_usage.reset_peaks(pid for found in pids.values() for pid in found)
    counts_before = aws.read_counts(bench.counts) if bench.counts else {}
    log = state_folder / _UPLOAD_LOG
    log_size = log.stat().st_size if log.exists() else 0
    cpu_before = process_usage.cpu_by_kind(pids)
    run = run_measured(contender.name, contender.command, contender.env, contender.stdin, sample_peak=True)
    # Instances that have started in between count from their start.
    now = {kind: sorted({*found, *pids.get(kind, ())}) for kind, found in _after(state_folder, pids).items()}
    cpu = {kind: spent - cpu_before.get(kind, 0.0) for kind, spent in process_usage.cpu_by_kind(now).items()}
    counts = aws.read_counts(bench.counts) if bench.counts else {}
    reported = _last_json(run.output)
    durations = _function_durations(log, log_size) if "request_ms" in reported else []
    return Run(
        seconds=reported.get("seconds", run.seconds),
        cpu_seconds={CLIENT: run.cpu_seconds, **cpu},
        peak_mb={CLIENT: run.peak_mb}
        | {kind: max(map(process_usage.peak_memory_mb, found), default=0.0) for kind, found in now.items()},
        calls={name: _difference(counts_before[name], counts[name]) for name in counts},
        backend_bytes={
            name: sum(counts[name][key] - counts_before[name][key] for key in ("bytes_up", "bytes_down"))
            for name in counts
        },
        request_ms=reported.get("request_ms"),
        function_ms=statistics.median(durations) if durations else None,
        function_ms_sum=sum(durations) if durations else None,
    )


def _after(state_folder: Path, before: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return the processes of the same kinds now."""
    found = process_usage.pids_by_kind(state_folder)
    return {kind: found.get(kind, pids) for kind, pids in before.items()}


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    counted = {name: count - before["operations"].get(name, 0) for name, count in after["operations"].items()}
    return {name: count for name, count in counted.items() if count}


def _last_json(output: str) -> dict[str, float]:
    """Return the JSON object in the last line of a client's output; empty if it prints none."""
    lines = output.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _function_durations(log: Path, offset: int) -> list[float]:
    """Return the durations in milliseconds of the invocations that were logged after an offset."""
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read().decode(errors="replace")
    return [float(match[1]) for match in _DURATION.finditer(text)]


if __name__ == "__main__":
    sys.exit(main())
