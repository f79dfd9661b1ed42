"""Summarize, tabulate and draw the figures of `make bench-downloads`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dev.bench import report
from dev.bench.previous import BASELINE_COMMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE, TODAY = BASELINE_COMMIT, "today"
SMALL, RANGE = "a file of 16 KiB", "64 KiB of a file of 4 MiB"
TARGET_RATIO, TARGET_REDIRECT = 2.0, 1.1
_KINDS = ("gateway", "functions", "tables", "S3", "S3 proxy")


def summarize(
    request_kinds: Mapping[str, report.Measured], requests: int, redirects: Mapping[str, float]
) -> dict[str, Any]:
    """Return a row for each kind of request. A ratio to the baseline is the median of the ratios within each batch."""
    rows = []
    for kind in (SMALL, RANGE):
        before = request_kinds[f"{BASELINE}, {kind}"]
        for title in (BASELINE, TODAY):
            request_kind = request_kinds[f"{title}, {kind}"]
            pairs = zip(before.seconds, request_kind.seconds, strict=True)
            rows.append(
                {
                    "name": f"{title}, {kind}",
                    "requests_per_second": round(requests / sum(request_kind.seconds), 1),
                    "to_baseline": round(statistics.median(theirs / ours for theirs, ours in pairs), 2),
                    "cpu_ms_a_request": {
                        name: round(spent / requests * 1000, 2) for name, spent in request_kind.cpu_seconds.items()
                    },
                }
            )
    return {"requests": requests, "rows": rows, "redirects": dict(redirects)}


def format_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, followed by those of redirects."""
    rows = figures["rows"]
    kinds = [kind for kind in _KINDS if any(kind in row["cpu_ms_a_request"] for row in rows)]
    columns = [f"{figures['requests']:,} requests, {figures['senders']} senders", "requests/s", f"÷ {BASELINE}"]
    columns += [f"{kind}, ms" for kind in kinds]
    lines = [f"| {' | '.join(columns)} |", f"|---|{'--:|' * (len(columns) - 1)}"]
    for row in rows:
        spent = row["cpu_ms_a_request"]
        cells = [row["name"], f"{row['requests_per_second']:.0f}", f"{row['to_baseline']:.2f}"]
        cells += [f"{spent[kind]:.1f}" if kind in spent else "–" for kind in kinds]
        lines.append(f"| {' | '.join(cells)} |")
    sentences = (
        f"Milliseconds of processor time are for one request. The goal: {TARGET_RATIO:g} times the requests a second.",
        f"Load of the machine before: {figures['load_before']:g}.",
        figures["note"],
    )
    return "\n".join([*lines, "", " ".join(sentences).rstrip(), "", _redirect_text(figures["redirects"])])


def _redirect_text(redirects: Mapping[str, float]) -> str:
    parts = redirects["call_ms"], redirects["s3_ms"]
    return (
        f"The first byte of a file of 8 MiB, by a redirect: {redirects['redirect_ms']:.1f} ms. A HEAD of it, one call "
        f"of the same function: {parts[0]:.1f} ms. S3's own first byte: {parts[1]:.1f} ms. The redirect takes "
        f"{redirects['ratio']:.2f} times both (goal: at most {TARGET_REDIRECT})."
    )


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Draw the requests a second of each kind of request."""
    rows = figures["rows"][::-1]
    colors = [report.FERRY_COLOR if row["name"].startswith(TODAY) else report.PEER_COLOR for row in rows]
    bars = axes.barh([row["name"] for row in rows], [row["requests_per_second"] for row in rows], color=colors)
    axes.bar_label(bars, fmt="%.0f", padding=3, color=report.TEXT_COLOR)
    axes.set_xlabel(f"requests/s, {figures['senders']} senders")


REPORT = report.Report("downloads", format_table, plot)
