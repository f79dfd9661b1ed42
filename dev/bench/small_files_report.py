"""Summarize, tabulate and draw the figures of `make bench-small-files`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dev.bench import report
from dev.bench.previous import BASELINE_COMMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = f"start, chunk, complete of {BASELINE_COMMIT}"
THREE, PUT, AWS_CLI = "start, chunk, complete", "PUT", "aws s3 cp --recursive, to S3"
TARGET_RATIO, TARGET_OVERHEAD = 2.5, 1.6
_KINDS = ("gateway", "functions", "tables", "S3", "S3 proxy", "client")


class MeasuredStore(report.Measured, Protocol):
    """What a method of storing files took."""

    requests_per_file: int
    """Requests to the API, or to S3."""
    calls: dict[str, float] | None
    """Calls to S3 and DynamoDB for a file; None if they were not counted."""


def summarize(
    methods: Mapping[str, MeasuredStore], files: int, senders: int, overhead: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a row for each method, and the ratio of PUT to each. It is the median of the ratios within each batch."""
    rows = []
    for name, method in methods.items():
        pairs = zip(methods[PUT].seconds, method.seconds, strict=True)
        rows.append(
            {
                "name": name,
                "files_per_second": round(files / sum(method.seconds), 1),
                "requests_a_file": method.requests_per_file,
                "cpu_ms_a_file": {
                    kind: round(spent / files * 1000, 1) for kind, spent in method.cpu_seconds.items() if spent
                },
                "calls_a_file": method.calls,
                "put_is_faster_by": round(statistics.median(theirs / ours for ours, theirs in pairs), 2),
            }
        )
    return {"files": files, "senders": senders, "ways": rows, "put_overhead": overhead}


def format_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, with the ratio of the files a second."""
    rows = figures["ways"]
    kinds = [kind for kind in _KINDS if any(kind in row["cpu_ms_a_file"] for row in rows)]
    head = f"{figures['files']:,} files of 4 to 64 KiB, {figures['senders']} senders"
    columns = [head, "files/s", "PUT ÷ this", "requests", "S3 calls", "DynamoDB calls"]
    columns += [f"{kind}, ms" for kind in kinds]
    lines = [f"| {' | '.join(columns)} |", f"|---|{'--:|' * (len(columns) - 1)}"]
    for row in rows:
        calls = row["calls_a_file"] or {}
        cells = [
            row["name"],
            f"{row['files_per_second']:.0f}",
            f"{row['put_is_faster_by']:.2f}",
            str(row["requests_a_file"]),
            *(f"{calls[service]:.1f}" if service in calls else "–" for service in ("s3", "dynamodb")),
            *(f"{row['cpu_ms_a_file'][kind]:.1f}" if kind in row["cpu_ms_a_file"] else "–" for kind in kinds),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Calls and milliseconds of processor time are for one file. PUT ÷ start, chunk, complete of {BASELINE_COMMIT} "
        f"has the goal of at least {TARGET_RATIO}. Load of the machine before: {figures['load_before']:g}. "
        f"{figures['note']}".rstrip(),
    ]
    if overhead := figures["put_overhead"]:
        lines += ["", format_overhead(overhead)]
    return "\n".join(lines)


def format_overhead(overhead: Mapping[str, Any]) -> str:
    """Return the files function's own time for 4 MiB in a sentence."""
    return (
        f"The files function spends {overhead['handler_ms']:.1f} ms of processor time on 4 MiB, without its backend "
        f"calls. The standard library's decoder and CRC32C alone take {overhead['baseline_ms']:.1f} ms; the ratio is "
        f"{overhead['ratio']:.2f} (goal: "
        f"at most {TARGET_OVERHEAD}; the least of {overhead['requests']} requests)."
    )


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Draw the files a second of each method."""
    rows = figures["ways"][::-1]
    colors = [report.PEER_COLOR if row["name"] in (BASELINE, AWS_CLI) else report.FERRY_COLOR for row in rows]
    bars = axes.barh([row["name"] for row in rows], [row["files_per_second"] for row in rows], color=colors)
    axes.bar_label(bars, fmt="%.0f", padding=3, color=report.TEXT_COLOR)
    axes.set_xlabel(f"files/s, {figures['files']:,} files of 4 to 64 KiB, {figures['senders']} senders")


REPORT = report.Report("small-files", format_table, plot)
