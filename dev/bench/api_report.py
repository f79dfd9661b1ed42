"""Summarize, tabulate and draw the figures of `make bench-api`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dev.bench import report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CALLS_MS = 101
"""Milliseconds of the calls of a chunk that wait for each other, by the delays of `dev/network/model.py`
(docs/decisions/0015)."""
OTHER_REQUEST_MS = 50
"""Milliseconds of a request without a chunk, as the cost model assumes."""
_CHUNK_BYTES = 4 * 1024 * 1024
_CORES = 2
_FERRY = "Ferry, chunks, {} sender{}"
ONE, FOUR, EIGHT = (_FERRY.format(count, "s" if count > 1 else "") for count in (1, 4, 8))
STRAIGHT, S5CMD = "Ferry, parts straight to S3, 4 senders", "s5cmd"
TUS, TUS_JS = "tus-node-server, s3-store, tuspy", "tus-js-client, 8 uploads at once"
_NOT_COUNTED = ("network model",)
_SERVICE_KINDS, _SERVICE_MS_GOAL = ("gateway", "functions", "tables"), 45
_COLUMNS = (
    "contender",
    "MB/s (range)",
    "ms a chunk and sender",
    "function, ms",
    "S3 calls a chunk",
    "DynamoDB calls a chunk",
    "processor ms a chunk",
    "two cores allow, MB/s",
)


@dataclass(slots=True)
class Run:
    """One upload of the file."""

    seconds: float
    """Time of the transfer, without the client's start."""
    cpu_seconds: dict[str, float]
    """Processor time by process."""
    peak_mb: dict[str, float]
    """Peak memory of the largest process of each kind."""
    calls: dict[str, dict[str, int]]
    """Calls to S3 and DynamoDB by operation; empty without a network model."""
    backend_bytes: dict[str, int]
    """Bytes to and from S3 and DynamoDB; empty without a network model."""
    request_ms: float | None
    """Median time of a request with content, as the client sees it; None for the peers."""
    function_ms: float | None
    """Median duration of the upload function, as Lambda would report it; None for the peers."""
    function_ms_sum: float | None = None
    """Duration of all its invocations together; None for the peers."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio of two rates of the same round."""

    ours: str
    """The contender whose rate is the numerator."""
    theirs: str
    """The contender whose rate is the denominator."""
    least: float
    """The ratio to reach."""


AWS_GOALS = (
    Goal(ONE, TUS, 2.0),
    Goal(EIGHT, TUS, 4.5),
    Goal(EIGHT, TUS_JS, 1.5),
    Goal(STRAIGHT, S5CMD, 1.3),
)
LOOPBACK_GOALS = (Goal(ONE, TUS, 1.3), Goal(FOUR, TUS, 1.5))


def summarize(runs: Mapping[str, Sequence[Run]], senders: Mapping[str, int], size_mib: int) -> dict[str, Any]:
    """Return a row for each contender, and the ratio of each pair that a goal names.

    A ratio is the median of the ratios within each round.
    """
    size_bytes = size_mib * 1024 * 1024
    rows = [_row(name, some, senders[name], size_bytes) for name, some in runs.items()]
    ratios = []
    for goal in dict.fromkeys(AWS_GOALS + LOOPBACK_GOALS):
        if goal.ours in runs and goal.theirs in runs:
            pairs = zip(runs[goal.ours], runs[goal.theirs], strict=True)
            ratio = statistics.median(theirs.seconds / ours.seconds for ours, theirs in pairs)
            ratios.append({"ours": goal.ours, "theirs": goal.theirs, "goal": goal.least, "ratio": round(ratio, 2)})
    return {"contenders": rows, "ratios": ratios}


def _row(name: str, runs: Sequence[Run], senders: int, size_bytes: int) -> dict[str, Any]:
    chunks = size_bytes / _CHUNK_BYTES
    rates = [size_bytes / 1e6 / run.seconds for run in runs]
    kinds = sorted({kind for run in runs for kind in run.cpu_seconds})
    cpu = {kind: statistics.median(run.cpu_seconds.get(kind, 0.0) for run in runs) for kind in kinds}
    cpu_a_chunk = sum(spent for kind, spent in cpu.items() if kind not in _NOT_COUNTED) / chunks
    last = runs[-1]
    return {
        "name": name,
        "senders": senders,
        "mb_per_second": round(statistics.median(rates), 1),
        "slowest": round(min(rates), 1),
        "fastest": round(max(rates), 1),
        "ms_a_chunk": round(statistics.median(run.seconds for run in runs) * senders / chunks * 1000, 1),
        "request_ms": _median([run.request_ms for run in runs]),
        "function_ms": _median([run.function_ms for run in runs]),
        "function_ms_sum": _median([run.function_ms_sum for run in runs]),
        "cpu_ms_a_chunk": {kind: round(spent / chunks * 1000, 1) for kind, spent in cpu.items()},
        "cpu_ms_a_chunk_sum": round(cpu_a_chunk * 1000, 1),
        "two_cores_mb_per_second": round(_CORES / cpu_a_chunk * _CHUNK_BYTES / 1e6, 1) if cpu_a_chunk else None,
        "peak_mb": {kind: round(max(run.peak_mb.get(kind, 0.0) for run in runs)) for kind in kinds},
        "calls": last.calls,
        "calls_a_chunk": {service: round(sum(found.values()) / chunks, 2) for service, found in last.calls.items()},
        "backend_bytes_to_size": {
            service: round(passed / size_bytes, 3) for service, passed in last.backend_bytes.items()
        },
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 1) if known else None


