"""Upload a file to Ferry over persistent connections: `python -m dev.bench.client chunks|parts ...`.

It runs as a process of its own, so that its processor time is measured apart from the service's. It reads the token
from standard input. It prints how many seconds the upload took, without the program's own start, and the median time of
the requests that have content.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

PRESIGN_BATCH = 100
"""Parts signed in one request."""


class KeepAliveClient:
    """An HTTP client that keeps one connection for each thread and host."""

    def __init__(self, base_url: str, token: str) -> None:
        self._host = urlsplit(base_url).netloc
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._local = threading.local()

    def call(
        self, method: str, target: str, body: bytes | dict[str, Any], content_type: str = "application/json"
    ) -> Any:
        """Call the API and return the JSON response. Raises `SystemExit` for any status but 200 and 201."""
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {**self._authorization, "Content-Type": content_type}
        status, response_body = self.send(self._host, method, target, content, headers)
        if status not in (200, 201):
            raise SystemExit(f"{method} {target}: {status} {response_body[:500]!r}")
        return json.loads(response_body)

    def send(self, host: str, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Send a request and return the response's status and body."""
        connections = self._local.__dict__.setdefault("connections", {})
        if host not in connections:
            connections[host] = http.client.HTTPConnection(host, timeout=60)
        connections[host].request(method, target, body, headers)
        response = connections[host].getresponse()
        return response.status, response.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", choices=("chunks", "parts"))
    parser.add_argument("base_url")
    parser.add_argument("name")
    parser.add_argument("file", type=Path)
    parser.add_argument("--senders", type=int, default=1)
    options = parser.parse_args()
    client = KeepAliveClient(options.base_url, sys.stdin.readline().strip())
    size, started_at = options.file.stat().st_size, time.perf_counter()
    plan = client.call("POST", "/upload/start", {"filename": options.name, "size": size})
    with ThreadPoolExecutor(options.senders) as threads:
        send = _send_chunks if options.path == "chunks" else _send_parts
        request_seconds = send(client, threads, plan, options.file)
    client.call("POST", "/upload/complete", {"filename": options.name, "upload_id": plan["upload_id"]})
    seconds, median = time.perf_counter() - started_at, statistics.median(request_seconds)
    print(json.dumps({"seconds": seconds, "request_ms": median * 1000}))
    return 0


def _send_chunks(client: KeepAliveClient, threads: ThreadPoolExecutor, plan: dict[str, Any], file: Path) -> list[float]:
    """Send the chunks of each part one after another, several parts at once."""

    def send_chunks_of_part(number: int) -> list[float]:
        first = (number - 1) * plan["chunks_per_part"] + 1
        last = min(first + plan["chunks_per_part"] - 1, plan["chunk_count"])
        return [send_chunk(index) for index in range(first, last + 1)]

    def send_chunk(index: int) -> float:
        query = {"filename": plan["filename"], "chunk_index": index, "upload_id": plan["upload_id"]}
        body = _read(file, (index - 1) * plan["chunk_size"], plan["chunk_size"])
        started_at = time.perf_counter()
        client.call("POST", f"/upload/chunk?{urlencode(query)}", body, "application/octet-stream")
        return time.perf_counter() - started_at

    parts = threads.map(send_chunks_of_part, range(1, plan["part_count"] + 1))
    return [seconds for part in parts for seconds in part]


def _send_parts(client: KeepAliveClient, threads: ThreadPoolExecutor, plan: dict[str, Any], file: Path) -> list[float]:
    def send_part(part: dict[str, Any]) -> float:
        url = urlsplit(part["url"])
        body = _read(file, (part["part_number"] - 1) * plan["part_size"], part["size"])
        started_at = time.perf_counter()
        status, response_body = client.send(url.netloc, "PUT", f"{url.path}?{url.query}", body, dict(part["headers"]))
        if status != 200:
            raise SystemExit(f"part {part['part_number']}: {status} {response_body[:500]!r}")
        return time.perf_counter() - started_at

    request_seconds: list[float] = []
    for first in range(1, plan["part_count"] + 1, PRESIGN_BATCH):
        numbers = range(first, min(first + PRESIGN_BATCH, plan["part_count"] + 1))
        request = {"filename": plan["filename"], "parts": [{"part_number": number} for number in numbers]}
        request_seconds += threads.map(send_part, client.call("POST", "/upload/parts", request)["parts"])
    return request_seconds


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


if __name__ == "__main__":
    sys.exit(main())
