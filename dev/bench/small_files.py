"""Measure how many small files a second one request each stores, beside three requests each, of today and of 7f68a67.

python -m dev.bench.small_files [--files 2000] [--senders 8] [--overhead] [--write]

The methods take turns on two local services, each with its own gateway, functions and backends of the same programs.
All are warm, and the connections persist. `aws s3 cp --recursive` copies the same files to the same S3.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from dev.bench import contenders, handler_overhead, process_usage, setup, small_files_report
from dev.bench.client import KeepAliveClient
from dev.bench.errors import BenchError
from dev.bench.measured_process import run_measured
from dev.bench.previous import running_previous
from dev.bench.service import BenchService, running_service
from dev.local.client import OCTET_STREAM, FerryClient
from dev.local.errors import LocalError
from dev.local.network_lines import COUNTS_FILE
from dev.network import aws
from dev.paths import ROOT

DEFAULT_FILES, DEFAULT_SENDERS, BATCHES = 2_000, 8, 4
MIN_BYTES, MAX_BYTES = 4 * 1024, 64 * 1024
AWS_CLI = ROOT / "build" / "aws-cli" / "bin" / "aws"
MAX_INSTANCES = 8
_WARMUP_FILES, _COUNTED_FILES = 40, 20
_NO_DELAYS = "aws,s3_ms=0,s3_mb_per_second=10000,dynamodb_ms=0"

Store = Callable[[KeepAliveClient, str, bytes], None]


class Service(Protocol):
    """What a running local service offers."""

    @property
    def connection_info(self) -> dict[str, Any]:
        """The addresses and the clients."""

    def client(self) -> FerryClient:
        """Return a client that is authenticated."""


@dataclass(slots=True)
class StoreMethod:
    """A method of storing files, and what it took over all batches."""

    requests_per_file: int
    """Requests to the API, or to S3."""
    store: Callable[[list[str], list[bytes]], float]
    """Stores files of these names, and returns the client's processor seconds."""
    state_folder: Path
    """The state folder of its service."""
    seconds: list[float] = field(default_factory=list)
    """Wall time, one entry a batch."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of the service, by what it emulates."""
    calls: dict[str, float] | None = None
    """Calls to S3 and DynamoDB for a file, notes of events included; None if they were not counted."""


def put_file(client: KeepAliveClient, name: str, body: bytes) -> None:
    """Store a file in one request."""
    client.call("PUT", f"/files?{urlencode({'filename': name})}", body, OCTET_STREAM)


