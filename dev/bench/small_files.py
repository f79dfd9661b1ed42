"""Measure how many small files a second one request each stores, beside start, chunk and completion of each.

python -m dev.bench.small_files [--files 2000] [--senders 8]

Both run on one local service, in turns, with warm functions and persistent connections. The service's processor time is
that of all its processes, by what they emulate.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from dev.bench import handler_overhead
from dev.bench.client import KeepAliveClient
from dev.bench.errors import BenchError
from dev.bench.service import BenchService, running_service
from dev.bench.speed import cpu_seconds
from dev.local.client import OCTET_STREAM
from dev.local.errors import LocalError
from dev.local.launcher import find_processes

DEFAULT_FILES, DEFAULT_SENDERS, BATCHES = 2_000, 8, 4
MIN_BYTES, MAX_BYTES = 4 * 1024, 64 * 1024
TARGET_RATIO, TARGET_OVERHEAD = 2.5, 1.6
_MAX_INSTANCES = 8
_WARMUP_FILES = 40
_KINDS = {"S3": ("weed", "s3_"), "tables": ("ministack", "dynamodb"), "functions": ("lambda", "runtime")}
"""Words in the command lines of the service's processes, by what they emulate. The others are the gateway."""


@dataclass(slots=True)
class Measurement:
    """What one way of storing files took, over all batches."""

    requests_per_file: int
    seconds: list[float] = field(default_factory=list)
    """Wall time, one entry a batch."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of the service, by what it emulates."""


def put_file(client: KeepAliveClient, name: str, body: bytes) -> None:
    """Store a file in one request."""
    client.call("PUT", f"/files?{urlencode({'filename': name})}", body, OCTET_STREAM)


def upload_file(client: KeepAliveClient, name: str, body: bytes) -> None:
    """Store a file in three requests."""
    plan = client.call("POST", "/upload/start", {"filename": name, "size": len(body)})
    chunk = {"filename": name, "chunk_index": 1, "upload_id": plan["upload_id"]}
    client.call("POST", f"/upload/chunk?{urlencode(chunk)}", body, OCTET_STREAM)
    client.call("POST", "/upload/complete", {"filename": name, "upload_id": plan["upload_id"]})


WAYS: dict[str, tuple[Callable[[KeepAliveClient, str, bytes], None], int]] = {
    "start, chunk, complete": (upload_file, 3),
    "PUT": (put_file, 1),
}
"""What stores a file, and its requests, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.small_files", description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=DEFAULT_FILES, help=f"of each way (default {DEFAULT_FILES})")
    parser.add_argument("--senders", type=int, default=DEFAULT_SENDERS, help=f"default {DEFAULT_SENDERS}")
    parser.add_argument(
        "--overhead", action="store_true", help="also a function's own time for 4 MiB (make layer first)"
    )
    options = parser.parse_args(arguments)
    try:
        with running_service("--instances", str(_MAX_INSTANCES)) as running:
            measurements = measure(running, options.files, options.senders)
            print(format_table(measurements, options.files, options.senders))
            if options.overhead:
                print(format_overhead(handler_overhead.measure_put(running)))
    except (BenchError, LocalError) as error:
        print(f"small-files: {error}", file=sys.stderr)
        return 1
    return 0


def measure(running: BenchService, files: int, senders: int) -> dict[str, Measurement]:
    """Store so many files in each way, in batches that alternate. Raises `SystemExit` if a request fails."""
    client = KeepAliveClient(running.connection_info["base_url"], running.client().token)
    count = files // BATCHES
    sizes = [MIN_BYTES + (MAX_BYTES - MIN_BYTES) * number // max(1, count - 1) for number in range(count)]
    bodies = [os.urandom(size) for size in sizes]
    measurements = {way: Measurement(requests) for way, (_, requests) in WAYS.items()}
    with ThreadPoolExecutor(senders) as threads:
        for batch in range(BATCHES + 1):
            for way, (store, _) in WAYS.items():
                some = bodies if batch else bodies[:_WARMUP_FILES]
                names = [f"{store.__name__}/{batch}/{number}" for number in range(len(some))]
                before, started_at = cpu_by_kind(running), time.perf_counter()
                list(threads.map(lambda name, body, store=store: store(client, name, body), names, some))
                seconds, after = time.perf_counter() - started_at, cpu_by_kind(running)
                if batch:
                    measurement = measurements[way]
                    measurement.seconds.append(seconds)
                    for kind in after:
                        spent = after[kind] - before.get(kind, 0)
                        measurement.cpu_seconds[kind] = measurement.cpu_seconds.get(kind, 0) + spent
    return measurements


def cpu_by_kind(running: BenchService) -> dict[str, float]:
    """Return the processor time of the service's processes so far, by what they emulate."""
    pids: dict[str, list[int]] = {}
    for pid in find_processes(running.local_service.state_folder):
        pids.setdefault(_kind_of(pid), []).append(pid)
    return {kind: cpu_seconds(found) for kind, found in pids.items()}


def _kind_of(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gateway"
    return next((kind for kind, words in _KINDS.items() if any(word in command for word in words)), "gateway")


def format_table(measurements: dict[str, Measurement], files: int, senders: int) -> str:
    """Return the figures as a Markdown table, with the ratio of the files a second."""
    kinds = sorted({kind for each in measurements.values() for kind in each.cpu_seconds})
    head = f"{files:,} files of 4 to 64 KiB, {senders} senders | files/s | requests a file"
    columns = " | ".join(f"{kind}, ms a file" for kind in kinds)
    lines = [f"| {head} | {columns} |", f"|---|--:|--:|{'--:|' * len(kinds)}"]
    rates = {}
    for way, measurement in measurements.items():
        rates[way] = files / sum(measurement.seconds)
        spent = (f"{measurement.cpu_seconds.get(kind, 0) / files * 1000:.1f}" for kind in kinds)
        lines.append(f"| {way} | {rates[way]:.0f} | {measurement.requests_per_file} | {' | '.join(spent)} |")
    baseline, put = rates.values()
    lines += ["", f"One request stores {put / baseline:.2f} times as many files a second (goal: {TARGET_RATIO})."]
    return "\n".join(lines)


def format_overhead(overhead: dict[str, float]) -> str:
    """Return the files function's own time for 4 MiB in a sentence."""
    return (
        f"The files function spends {overhead['handler_ms']:.1f} ms on 4 MiB, without its backend calls. Decoding and "
        f"CRC32C alone take {overhead['baseline_ms']:.1f} ms. The ratio is {overhead['ratio']:.2f} "
        f"(goal: {TARGET_OVERHEAD})."
    )


if __name__ == "__main__":
    sys.exit(main())
