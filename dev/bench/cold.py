"""Cold starts: a fresh process of Lambda's runtime client to its first answered request, beside a bare S3 client.

Every round starts each function once, and each reference once, in turn, so that a noisy machine troubles all alike.
The functions run from the built layer; the references from boto3 as pip installs it, bytecode included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dev.bench import report, runtime_api, service, setup
from dev.bench.errors import BenchError
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
_IMPORT_PREFIX = "import time:"


class Startable(Protocol):
    """Something that is started afresh, again and again."""

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart: ...


@dataclass(frozen=True, slots=True)
class CommandProcess:
    """A command that ends by itself; `seconds` are until it has."""

    command: Sequence[str]
    env: Mapping[str, str]

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart:
        with tempfile.TemporaryFile() as said:
            begun = time.perf_counter()
            child = subprocess.Popen(list(self.command), env={**self.env, **extra_env}, stderr=said)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            errors = said.read().decode("utf-8", "replace")
        if child.returncode:
            raise BenchError(f"{' '.join(self.command)} ended with {child.returncode}: {errors[-2000:]}")
        return runtime_api.ColdStart(seconds, usage.ru_maxrss / 1024, None, errors)


@dataclass(frozen=True, slots=True)
class FunctionProcess:
    """A function's code in `folder`, and the first event it gets, which it must answer with `status`."""

    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    event: Mapping[str, Any]
    expected_status: int | None

    def start(self, extra_env: Mapping[str, str]) -> runtime_api.ColdStart:
        started = runtime_api.time_cold_start(
            self.command, self.event, env={**self.env, **extra_env}, work_folder=self.folder
        )
        if self.expected_status is not None and started.response.get("statusCode") != self.expected_status:
            raise BenchError(
                f"{self.folder.name} answered {str(started.response)[:500]}; it said: {started.output[-2000:]}"
            )
        return started


@dataclass(slots=True)
class ColdStartMeasurement:
    """What is started, and what was seen of it."""

    name: str
    subject: Startable
    seconds: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)
    module_count: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-cold", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help=f"starts of each (default {DEFAULT_ROUNDS})")
    parser.add_argument("--write", action="store_true", help=report.WRITE_HELP)
    options = parser.parse_args(arguments)
    try:
        python = setup.find_python()
        setup.install()
        with service.running_service("--instances", "2") as running, tempfile.TemporaryDirectory() as copies:
            subjects = [*reference_subjects(python), *function_subjects(running, python, Path(copies))]
            measure(subjects, options.rounds)
    except (BenchError, LocalError) as error:
        print(f"bench-cold: {error}", file=sys.stderr)
        return 1
    figures = summarize(subjects)
    print(format_table(figures))
    if options.write:
        report.write_report("cold", figures, format_table(figures), plot)
    return 0


def reference_subjects(python: str) -> list[ColdStartMeasurement]:
    """A process with a bare client, which does nothing else; and a function that has made one, and answers."""
    env = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", **setup.BYTECODE_ENV}
    bare = [python, "-c", "import boto3; boto3.client('s3')"]
    like = FunctionProcess(
        setup.runtime_client_command(python),
        {**env, "PYTHONPATH": setup.python_path(setup.PLAIN_BOTO3_FOLDER, setup.RUNTIME_CLIENT_FOLDER)},
        ROOT / "dev" / "bench" / "baseline",
        {},
        204,
    )
    return [
        ColdStartMeasurement(BARE_CLIENT, CommandProcess(bare, {**env, "PYTHONPATH": str(setup.PLAIN_BOTO3_FOLDER)})),
        ColdStartMeasurement(BARE_FUNCTION, like),
    ]


