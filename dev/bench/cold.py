"""Measure cold starts: from the start of a fresh runtime client process to its first response.

Every round starts each function once and each reference once, so that a noisy machine affects all alike. The functions
run from the built layer. The references, which create a bare S3 client, run from boto3 as pip installs it, with
bytecode.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dev.bench import report, runtime_api, service, setup
from dev.bench.errors import BenchError
from dev.bench.measured_process import run_measured
from dev.bench.service import BenchService
from dev.local.apigw_event import GatewayRequest, build_event, new_request_id
from dev.local.client import OCTET_STREAM, expect
from dev.local.errors import LocalError
from dev.local.routing import Route, RouteMatch
from dev.paths import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEFAULT_ROUNDS = 15
BARE_CLIENT, BARE_FUNCTION = "bare client", "bare client, as a function"
TARGET_RATIO = 1.3
"""Goal for each function's time, as a multiple of `BARE_FUNCTION`."""

_IMPORT_PREFIX = "import time:"


class Startable(Protocol):
    """A program that can be started again and again, each time in a fresh process."""

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart:
        """Start once and measure. Raises `BenchError`."""
        ...


@dataclass(frozen=True, slots=True)
class CommandProcess:
    """A command that exits; it is measured from its start to its exit."""

    command: Sequence[str]
    """The program and its arguments."""
    env: Mapping[str, str]
    """The whole environment of the process."""

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart:
        run = run_measured(" ".join(self.command), self.command, {**self.env, **extra_env})
        return runtime_api.ColdStart(run.seconds, run.cpu_seconds, run.peak_mb, None, run.output)


@dataclass(frozen=True, slots=True)
class FunctionProcess:
    """A function under Lambda's runtime client; it is measured from its start to its first response."""

    command: Sequence[str]
    """The program and its arguments."""
    env: Mapping[str, str]
    """The whole environment of the process."""

    folder: Path
    """The function's code."""

    event: Mapping[str, Any]
    """The first event."""

    expected_status: int | None
    """The status of the response; None for an event that is not an HTTP request."""

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart:
        started = runtime_api.time_cold_start(
            self.command, self.event, env={**self.env, **extra_env}, work_folder=self.folder
        )
        if self.expected_status is not None and started.response.get("statusCode") != self.expected_status:
            raise BenchError(
                f"{self.folder.name} responded {str(started.response)[:500]}; output: {started.output[-2000:]}"
            )
        return started


@dataclass(slots=True)
class ColdStartMeasurement:
    """A program and the measurements of its starts, one for each round."""

    name: str
    """The row's title in the table."""

    subject: Startable
    """Starts the program."""
    seconds: list[float] = field(default_factory=list)
    """Wall times."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Processor time, which other programs of a busy machine change little."""

    peaks_mb: list[float] = field(default_factory=list)
    """Peak resident memory."""

    module_count: int = 0
    """Modules imported up to the first response."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make bench-cold", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help=f"starts of each (default {DEFAULT_ROUNDS})")
    REPORT.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if options.redraw:
            REPORT.redraw()
            return 0
        python = setup.find_python()
        setup.install()
        with service.running_service("--instances", "2") as running, tempfile.TemporaryDirectory() as copies:
            subjects = [*reference_subjects(python), *function_subjects(running, python, Path(copies))]
            measure(subjects, options.rounds)
        REPORT.publish({"rounds": options.rounds, "starts": summarize(subjects)}, write=options.write)
    except (BenchError, LocalError) as error:
        print(f"bench-cold: {error}", file=sys.stderr)
        return 1
    return 0


def reference_subjects(python: str) -> list[ColdStartMeasurement]:
    """Return the references: a process that only creates an S3 client, and a function that creates one and responds."""
    env = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", **setup.BYTECODE_ENV}
    bare = [python, "-c", "import boto3; boto3.client('s3')"]
    bare_function = FunctionProcess(
        setup.runtime_client_command(python),
        {**env, "PYTHONPATH": setup.python_path(setup.PLAIN_BOTO3_FOLDER, setup.RUNTIME_CLIENT_FOLDER)},
        ROOT / "dev" / "bench" / "baseline",
        {},
        204,
    )
    return [
        ColdStartMeasurement(BARE_CLIENT, CommandProcess(bare, {**env, "PYTHONPATH": str(setup.PLAIN_BOTO3_FOLDER)})),
        ColdStartMeasurement(BARE_FUNCTION, bare_function),
    ]


def function_subjects(running: BenchService, python: str, work_folder: Path) -> Iterable[ColdStartMeasurement]:
    """Yield every function with its most likely first request; the upload function with a JSON and a raw request."""
    for title, logical_id, event in _first_requests(running):
        function = running.stack.functions[logical_id]
        folder = work_folder / logical_id
        if not folder.exists():
            # A deployed function has no bytecode beside its code; a local run may have left some.
            shutil.copytree(function.code_folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        env = {**running.environment(function), **setup.BYTECODE_ENV}
        env["PYTHONPATH"] = setup.python_path(folder, setup.LAYER_FOLDER, setup.RUNTIME_CLIENT_FOLDER)
        status = 200 if "routeKey" in event else None
        command = setup.runtime_client_command(python, function.handler)
        yield ColdStartMeasurement(title, FunctionProcess(command, env, folder, event, status))


def _first_requests(running: BenchService) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Store what the requests need. Return the title, the logical id of the function and the event of each."""
    api, name = running.client(), "cold.bin"
    body = b"a file that fits into a response"
    expect(api.start(name, len(body)), 201, "start")
    expect(api.send_chunk(name, 1, body), 200, "chunk")
    expect(api.complete(name), 200, "complete")
    expect(api.start("started", 1), 201, "start")
    expect(api.request("PUT", "/files?filename=put", b"0", {"content-type": OCTET_STREAM}), 201, "put")
    bearer = {"authorization": f"Bearer {api.token}"}
    json_type = {"content-type": "application/json"}
    client = running.connection_info["clients"][0]
    credentials = {name: client[name] for name in ("client_id", "client_secret")}
    token = json.dumps({"grant_type": "client_credentials", **credentials}).encode()
    # With `resume`, a start joins the upload also once the raw chunk of an earlier round has arrived.
    start = json.dumps({"filename": "started", "size": 1, "resume": True}).encode()
    return [
        ("auth: a token", "AuthFunction", gateway_event("POST /auth/token", json_type, token)),
        ("upload: start (JSON)", "UploadFunction", gateway_event("POST /upload/start", {**bearer, **json_type}, start)),
        (
            "upload: a raw chunk",
            "UploadFunction",
            gateway_event(
                "POST /upload/chunk", {**bearer, "content-type": OCTET_STREAM}, b"1", "filename=started&chunk_index=1"
            ),
        ),
        (
            "files: a small file in one request",
            "FilesFunction",
            gateway_event("PUT /files", {**bearer, "content-type": OCTET_STREAM}, b"1", "filename=put"),
        ),
        ("download: a small file", "DownloadFunction", gateway_event("GET /download", bearer, b"", f"filename={name}")),
        ("status: of one upload", "StatusFunction", gateway_event("GET /status", bearer, b"", f"filename={name}")),
        ("cleanup: the schedule", "CleanupFunction", {"ferry": "sweep"}),
    ]


