"""Measure warm transfer speed on one S3 server: Ferry's two paths, S3's own clients, and tus.

Every round uploads the file once with each contender. Processor time is the client's and that of every process between
it and S3. The S3 server's processor time is the same for all and is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.bench import contenders, counting_proxy, handler_overhead, report, service
from dev.bench.api_report import FOUR, ONE, TUS
from dev.bench.contenders import Contender
from dev.bench.errors import BenchError
from dev.bench.measured_process import run_measured
from dev.bench.process_usage import cpu_seconds, peak_memory_mb
from dev.bench.service import BenchService
from dev.local.errors import LocalError
from ferry.rules.layout import MIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEFAULT_ROUNDS, DEFAULT_SIZE_MIB = 5, 256
REFERENCE_CONTENDER = "boto3 upload_file"
OVERHEAD_GOAL = 1.3
"""Goal of the function's own time for a chunk, divided by that of the decoder and CRC32C."""
_MAX_INSTANCES = 8


@dataclass(slots=True)
class Measurement:
    """The measurements of one contender."""

    seconds: list[float] = field(default_factory=list)
    """Wall time, one entry a round."""

    cpu_seconds: list[float] = field(default_factory=list)
    """Processor time, one entry a round."""

    peak_mb: float = 0.0
    """Peak memory of the largest process that serves it; 0 if none does."""

    s3_calls: int | None = None
    """S3 calls for one file; None if they were not counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make bench-speed", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=DEFAULT_ROUNDS, help=f"uploads of each (default {DEFAULT_ROUNDS})"
    )
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_MIB, metavar="MIB", help=f"default {DEFAULT_SIZE_MIB}")
    REPORT.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if options.redraw:
            REPORT.redraw()
            return 0
        with (
            service.running_service("--instances", str(_MAX_INSTANCES)) as running,
            tempfile.TemporaryDirectory() as folder,
        ):
            file = Path(folder) / "file.bin"
            file.write_bytes(os.urandom(options.size * MIB))
            measurements = measure_contenders(running, file, options.rounds)
            overhead = handler_overhead.measure(running)
        figures = {
            "rounds": options.rounds,
            "size_mib": options.size,
            "contenders": summarize(measurements, options.size),
            "handler_overhead": overhead,
        }
        REPORT.publish(figures, write=options.write)
    except (BenchError, LocalError) as error:
        print(f"bench-speed: {error}", file=sys.stderr)
        return 1
    return 0


def measure_contenders(running: BenchService, file: Path, rounds: int) -> dict[str, Measurement]:
    """Upload the file with every contender in each round, then count the S3 calls of the peers.

    Returns:
        The measurements by contender.

    Raises:
        BenchError: a contender failed.
    """
    endpoint = running.connection_info["s3_endpoint"]
    running.create_bucket(contenders.BUCKET)
    measurements: dict[str, Measurement] = {}
    with contenders.tus_contenders(running, endpoint, file) as tus:
        if not tus:
            print("tus-node-server is not measured: npm is not installed", file=sys.stderr)
        for number in range(rounds + 1):
            for contender in [
                *contenders.ferry_contenders(running, file, number),
                *contenders.s3_contenders(running, endpoint, file),
                *tus,
            ]:
                measurement = measurements.setdefault(contender.name, Measurement())
                seconds, processor_seconds, peak_mb = run_contender(contender)
                if number:  # the first round opens connections, fills caches and starts function instances
                    measurement.seconds.append(seconds)
                    measurement.cpu_seconds.append(processor_seconds)
                    measurement.peak_mb = max(measurement.peak_mb, peak_mb)
    with counting_proxy.start_proxy(endpoint) as counter, contenders.tus_contenders(running, counter.url, file) as tus:
        for contender in [*contenders.s3_contenders(running, counter.url, file), *tus]:
            count_before = counter.request_count
            run_contender(contender)
            measurements[contender.name].s3_calls = counter.request_count - count_before
    return measurements


def run_contender(contender: Contender) -> tuple[float, float, float]:
    """Upload once.

    Returns:
        The wall time in seconds, the processor time in seconds, and the peak memory in MB of the largest process that
        serves the contender (0 if none does).

    Raises:
        BenchError: the contender's command failed.
    """
    cpu_seconds_before = cpu_seconds(contender.server_pids)
    run = run_measured(contender.name, contender.command, contender.env, contender.stdin)
    server_seconds = cpu_seconds(contender.server_pids) - cpu_seconds_before
    peak_mb = max([0.0, *(peak_memory_mb(pid) for pid in contender.server_pids)])
    return run.seconds, run.cpu_seconds + server_seconds, peak_mb


def summarize(measurements: Mapping[str, Measurement], size_mib: int) -> list[dict[str, Any]]:
    """Return medians and ranges of each contender. A ratio is the median of the ratios within each round."""
    reference_seconds = measurements[REFERENCE_CONTENDER].seconds
    size_mb = size_mib * MIB / 1e6
    return [
        {
            "name": name,
            "mb_per_second": round(size_mb / statistics.median(measurement.seconds)),
            "slowest": round(size_mb / max(measurement.seconds)),
            "fastest": round(size_mb / min(measurement.seconds)),
            "to_reference": round(
                statistics.median(b / a for a, b in zip(measurement.seconds, reference_seconds, strict=True)), 2
            ),
            "cpu_seconds": round(statistics.median(measurement.cpu_seconds), 2),
            "peak_mb": round(measurement.peak_mb),
            "s3_calls": measurement.s3_calls,
        }
        for name, measurement in measurements.items()
    ]


def format_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, followed by the function's own time for a chunk and the ratios to tus."""
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
    return "\n".join([*lines, "", *_sentences(figures)])


def _sentences(figures: Mapping[str, Any]) -> list[str]:
    overhead = figures["handler_overhead"]
    own_time = (
        f"The upload function spends {overhead['handler_ms']:.1f} ms on a chunk of 4 MiB, without its backend calls. "
        f"The standard library's decoder and CRC32C alone take {overhead['baseline_ms']:.1f} ms. The ratio is "
        f"{overhead['ratio']:.2f} (goal: at most {OVERHEAD_GOAL:g})."
    )
    rates = {row["name"]: row["mb_per_second"] for row in figures["contenders"]}
    one, four, tus = (rates.get(name) for name in (ONE, FOUR, TUS))
    if not (one and four and tus):
        return [own_time]
    chunk_ms = handler_overhead.BODY_BYTES / 1e3 / one
    rates_text = f"Ferry's rate is {one / tus:.1f} times that of tus with one sender, and {four / tus:.1f} with four."
    chunk_text = (
        f"A chunk of one sender takes {chunk_ms:.0f} ms. Most of it passes while bytes move between processes on both "
        "cores, not in the function."
    )
    return [own_time, rates_text, chunk_text]


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Draw the median speed of each contender and the range of its rounds."""
    rows = figures["contenders"][::-1]
    speeds = [row["mb_per_second"] for row in rows]
    spread = [
        [row["mb_per_second"] - row["slowest"] for row in rows],
        [row["fastest"] - row["mb_per_second"] for row in rows],
    ]
    colors = [report.FERRY_COLOR if row["name"].startswith("Ferry") else report.PEER_COLOR for row in rows]
    axes.barh([row["name"] for row in rows], speeds, xerr=spread, color=colors, ecolor=report.TEXT_COLOR, capsize=3)
    axes.set_xlabel(f"MB/s, {figures['size_mib']} MiB, median and range of the rounds")


REPORT = report.Report("speed", format_table, plot)

if __name__ == "__main__":
    sys.exit(main())