def function_subjects(running: BenchService, python: str, work_folder: Path) -> Iterable[ColdStartMeasurement]:
    """Every function, each with the first request that it most likely gets; the upload function with both kinds."""
    api, name = running.client(), "cold.bin"
    body = b"a file that fits into an answer"
    expect(api.start(name, len(body)), 201, "start")
    expect(api.send_chunk(name, 1, body), 200, "chunk")
    expect(api.complete(name), 200, "complete")
    expect(api.start("begun", 1), 201, "start")
    bearer = {"authorization": f"Bearer {api.token}"}
    json_type = {"content-type": "application/json"}
    client = running.connection_info["clients"][0]
    credentials = {name: client[name] for name in ("client_id", "client_secret")}
    token = json.dumps({"grant_type": "client_credentials", **credentials}).encode()
    start = json.dumps({"filename": "begun", "size": 1}).encode()
    firsts = [
        ("auth: a token", "AuthFunction", gateway_event("POST /auth/token", json_type, token)),
        ("upload: start (JSON)", "UploadFunction", gateway_event("POST /upload/start", {**bearer, **json_type}, start)),
        (
            "upload: a raw chunk",
            "UploadFunction",
            gateway_event(
                "POST /upload/chunk", {**bearer, "content-type": OCTET_STREAM}, b"1", "filename=begun&chunk_index=1"
            ),
        ),
        ("download: a small file", "DownloadFunction", gateway_event("GET /download", bearer, b"", f"filename={name}")),
        ("status: of one upload", "StatusFunction", gateway_event("GET /status", bearer, b"", f"filename={name}")),
        ("cleanup: the schedule", "CleanupFunction", {"ferry": "sweep"}),
    ]
    for title, logical, event in firsts:
        function = running.stack.functions[logical]
        folder = work_folder / logical
        if not folder.exists():
            # Without the bytecode that a local run may have left beside it: none is deployed.
            shutil.copytree(function.code_folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        env = {**running.environment(function), **setup.BYTECODE_ENV}
        env["PYTHONPATH"] = setup.python_path(folder, setup.LAYER_FOLDER, setup.RUNTIME_CLIENT_FOLDER)
        status = 200 if "routeKey" in event else None
        command = setup.runtime_client_command(python, function.handler)
        yield ColdStartMeasurement(title, FunctionProcess(command, env, folder, event, status))


def gateway_event(route: str, headers: Mapping[str, str], body: bytes, query: str = "") -> dict[str, Any]:
    method, _, path = route.partition(" ")
    sent = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1", **headers}.items()]
    request = GatewayRequest(method, path.encode(), query.encode(), sent, body, "127.0.0.1")
    return build_event(request, RouteMatch(Route(method, path, ""), {}), request_id=new_request_id())


def measure(subjects: Sequence[ColdStartMeasurement], rounds: int) -> None:
    for subject in subjects:
        # The first start fills the system's caches, and tells what is imported.
        said = subject.subject.start({"PYTHONPROFILEIMPORTTIME": "1"}).output
        subject.module_count = said.count(_IMPORT_PREFIX) - 1
    for number in range(rounds):
        for subject in subjects:
            started = subject.subject.start({})
            subject.seconds.append(started.seconds)
            subject.peaks_mb.append(started.peak_mb)
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {rounds} rounds", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def summarize(subjects: Sequence[ColdStartMeasurement]) -> list[dict[str, Any]]:
    """Medians; the ratios are medians of each round's own ratio."""
    bare, like = subjects[:2]
    return [
        {
            "name": subject.name,
            "milliseconds": round(statistics.median(subject.seconds) * 1000, 1),
            "to_bare": _median_ratio(subject.seconds, bare.seconds),
            "to_function": _median_ratio(subject.seconds, like.seconds),
            "peak_mb": round(statistics.median(subject.peaks_mb), 1),
            "modules": subject.module_count,
        }
        for subject in subjects
    ]


def _median_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 2)


def format_table(figures: Sequence[Mapping[str, Any]]) -> str:
    head = "| first answer of a fresh process | ms | × bare client | × it as a function | peak MB | modules |"
    lines = [head, "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {row['name']} | {row['milliseconds']:.0f} | {row['to_bare']:.2f} | {row['to_function']:.2f} "
        f"| {row['peak_mb']:.0f} | {row['modules']} |"
        for row in figures
    ]
    return "\n".join(lines)


def plot(axes: Axes, figures: Sequence[Mapping[str, Any]]) -> None:
    """Each function's ratio to the bare client as a function, and the goal."""
    rows = figures[:0:-1]
    ratios = [row["to_function"] for row in rows]
    colours = [report.PEER_COLOR if row["name"] == BARE_FUNCTION else report.FERRY_COLOR for row in rows]
    bars = axes.barh([row["name"] for row in rows], ratios, color=colours)
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
    axes.set_xlabel("fresh process to first answer, times that of a function with a bare S3 client")


if __name__ == "__main__":
    sys.exit(main())