def upload_file(client: KeepAliveClient, name: str, body: bytes) -> None:
    """Store a file in three requests."""
    plan = client.call("POST", "/upload/start", {"filename": name, "size": len(body)})
    chunk = {"filename": name, "chunk_index": 1, "upload_id": plan["upload_id"]}
    client.call("POST", f"/upload/chunk?{urlencode(chunk)}", body, OCTET_STREAM)
    client.call("POST", "/upload/complete", {"filename": name, "upload_id": plan["upload_id"]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.small_files", description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=DEFAULT_FILES, help=f"of each method (default {DEFAULT_FILES})")
    parser.add_argument("--senders", type=int, default=DEFAULT_SENDERS, help=f"default {DEFAULT_SENDERS}")
    parser.add_argument("--note", default="", help="a remark for the figures, such as how busy the machine is")
    parser.add_argument(
        "--overhead", action="store_true", help="also a function's own time for 4 MiB (make layer first)"
    )
    report = small_files_report.REPORT
    report.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if options.redraw:
            report.redraw()
            return 0
        if options.overhead:
            setup.find_python()  # fails before anything is measured
        load_before = os.getloadavg()[0]
        with running_services(MAX_INSTANCES) as (folder, running, previous_folder, previous):
            methods = _methods(folder, running, (previous_folder, previous), options.senders)
            measure(methods, options.files)
            overhead = handler_overhead.measure_put(running) if options.overhead else None
        for method, calls in count_calls().items():
            methods[method].calls = calls
        figures = small_files_report.summarize(methods, options.files, options.senders, overhead)
        report.publish({**figures, "load_before": round(load_before, 1), "note": options.note}, write=options.write)
    except (BenchError, LocalError) as error:
        print(f"small-files: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def running_services(instances: int) -> Iterator[tuple[Path, BenchService, Path, Service]]:
    """Run today's service and that of the baseline. Yield a temporary folder, the first, and folder and second."""
    folder = Path(tempfile.mkdtemp(prefix="ferry-small-files-"))
    try:
        previous_folder = folder / "previous"
        with (
            running_service("--instances", str(instances)) as running,
            running_previous(previous_folder, instances) as previous,
        ):
            yield folder, running, previous_folder, previous
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _methods(
    folder: Path, running: BenchService, previous: tuple[Path, Service], senders: int
) -> dict[str, StoreMethod]:
    """Return the methods by name, the baseline first. Without the AWS CLI it is not among them."""
    previous_folder, previous_service = previous
    state_folder = running.local_service.state_folder
    methods = {
        small_files_report.BASELINE: StoreMethod(3, _requests(previous_service, upload_file, senders), previous_folder),
        small_files_report.THREE: StoreMethod(3, _requests(running, upload_file, senders), state_folder),
        small_files_report.PUT: StoreMethod(1, _requests(running, put_file, senders), state_folder),
    }
    if AWS_CLI.exists():
        methods[small_files_report.AWS_CLI] = StoreMethod(
            1, _aws_cli(folder, running, senders), state_folder, calls={"s3": 1, "dynamodb": 0}
        )
    else:
        print(f"aws s3 cp is not measured: there is no {AWS_CLI.relative_to(ROOT)}", file=sys.stderr)
    return methods


def _requests(service: Service, store: Store, senders: int) -> Callable[[list[str], list[bytes]], float]:
    base_url, token, threads = service.connection_info["base_url"], service.client().token, ThreadPoolExecutor(senders)

    def run(names: list[str], bodies: list[bytes]) -> float:
        # New connections: while the other methods have their turns, the gateway closes idle ones.
        client, started_at = KeepAliveClient(base_url, token), time.process_time()
        list(threads.map(lambda name, body: store(client, f"{store.__name__}-{name}", body), names, bodies))
        return time.process_time() - started_at

    return run


def _aws_cli(folder: Path, running: BenchService, senders: int) -> Callable[[list[str], list[bytes]], float]:
    running.create_bucket(contenders.BUCKET)
    config = folder / "aws-config"
    config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {senders}\n", encoding="utf-8")
    env = {**contenders.s3_environment(running), "AWS_CONFIG_FILE": str(config)}
    command = [
        str(AWS_CLI),
        "--endpoint-url",
        running.connection_info["s3_endpoint"],
        "s3",
        "cp",
        "--recursive",
        "--only-show-errors",
    ]

    def run(names: list[str], bodies: list[bytes]) -> float:
        source = folder / "files"
        for name, body in zip(names, bodies, strict=True):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        try:
            copied = run_measured("aws s3 cp", [*command, str(source), f"s3://{contenders.BUCKET}/"], env)
        finally:
            shutil.rmtree(source)
        return copied.cpu_seconds

    return run


def measure(methods: dict[str, StoreMethod], files: int) -> None:
    """Store so many files in each method, in batches that alternate, every second one in the reverse order.

    Raises `SystemExit` if a request fails, `BenchError` if the AWS CLI fails.
    """
    count = files // BATCHES
    sizes = [MIN_BYTES + (MAX_BYTES - MIN_BYTES) * number // max(1, count - 1) for number in range(count)]
    bodies = [os.urandom(size) for size in sizes]
    for batch in range(BATCHES + 1):
        for method in reversed(methods.values()) if batch % 2 else methods.values():
            some = bodies if batch else bodies[:_WARMUP_FILES]
            names = [f"{batch}-{number}" for number in range(len(some))]
            before, started_at = _cpu_by_kind(method.state_folder), time.perf_counter()
            client_seconds = method.store(names, some)
            seconds, after = time.perf_counter() - started_at, _cpu_by_kind(method.state_folder)
            if batch:
                method.seconds.append(seconds)
                spent = {kind: after[kind] - before.get(kind, 0.0) for kind in after} | {"client": client_seconds}
                for kind, cpu in spent.items():
                    method.cpu_seconds[kind] = method.cpu_seconds.get(kind, 0.0) + cpu


def count_calls() -> dict[str, dict[str, float]]:
    """Count the backend calls for a file of each method of today, one file after another, on a service of their own."""
    calls = {}
    with running_service("--network", _NO_DELAYS) as running:
        counts_file = running.local_service.state_folder / COUNTS_FILE
        for name, store in ((small_files_report.THREE, upload_file), (small_files_report.PUT, put_file)):
            run = _requests(running, store, senders=1)
            run(["warm-up"], [b"x" * MIN_BYTES])
            before = aws.read_counts(counts_file)
            run([f"counted-{number}" for number in range(_COUNTED_FILES)], [b"y" * MIN_BYTES] * _COUNTED_FILES)
            after = aws.read_counts(counts_file)
            calls[name] = {
                service: (sum(after[service]["operations"].values()) - sum(before[service]["operations"].values()))
                / _COUNTED_FILES
                for service in after
            }
    return calls


def _cpu_by_kind(state_folder: Path) -> dict[str, float]:
    return process_usage.cpu_by_kind(process_usage.pids_by_kind(state_folder))


if __name__ == "__main__":
    sys.exit(main())
