"""Measure downloads: small files and ranges a second through the API, today and at 7f68a67, and redirects.

python -m dev.bench.downloads [--requests 1200] [--senders 8] [--write]

Both local services run at once, each with its own gateway, functions and backends of the same programs, and take turns.
A redirect's time to the first byte is measured beside its parts: one call of the function, and S3's own first byte.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dev.bench import downloads_report, process_usage
from dev.bench.client import KeepAliveClient
from dev.bench.errors import BenchError
from dev.bench.small_files import MAX_INSTANCES, Service, running_services, upload_file
from dev.local.errors import LocalError

DEFAULT_REQUESTS, DEFAULT_SENDERS, BATCHES = 1_200, 8, 4
SMALL_BYTES, RANGED_BYTES, RANGE_BYTES, LARGE_BYTES = 16 * 1024, 4 * 1024 * 1024, 64 * 1024, 8 * 1024 * 1024
_WARMUP_REQUESTS = 40
_REDIRECTS = 60
_SMALL, _RANGED, _LARGE = "small", "ranged", "large"


@dataclass(slots=True)
class RequestKind:
    """A kind of request to one service, and what it took over all batches."""

    service: Service
    """The service."""
    state_folder: Path
    """Its state folder."""
    name: str
    """The file that is fetched."""
    headers: dict[str, str]
    """Request headers beside the token."""
    expected: tuple[int, int]
    """Status and length of the response."""
    seconds: list[float] = field(default_factory=list)
    """Wall time, one entry a batch."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of the service, by what it emulates."""