def format_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as Markdown tables: rates, processor time by process, and the ratios that have a goal."""
    lines = [
        f"{figures['network_description']} {figures['rounds']} rounds, {figures['size_mib']} MiB, chunks of 4 MiB, two "
        f"cores; load of the machine before the first round: {figures['load_before']:g}. {figures['note']}".rstrip(),
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in figures["contenders"]:
        calls = row["calls_a_chunk"]
        lines.append(
            f"| {row['name']} | {row['mb_per_second']:.1f} ({row['slowest']:.0f}–{row['fastest']:.0f}) "
            f"| {row['ms_a_chunk']:.0f} | {_cell(row['function_ms'])} | {_cell(calls.get('s3'), 2)} "
            f"| {_cell(calls.get('dynamodb') or None, 2)} | {row['cpu_ms_a_chunk_sum']:.0f} "
            f"| {_cell(row['two_cores_mb_per_second'])} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            *_process_lines(figures),
            "",
            _service_line(figures),
            *_chunk_time_lines(figures),
            "",
            *_ratio_lines(figures),
        ]
    )


def _process_lines(figures: Mapping[str, Any]) -> list[str]:
    rows = figures["contenders"]
    kinds = sorted({kind for row in rows for kind in row["cpu_ms_a_chunk"]})
    lines = [
        f"| processor ms a chunk (peak MB of the largest process) | {' | '.join(kinds)} |",
        f"|---|{'--:|' * len(kinds)}",
    ]
    for row in rows:
        spent, peaks = row["cpu_ms_a_chunk"], row["peak_mb"]
        cells = (f"{spent[kind]:.0f} ({peaks[kind]:.0f})" if kind in spent else "–" for kind in kinds)
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def _service_line(figures: Mapping[str, Any]) -> str:
    """Return the local service's own processor time for a chunk: without the client and the emulator of S3."""
    spent = []
    for row in figures["contenders"]:
        if row["name"] in (ONE, FOUR, EIGHT):
            own = sum(row["cpu_ms_a_chunk"].get(kind, 0.0) for kind in _SERVICE_KINDS)
            spent.append(f"{own:.0f} ms with {row['name'].removeprefix('Ferry, chunks, ')}")
    return f"Gateway, functions and tables together, a chunk: {', '.join(spent)} (goal: at most {_SERVICE_MS_GOAL} ms)."


def mean_chunk_ms(figures: Mapping[str, Any]) -> float:
    """Return the mean milliseconds of the function for a chunk of one sender. Lambda bills the sum of all requests.

    Start and completion, the requests without a chunk, count as `OTHER_REQUEST_MS` each.
    """
    chunks = figures["size_mib"] * 1024 * 1024 / _CHUNK_BYTES
    return float((one_sender_row(figures)["function_ms_sum"] - 2 * OTHER_REQUEST_MS) / chunks)