def gateway_event(route: str, headers: Mapping[str, str], body: bytes, query: str = "") -> dict[str, Any]:
    """Return the event that API Gateway sends for a request."""
    method, _, path = route.partition(" ")
    raw_headers = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1", **headers}.items()]
    request = GatewayRequest(method, path.encode(), query.encode(), raw_headers, body, "127.0.0.1")
    return build_event(request, RouteMatch(Route(method, path, ""), {}), request_id=new_request_id())


def measure(measurements: Sequence[ColdStartMeasurement], rounds: int) -> None:
    """Start every program once in each round. Raises `BenchError`."""
    for measurement in measurements:
        # The first start fills the system's caches and is not timed; it lists the imported modules.
        output = measurement.subject.start({"PYTHONPROFILEIMPORTTIME": "1"}).output
        measurement.module_count = output.count(_IMPORT_PREFIX) - 1
    for number in range(rounds):
        for measurement in measurements:
            started = measurement.subject.start({})
            measurement.seconds.append(started.seconds)
            measurement.cpu_seconds.append(started.cpu_seconds)
            measurement.peaks_mb.append(started.peak_mb)
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {rounds} rounds", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def summarize(measurements: Sequence[ColdStartMeasurement]) -> list[dict[str, Any]]:
    """Return the medians of each program. A ratio is the median of the ratios within each round."""
    bare, bare_function = measurements[:2]
    return [
        {
            "name": measurement.name,
            "milliseconds": round(statistics.median(measurement.seconds) * 1000, 1),
            "to_bare": _median_ratio(measurement.seconds, bare.seconds),
            "to_function": _median_ratio(measurement.seconds, bare_function.seconds),
            "cpu_milliseconds": round(statistics.median(measurement.cpu_seconds) * 1000, 1),
            "cpu_to_function": _median_ratio(measurement.cpu_seconds, bare_function.cpu_seconds),
            "peak_mb": round(statistics.median(measurement.peaks_mb), 1),
            "modules": measurement.module_count,
        }
        for measurement in measurements
    ]


def _median_ratio(seconds: Sequence[float], reference_seconds: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(seconds, reference_seconds, strict=True)), 2)


def format_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    head = (
        "| first response of a fresh process | ms | × bare client | × bare function "
        "| processor ms | × bare function, processor | peak MB | modules |"
    )
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {row['name']} | {row['milliseconds']:.0f} | {row['to_bare']:.2f} | {row['to_function']:.2f} "
        f"| {_shown(row, 'cpu_milliseconds', '.0f')} | {_shown(row, 'cpu_to_function', '.2f')} "
        f"| {row['peak_mb']:.0f} | {row['modules']} |"
        for row in figures["starts"]
    ]
    return "\n".join(lines)


def _shown(row: Mapping[str, Any], name: str, form: str) -> str:
    """Return a figure that measurements before November 26, 2026 do not have."""
    return format(row[name], form) if name in row else "–"


def plot(axes: Axes, figures: Mapping[str, Any]) -> None:
    """Draw each function's ratio to the bare function, and the goal."""
    rows = figures["starts"][:0:-1]
    ratios = [row["to_function"] for row in rows]
    colors = [report.PEER_COLOR if row["name"] == BARE_FUNCTION else report.FERRY_COLOR for row in rows]
    bars = axes.barh([row["name"] for row in rows], ratios, color=colors)
    labels = [f"{ratio:.2f} times, {row['peak_mb']:.0f} MB" for ratio, row in zip(ratios, rows, strict=True)]
    axes.bar_label(bars, labels, label_type="center", color="white")
    axes.axvline(TARGET_RATIO, color=report.TEXT_COLOR, linestyle="--", linewidth=1)
    axes.annotate(
        "goal",
        (TARGET_RATIO, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
    )
    axes.set_xlim(0, max([*ratios, TARGET_RATIO]) * 1.08)
    axes.set_xlabel("time to the first response, as a multiple of a function with a bare S3 client")


REPORT = report.Report("cold", format_table, plot)

if __name__ == "__main__":
    sys.exit(main())