class Getter:
    """Fetches over one connection for each thread."""

    def __init__(self, base_url: str, token: str) -> None:
        self._host = urlsplit(base_url).netloc
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._local = threading.local()

    def get(self, request_kind: RequestKind) -> None:
        """Fetch a file or a range. Raises `BenchError` for another response than the expected one."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._host, timeout=60)
        connection: http.client.HTTPConnection = self._local.connection
        connection.request(
            "GET", f"/download?filename={request_kind.name}", headers=self._authorization | request_kind.headers
        )
        response = connection.getresponse()
        found = response.status, len(response.read())
        if found != request_kind.expected:
            raise BenchError(
                f"GET {request_kind.name}: status and length are {found} instead of {request_kind.expected}"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make bench-downloads", description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=DEFAULT_REQUESTS, help=f"of each (default {DEFAULT_REQUESTS})")
    parser.add_argument("--senders", type=int, default=DEFAULT_SENDERS, help=f"default {DEFAULT_SENDERS}")
    parser.add_argument("--note", default="", help="a remark for the figures, such as how busy the machine is")
    report = downloads_report.REPORT
    report.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if options.redraw:
            report.redraw()
            return 0
        load_before = os.getloadavg()[0]
        with running_services(MAX_INSTANCES) as (_, running, previous_folder, previous):
            request_kinds: dict[str, RequestKind] = {}
            for title, service, folder in (
                (downloads_report.BASELINE, previous, previous_folder),
                (downloads_report.TODAY, running, running.local_service.state_folder),
            ):
                _store_files(service)
                for kind, request_kind in _request_kinds(service, folder).items():
                    request_kinds[f"{title}, {kind}"] = request_kind
            measure(request_kinds, options.requests, options.senders)
            redirects = measure_redirects(running)
        figures = downloads_report.summarize(request_kinds, options.requests, redirects)
        figures |= {"senders": options.senders, "load_before": round(load_before, 1), "note": options.note}
        report.publish(figures, write=options.write)
    except (BenchError, LocalError) as error:
        print(f"bench-downloads: {error}", file=sys.stderr)
        return 1
    return 0


def _store_files(service: Service) -> None:
    client = KeepAliveClient(service.connection_info["base_url"], service.client().token)
    upload_file(client, _SMALL, os.urandom(SMALL_BYTES))
    upload_file(client, _RANGED, os.urandom(RANGED_BYTES))
    large = os.urandom(LARGE_BYTES // 2)
    plan = client.call("POST", "/upload/start", {"filename": _LARGE, "size": LARGE_BYTES})
    for index in (1, 2):
        target = f"/upload/chunk?filename={_LARGE}&chunk_index={index}&upload_id={plan['upload_id']}"
        client.call("POST", target, large, "application/octet-stream")
    client.call("POST", "/upload/complete", {"filename": _LARGE, "upload_id": plan["upload_id"]})


def _request_kinds(service: Service, folder: Path) -> dict[str, RequestKind]:
    ranged = {"Range": f"bytes={RANGE_BYTES}-{2 * RANGE_BYTES - 1}"}
    return {
        downloads_report.SMALL: RequestKind(service, folder, _SMALL, {}, (200, SMALL_BYTES)),
        downloads_report.RANGE: RequestKind(service, folder, _RANGED, ranged, (206, RANGE_BYTES)),
    }


def measure(request_kinds: dict[str, RequestKind], requests: int, senders: int) -> None:
    """Send so many requests of each kind in batches that alternate. Raises `BenchError` for a wrong response."""
    with ThreadPoolExecutor(senders) as threads:
        for batch in range(BATCHES + 1):
            for request_kind in reversed(request_kinds.values()) if batch % 2 else request_kinds.values():
                getter = Getter(request_kind.service.connection_info["base_url"], request_kind.service.client().token)
                before = _cpu(request_kind)
                started_at = time.perf_counter()
                list(threads.map(getter.get, [request_kind] * (requests // BATCHES if batch else _WARMUP_REQUESTS)))
                seconds, after = time.perf_counter() - started_at, _cpu(request_kind)
                if batch:
                    request_kind.seconds.append(seconds)
                    for kind, spent in after.items():
                        spent_before = request_kind.cpu_seconds.get(kind, 0.0)
                        request_kind.cpu_seconds[kind] = spent_before + spent - before.get(kind, 0.0)


def _cpu(request_kind: RequestKind) -> dict[str, float]:
    return process_usage.cpu_by_kind(process_usage.pids_by_kind(request_kind.state_folder))


def measure_redirects(service: Service) -> dict[str, float]:
    """Fetch the first byte of a large file by a redirect, and by its parts alone, in turns.

    Returns:
        Medians in milliseconds: `redirect_ms` of the API's 307 and S3's first byte together, `call_ms` of a HEAD of the
        same file (one function call with the same token check and the same read), `s3_ms` of S3's first byte alone.
        `ratio` is the median of the ratios of the first to the sum of the others.
    """
    info = service.connection_info
    authorization = {"Authorization": f"Bearer {service.client().token}"}
    api = http.client.HTTPConnection(urlsplit(info["base_url"]).netloc, timeout=60)
    s3 = http.client.HTTPConnection(urlsplit(info["s3_endpoint"]).netloc, timeout=60)

    def call(method: str) -> http.client.HTTPResponse:
        api.request(method, f"/download?filename={_LARGE}", headers=authorization)
        response = api.getresponse()
        response.read()
        return response

    def first_byte(url: str) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        s3.request("GET", f"{parts.path}?{parts.query}")
        response = s3.getresponse()
        if response.status != 200 or not response.read(1):
            raise BenchError(f"S3 responded {response.status}")
        return response

    location = call("GET").headers["Location"]
    pairs = []
    for _ in range(_REDIRECTS):
        redirect_ms, response = _timed(lambda: first_byte(call("GET").headers["Location"]))
        response.read()
        call_ms, _ = _timed(lambda: call("HEAD"))
        s3_ms, response = _timed(lambda: first_byte(location))
        response.read()
        pairs.append((redirect_ms, call_ms, s3_ms))
    medians = [round(statistics.median(pair[column] for pair in pairs), 1) for column in range(3)]
    ratio = statistics.median(pair[0] / (pair[1] + pair[2]) for pair in pairs)
    return {**dict(zip(("redirect_ms", "call_ms", "s3_ms"), medians, strict=True)), "ratio": round(ratio, 2)}


def _timed(work: Callable[[], http.client.HTTPResponse]) -> tuple[float, http.client.HTTPResponse]:
    started_at = time.perf_counter()
    response = work()
    return (time.perf_counter() - started_at) * 1000, response


if __name__ == "__main__":
    sys.exit(main())