def one_sender_row(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures of chunks of one sender."""
    [row] = [row for row in figures["contenders"] if row["name"] == ONE]
    return cast("Mapping[str, Any]", row)


def _chunk_time_lines(figures: Mapping[str, Any]) -> list[str]:
    """Return what the time of a function for a chunk consists of, with the model of AWS's network; else nothing."""
    rows = [row for row in figures["contenders"] if row["name"] == ONE]
    if "loopback" in figures["network"] or not rows or not rows[0].get("function_ms_sum"):
        return []
    total_ms, own_ms = mean_chunk_ms(figures), rows[0]["cpu_ms_a_chunk"].get("functions", 0.0)
    text = (
        f"The function takes {total_ms:.0f} ms in the mean for a chunk of one sender: {CALLS_MS:.0f} by the delays of "
        f"the calls that wait for each other, {own_ms:.0f} on the processor. The rest passes while the emulators of S3 "
        "and DynamoDB work."
    )
    return ["", text]


def _ratio_lines(figures: Mapping[str, Any]) -> list[str]:
    ratios = _ratios(figures)
    lines = ["| ratio of two rates, median of the rounds | measured | goal |", "|---|--:|--:|"]
    lines += [f"| {goal.ours} ÷ {goal.theirs} | {ratio:.2f} | ≥ {goal.least:g} |" for goal, ratio in ratios]
    missed = [_limit_line(figures, goal, ratio) for goal, ratio in ratios if ratio < goal.least]
    if missed:
        lines += [
            "",
            "What stands in the way of the goals that are not reached, by the figures of this run:",
            "",
            *missed,
        ]
    outcome = figures["tus_js_parallel_uploads"]
    return [*lines, "", f"tus-js-client with `parallelUploads: 8`: {outcome}"]


def _ratios(figures: Mapping[str, Any]) -> list[tuple[Goal, float]]:
    """Return the goals of the network that were measured, each with its ratio."""
    goals = AWS_GOALS if "loopback" not in figures["network"] else LOOPBACK_GOALS
    known = {(row["ours"], row["theirs"], row["goal"]): row["ratio"] for row in figures["ratios"]}
    ratios = [(goal, known.get((goal.ours, goal.theirs, goal.least))) for goal in goals]
    return [(goal, ratio) for goal, ratio in ratios if ratio is not None]


def _limit_line(figures: Mapping[str, Any], goal: Goal, ratio: float) -> str:
    """Return an item of a list: what takes the time of a contender that misses a goal."""
    rows = {row["name"]: row for row in figures["contenders"]}
    ours, theirs = rows[goal.ours], rows[goal.theirs]
    spent_ms, needed_mb_per_second = ours["cpu_ms_a_chunk_sum"], theirs["mb_per_second"] * goal.least
    text = (
        f"- **{goal.ours}: {ratio:.2f} times {goal.theirs} instead of {goal.least:g}.** The goal is about "
        f"{needed_mb_per_second:.0f} MB/s. Processors work for {spent_ms:.0f} ms a chunk, "
        f"{ours['cpu_ms_a_chunk'].get('S3', 0.0):.0f} of them in the emulator of S3 "
        f"(the other contender: {theirs['cpu_ms_a_chunk_sum']:.0f}, {theirs['cpu_ms_a_chunk'].get('S3', 0.0):.0f}). "
    )
    if ours["senders"] == 1:
        needed_ms = _CHUNK_BYTES / 1e3 / needed_mb_per_second
        return text + (
            f"The sender waits for each chunk, {ours['ms_a_chunk']:.0f} ms, so this time and the delays of the calls "
            f"add up; the goal leaves {needed_ms:.0f} ms."
        )
    text += (
        f"Two cores ÷ this time allow {_cell(ours['two_cores_mb_per_second'])} MB/s "
        f"(the other contender: {_cell(theirs['two_cores_mb_per_second'])})."
    )
    if goal.ours == STRAIGHT and ours.get("function_ms_sum") is not None:
        upload_ms = ours["ms_a_chunk"] / ours["senders"] * figures["size_mib"] * 1024 * 1024 / _CHUNK_BYTES
        text += (
            f" Of the {upload_ms:.0f} ms of an upload, {ours['function_ms_sum']:.0f} pass in the functions for "
            f"start, parts and completion, which wait for each other; {goal.theirs} makes no such requests."
        )
    return text


def _cell(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Draw the median rate of each contender with the range of its rounds, and the rate that two cores allow."""
    rows = figures["contenders"][::-1]
    names, rates = [row["name"] for row in rows], [row["mb_per_second"] for row in rows]
    spread = [
        [row["mb_per_second"] - row["slowest"] for row in rows],
        [row["fastest"] - row["mb_per_second"] for row in rows],
    ]
    colors = [report.FERRY_COLOR if name.startswith("Ferry") else report.PEER_COLOR for name in names]
    axes.barh(names, rates, xerr=spread, color=colors, ecolor=report.TEXT_COLOR, capsize=3)
    allowed = [row["two_cores_mb_per_second"] for row in rows]
    axes.scatter(allowed, names, marker="|", s=120, color=report.TEXT_COLOR, label="two cores ÷ processor time")
    axes.set_xlabel(f"MB/s, {figures['size_mib']} MiB, median and range of {figures['rounds']} rounds")
    axes.legend(frameon=False, fontsize=8)


AWS = report.Report("api", format_table, plot, "make prove-api NETWORK=aws")
LOOPBACK = report.Report("api-loopback", format_table, plot, "make prove-api")
