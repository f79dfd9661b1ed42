"""Measure `ferry` and other clients on bad lines: `python -m dev.bench.client_lines [--seconds 60] [--write]`.

Each run moves one file through its own model of a line (`dev.bench.bad_lines`), against one local service. The file has
what the line carries in `--seconds`. Runs go side by side (`--parallel`): each has its own line and state folder, so
that they share processor time alone. A run finishes if its command ends with exit code 0 within twice the time that the
line needs, and the bytes that arrived are those of the file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dev.bench import service
from dev.bench.bad_lines import BYTES_PER_SECOND, LINES, Case
from dev.bench.errors import BenchError
from dev.bench.line_clients import LineBench, cases, install_tus_client
from dev.bench.lines_report import write_tables
from dev.figures import write_figures
from dev.paths import ROOT

MAX_INSTANCES = 16
"""Instances of each function of the local service."""


def measure_all(bench: LineBench, planned: list[Case], parallel: int) -> dict[Case, list[dict[str, Any]]]:
    """Run the cases, some at once, and return the figures of their runs."""
    results: dict[Case, list[dict[str, Any]]] = {case: [] for case in planned}

    def measure(case: Case) -> None:
        result = bench.measure(case)
        results[case].append(result)
        print(f"{case.client:14} {case.line:28} {case.direction:5}", result, flush=True)

    with ThreadPoolExecutor(parallel) as threads:
        list(threads.map(measure, planned))
    return results


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many runs finished, the medians of those that did, and the worst of them.

    `least_part_of_rate` and `most_moved_over_size` are of single runs.
    """
    finished = [run for run in runs if run["finished"]]
    row: dict[str, Any] = {"runs": len(runs), "finished": len(finished)}
    if finished:
        keys = ("size_bytes", "seconds", "part_of_rate", "moved_over_size", "connections")
        row |= {key: round(statistics.median(run[key] for run in finished), 3) for key in keys}
        row["least_part_of_rate"] = min(run["part_of_rate"] for run in finished)
        row["most_moved_over_size"] = max(run["moved_over_size"] for run in finished)
    return row


def plan(options: argparse.Namespace) -> list[Case]:
    """Return the cases, each as often as it runs. Long ones come first, and the rounds of one case are spread."""
    found = cases(options.line or list(LINES), options.others)
    counts = {"ferry": options.runs}
    rounds = [
        (number, case)
        for client, client_cases in found.items()
        for case in client_cases
        for number in range(counts.get(client, options.other_runs))
    ]
    return [case for _, case in sorted(rounds, key=lambda entry: (entry[1].client == "ferry", entry[0]))]


def to_figures(results: dict[Case, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the summaries: those of ferry by line and direction, those of others by client before."""
    figures: dict[str, Any] = {"lines": {}, "others": {}}
    for case, runs in results.items():
        rows = figures["lines"] if case.client == "ferry" else figures["others"].setdefault(case.client, {})
        rows.setdefault(case.line, {})[case.direction] = summarize(runs)
    return figures


def main() -> int:
    """Measure each line, and print and write the figures. Return 1 if a run of ferry failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="the file's size, as seconds of the line")
    parser.add_argument("--runs", type=int, default=20, help="runs of ferry for each line and direction")
    parser.add_argument("--other-runs", type=int, default=3, help="runs of the other clients")
    parser.add_argument("--others", action=argparse.BooleanOptionalAction, default=True, help="measure other clients")
    parser.add_argument("--line", action="append", choices=list(LINES), help="this line alone; repeatable")
    parser.add_argument("--parallel", type=int, default=32, help="runs side by side")
    parser.add_argument("--write", action="store_true", help="write docs/figures/lines.json and the tables")
    options = parser.parse_args()
    started_at = time.monotonic()
    try:
        if options.others:
            install_tus_client()
        with (
            service.running_service("--instances", str(MAX_INSTANCES)) as running,
            tempfile.TemporaryDirectory() as folder,
        ):
            bench = LineBench(running, Path(folder), options.seconds)
            bench.warm_up()
            load_before = os.getloadavg()[0]
            results = measure_all(bench, plan(options), options.parallel)
    except BenchError as error:
        print(f"client-lines: {error}", file=sys.stderr)
        return 1
    figures = {
        "seconds_of_line": options.seconds,
        "line_bytes_per_second": BYTES_PER_SECOND,
        "parallel": options.parallel,
        **to_figures(results),
        "seconds": round(time.monotonic() - started_at),
        "load_average": [round(load, 1) for load in (load_before, *os.getloadavg())],
    }
    if options.write:
        print(f"wrote {write_figures('lines', 'make prove-lines', figures).relative_to(ROOT)}")
        write_tables(figures)
    ends = [result for line in figures["lines"].values() for result in line.values()]
    return 0 if all(result["finished"] == result["runs"] for result in ends) else 1


if __name__ == "__main__":
    sys.exit(main())
