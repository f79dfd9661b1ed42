"""Run a load plan: open every upload, send all bytes in turns, complete, delete, and report."""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from dev.bench.errors import BenchError
from dev.bench.load_plan import DELETE_BATCH, PRESIGN_BATCH, DataPath, LoadPlan
from dev.local.client import OCTET_STREAM, FerryClient
from dev.local.errors import LocalError

MAX_ATTEMPTS = 8
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 10.0
_REPEATED_STATUSES = frozenset({202, 429, 500, 502, 503, 504})
_TIMEOUT_SECONDS = 60.0
_MAX_BODY_BYTES = 64 * 1024 * 1024
_PERCENTILES = (50, 95, 99)


class RequestFailedError(Exception):
    """A request was rejected, or repeated as often as it may be."""


class OutOfTimeError(Exception):
    """The plan's time is over."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and under which name it is reported."""

    route: str
    """The name in the report, such as `POST /upload/chunk` or `PUT part (S3)`."""
    method: str
    """The HTTP method."""
    url: str
    """The whole URL."""
    headers: Mapping[str, str]
    """Request headers, the token included."""


class LoadRun:
    """One run of a plan, as one client."""

    def __init__(self, plan: LoadPlan, client_id: str, client_secret: str) -> None:
        self._plan = plan
        try:
            self._token = FerryClient(plan.url).authenticate(client_id, client_secret).token
        except (OSError, LocalError) as error:
            raise BenchError(f"{plan.url} gave no token: {error}") from None
        self._connections = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._statuses: dict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._sent_bytes = 0
        self._started_at = time.monotonic()
        self._content = os.urandom(min(plan.size_bytes, _MAX_BODY_BYTES))

    def run(self) -> dict[str, Any]:
        """Run it once, and return the report."""
        names = [f"{self._plan.prefix}{number:05d}" for number in range(self._plan.uploads)]
        with ThreadPoolExecutor(self._plan.senders) as threads:
            started_at = time.monotonic()
            stored = (
                self._put_all(threads, names)
                if self._plan.data_path is DataPath.PUT
                else self._upload_all(threads, names)
            )
            seconds = time.monotonic() - started_at
            self._started_at = time.monotonic()  # the deletion has its own time
            batches = [names[first : first + DELETE_BATCH] for first in range(0, len(names), DELETE_BATCH)]
            left = sum(not done for done in threads.map(lambda some: self._is_done(self._delete, some), batches))
        for connection in self._opened:
            connection.close()
        return {
            "url": self._plan.url,
            "way": self._plan.data_path.value,
            "uploads": self._plan.uploads,
            "size_bytes": self._plan.size_bytes,
            "senders": self._plan.senders,
            "seconds": round(seconds, 2),
            "files_stored": stored,
            "files_per_second": round(stored / seconds, 2),
            "mb_per_second": round(self._sent_bytes / 1e6 / seconds, 2),
            "deletions_that_failed": left,
            "routes": {route: self._route_report(route) for route in self._statuses},
        }

    def _put_all(self, threads: ThreadPoolExecutor, names: list[str]) -> int:
        def put(name: str) -> None:
            query = urlencode({"filename": name})
            self._send(self._api("PUT", "/files", query, OCTET_STREAM), self._content)

        return sum(threads.map(lambda name: self._is_done(put, name), names))

    def _upload_all(self, threads: ThreadPoolExecutor, names: list[str]) -> int:
        """Open every upload, then send piece after piece of all of them, so that all stay open until the end."""
        plans = [plan for plan in threads.map(self._start, names) if plan is not None]
        failed: set[str] = set()
        pieces = (self._chunks if self._plan.data_path is DataPath.API else self._parts)(plans)
        for name, is_sent in threads.map(lambda piece: (piece[0], self._is_done(piece[1])), pieces):
            if not is_sent:
                failed.add(name)
        whole = [plan for plan in plans if plan["filename"] not in failed]
        stored = sum(threads.map(lambda plan: self._is_done(self._complete, plan), whole))
        broken = [plan for plan in plans if plan["filename"] in failed]
        self._started_at = time.monotonic()
        list(threads.map(lambda plan: self._is_done(self._cancel, plan), broken))
        return stored

    def _start(self, name: str) -> dict[str, Any] | None:
        try:
            plan: dict[str, Any] = self._json(
                "POST", "/upload/start", {"filename": name, "size": self._plan.size_bytes}
            )
        except (RequestFailedError, OutOfTimeError):
            return None
        return plan

    def _chunks(self, plans: list[dict[str, Any]]) -> Iterable[tuple[str, Callable[[], None]]]:
        for number in range(1, self._plan.layout.part_count + 1):
            for plan in plans:
                yield plan["filename"], partial(self._send_chunks, plan, number)

    def _send_chunks(self, plan: Mapping[str, Any], part_number: int) -> None:
        """Send the chunks of a part one after another, as a good client does."""
        for index in self._plan.layout.chunks_in_part(part_number):
            self._send_chunk(plan, index)

    def _send_chunk(self, plan: Mapping[str, Any], index: int) -> None:
        query = {"filename": plan["filename"], "chunk_index": index, "upload_id": plan["upload_id"]}
        first = (index - 1) * plan["chunk_size"]
        body = self._slice(first, min(plan["chunk_size"], self._plan.size_bytes - first))
        target = self._api("POST", "/upload/chunk", urlencode(query), OCTET_STREAM)
        self._send(replace(target, url=f"{plan['chunk_url']}?{urlencode(query)}"), body)

    def _parts(self, plans: list[dict[str, Any]]) -> Iterable[tuple[str, Callable[[], None]]]:
        for first in range(1, self._plan.layout.part_count + 1, PRESIGN_BATCH):
            for plan in plans:
                yield plan["filename"], partial(self._send_parts, plan, first)

    def _send_parts(self, plan: Mapping[str, Any], first: int) -> None:
        numbers = range(first, min(first + PRESIGN_BATCH, plan["part_count"] + 1))
        wanted = {"filename": plan["filename"], "parts": [{"part_number": number} for number in numbers]}
        for part in self._json("POST", "/upload/parts", wanted)["parts"]:
            body = self._slice((part["part_number"] - 1) * plan["part_size"], part["size"])
            self._send(Target("PUT part (S3)", "PUT", part["url"], part["headers"]), body)

    def _complete(self, plan: Mapping[str, Any]) -> None:
        self._json("POST", "/upload/complete", {"filename": plan["filename"], "upload_id": plan["upload_id"]})

    def _cancel(self, plan: Mapping[str, Any]) -> None:
        query = urlencode({"filename": plan["filename"], "upload_id": plan["upload_id"]})
        self._send(self._api("DELETE", "/upload", query), b"")

    def _delete(self, names: list[str]) -> None:
        self._json("POST", "/files/delete", {"filenames": names})

    def _slice(self, first: int, length: int) -> bytes:
        """Return so many bytes of the content, which repeats beyond `_MAX_BODY_BYTES`."""
        first %= len(self._content)
        found = self._content[first : first + length]
        return found if len(found) == length else (self._content * math.ceil(2 + length / len(found)))[:length]

    def _is_done(self, work: Callable[..., None], *arguments: object) -> bool:
        try:
            work(*arguments)
        except (RequestFailedError, OutOfTimeError):
            return False
        return True

    def _api(self, method: str, path: str, query: str = "", content_type: str = "application/json") -> Target:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        return Target(f"{method} {path}", method, f"{self._plan.url}{path}{'?' if query else ''}{query}", headers)

    def _json(self, method: str, path: str, members: Mapping[str, Any]) -> Any:
        return json.loads(self._send(self._api(method, path), json.dumps(members).encode()))

    def _send(self, target: Target, body: bytes) -> bytes:
        """Send a request until it succeeds, and return the response's body.

        Raises:
            RequestFailedError: it is rejected, or failed `MAX_ATTEMPTS` times.
            OutOfTimeError: the plan's time is over.
        """
        for attempt in range(MAX_ATTEMPTS):
            if time.monotonic() - self._started_at > self._plan.max_seconds:
                raise OutOfTimeError
            started_at = time.monotonic()
            try:
                response, content = self._exchange(target, body)
            except (OSError, http.client.HTTPException) as error:
                self._note(target.route, type(error).__name__, time.monotonic() - started_at, 0)
                self._drop_connections()
                retry_after = None
            else:
                is_sent = 200 <= response.status < 300 and response.status != 202
                self._note(target.route, str(response.status), time.monotonic() - started_at, len(body) * is_sent)
                if is_sent:
                    return content
                if response.status not in _REPEATED_STATUSES:
                    raise RequestFailedError
                retry_after = response.headers.get("Retry-After")
            max_wait_seconds = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
            given_seconds = float(retry_after) if retry_after is not None and retry_after.isdigit() else 0.0
            random_seconds = random.uniform(0, max_wait_seconds)
            time.sleep(min(_MAX_PAUSE_SECONDS, given_seconds) + random_seconds)
        raise RequestFailedError

    def _exchange(self, target: Target, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request over this thread's connection to the host."""
        parts = urlsplit(target.url)
        known = self._connections.__dict__
        if parts.netloc not in known:
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            known[parts.netloc] = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
            self._opened.append(known[parts.netloc])
        connection: http.client.HTTPConnection = known[parts.netloc]
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(target.method, path, body, dict(target.headers))
        response = connection.getresponse()
        return response, response.read()

    def _drop_connections(self) -> None:
        """Close this thread's connections, so that the next request opens new ones."""
        for connection in self._connections.__dict__.values():
            connection.close()
        self._connections.__dict__.clear()

    def _note(self, route: str, outcome: str, seconds: float, sent_bytes: int) -> None:
        with self._lock:
            self._statuses[route][outcome] += 1
            self._seconds[route].append(seconds)
            if route != "POST /files/delete":
                self._sent_bytes += sent_bytes

    def _route_report(self, route: str) -> dict[str, Any]:
        times = sorted(self._seconds[route])
        return {
            "outcomes": dict(sorted(self._statuses[route].items())),
            **{
                f"p{percent}_ms": round(times[min(len(times) - 1, len(times) * percent // 100)] * 1000, 1)
                for percent in _PERCENTILES
            },
        }


def format_report(report: Mapping[str, Any]) -> str:
    """Return the report as text for people."""
    summary = (
        f"{report['files_stored']:,} of {report['uploads']:,} files in {report['seconds']:g} s: "
        f"{report['files_per_second']:g} files/s, {report['mb_per_second']:g} MB/s"
    )
    lines = [
        summary,
        "",
        f"{'route':<24}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}  outcomes",
    ]
    for route, found in report["routes"].items():
        outcomes = ", ".join(f"{outcome} × {count}" for outcome, count in found["outcomes"].items())
        times = "".join(f"{found[f'p{percent}_ms']:>9.0f}" for percent in _PERCENTILES)
        lines.append(f"{route:<24}{times}  {outcomes}")
    if report["deletions_that_failed"]:
        lines.append(f"{report['deletions_that_failed']} deletions failed: delete the files by their prefix")
    return "\n".join(lines)
