"""Warm speed: a file through Ferry's API and straight to S3, beside S3's own clients and tus, on one S3 server.

Every round sends the file once each way, in turn. What a way costs is the processor time of its client and of all that
serves it; the S3 server's own is not counted, for it is the same for all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from dev.bench import contenders, counting_proxy, handler_overhead, report, service
from dev.bench.contenders import Contender
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.local.errors import LocalError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEFAULT_ROUNDS, DEFAULT_SIZE_MIB = 5, 256
MIB = 1024 * 1024
REFERENCE_CONTENDER = "boto3 upload_file"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MAX_INSTANCES = 8


@dataclass(slots=True)
class Measurement:
    """What was seen of one way, a number for each round; `calls` of the S3 server for the file, where counted."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    s3_calls: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help=f"times each way (default {DEFAULT_ROUNDS})")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_MIB, metavar="MIB", help=f"default {DEFAULT_SIZE_MIB}")
    parser.add_argument("--write", action="store_true", help=report.WRITE_HELP)
    options = parser.parse_args(arguments)
    try:
        with (
            service.running_service("--instances", str(_MAX_INSTANCES)) as running,
            tempfile.TemporaryDirectory() as folder,
        ):
            file = Path(folder) / "file.bin"
            file.write_bytes(os.urandom(options.size * MIB))
            measured = measure_contenders(running, file, options.rounds)
            own = handler_overhead.measure(running)
    except (BenchError, LocalError) as error:
        print(f"bench-api: {error}", file=sys.stderr)
        return 1
    figures = {"size_mib": options.size, "contenders": summarize(measured, options.size), "handler_overhead": own}
    print(format_table(figures))
    if options.write:
        report.write_report("api", figures, format_table(figures), plot)
    return 0


def measure_contenders(running: BenchService, file: Path, rounds: int) -> dict[str, Measurement]:
    endpoint = running.connection_info["s3_endpoint"]
    boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=running.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=running.credentials["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=contenders.BUCKET)
    measured: dict[str, Measurement] = {}
    with contenders.tus_contenders(running, endpoint, file) as tus:
        if not tus:
            print("tus-node-server is not measured: there is no npm here", file=sys.stderr)
        for number in range(rounds + 1):
            for way in [
                *contenders.ferry_contenders(running, file, number),
                *contenders.s3_contenders(running, endpoint, file),
                *tus,
            ]:
                found = measured.setdefault(way.name, Measurement())
                seconds, processor, peak = run_contender(way)
                if number:  # the first fills connections, caches and the pool of functions
                    found.seconds.append(seconds)
                    found.cpu_seconds.append(processor)
                    found.peak_mb = max(found.peak_mb, peak)
    with counting_proxy.start_proxy(endpoint) as counter, contenders.tus_contenders(running, counter.url, file) as tus:
        for way in [*contenders.s3_contenders(running, counter.url, file), *tus]:
            before = counter.request_count
            run_contender(way)
            measured[way.name].s3_calls = counter.request_count - before
    return measured


def run_contender(contender: Contender) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the most memory of one process that serves it (MB; 0: none does)."""
    before = cpu_seconds(contender.server_pids)
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            list(contender.command), env=dict(contender.env), stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        assert child.stdin is not None
        child.stdin.write(contender.stdin.encode())
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if child.returncode:
        raise BenchError(f"{contender.name} ended with {child.returncode}: {said[-1500:]}")
    processor = usage.ru_utime + usage.ru_stime + cpu_seconds(contender.server_pids) - before
    return seconds, processor, max([0.0, *(peak_memory_mb(pid) for pid in contender.server_pids)])


def cpu_seconds(pids: Iterable[int]) -> float:
    """Seconds, user and system, of processes that are still there (proc(5), fields 14 and 15)."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_SECOND


def peak_memory_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def summarize(measured: Mapping[str, Measurement], size_mib: int) -> list[dict[str, Any]]:
    reference = measured[REFERENCE_CONTENDER].seconds
    return [
        {
            "name": name,
            "mb_per_second": round(size_mib * MIB / 1e6 / statistics.median(found.seconds)),
            "slowest": round(size_mib * MIB / 1e6 / max(found.seconds)),
            "fastest": round(size_mib * MIB / 1e6 / min(found.seconds)),
            "to_reference": round(
                statistics.median(theirs / ours for ours, theirs in zip(found.seconds, reference, strict=True)), 2
            ),
            "cpu_seconds": round(statistics.median(found.cpu_seconds), 2),
            "peak_mb": round(found.peak_mb),
            "s3_calls": found.s3_calls,
        }
        for name, found in measured.items()
    ]


def format_table(figures: Mapping[str, Any]) -> str:
    size = f"{figures['size_mib']} MiB, one S3 server"
    lines = [
        f"| {size} | MB/s (range) | × {REFERENCE_CONTENDER} | processor s | peak MB | S3 calls |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['name']} | {row['mb_per_second']} ({row['slowest']}–{row['fastest']}) | {row['to_reference']:.2f} "
        f"| {row['cpu_seconds']:.1f} | {row['peak_mb'] or '–'} | {row['s3_calls'] or '–'} |"
        for row in figures["contenders"]
    ]
    own = figures["handler_overhead"]
    told = (
        f"A 4 MiB chunk: {own['handler_ms']:.1f} ms of the function's own, backend calls subtracted; "
        f"decoding and CRC alone {own['baseline_ms']:.1f} ms; {own['ratio']:.2f} times."
    )
    lines += ["", told]
    return "\n".join(lines)


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """MB/s each way, from the slowest round to the fastest."""
    rows = figures["contenders"][::-1]
    speeds = [row["mb_per_second"] for row in rows]
    spread = [
        [row["mb_per_second"] - row["slowest"] for row in rows],
        [row["fastest"] - row["mb_per_second"] for row in rows],
    ]
    colours = [report.FERRY_COLOR if row["name"].startswith("Ferry") else report.PEER_COLOR for row in rows]
    axes.barh([row["name"] for row in rows], speeds, xerr=spread, color=colours, ecolor=report.TEXT_COLOR, capsize=3)
    axes.set_xlabel(f"MB/s, {figures['size_mib']} MiB, median and range of the rounds")


if __name__ == "__main__":
    sys.exit(main())
