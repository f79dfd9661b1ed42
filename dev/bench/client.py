"""Sends a file to Ferry as fast as the wire allows, over connections that stay open: `dev.bench.client chunks|parts ...`.

A program of its own, so that what it costs can be told from what the service costs.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

PRESIGN_BATCH = 100
"""Parts signed in one request."""


class KeepAliveClient:
    """Requests of one thread each on one connection of its own."""

    def __init__(self, base_url: str, token: str) -> None:
        self._host = urlsplit(base_url).netloc
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._local = threading.local()

    def call(
        self, method: str, target: str, body: bytes | dict[str, Any], content_type: str = "application/json"
    ) -> Any:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {**self._authorization, "Content-Type": content_type}
        status, answer = self.send(self._host, method, target, content, headers)
        if status not in (200, 201):
            raise SystemExit(f"{method} {target}: {status} {answer[:500]!r}")
        return json.loads(answer)

    def send(self, host: str, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        known = self._local.__dict__.setdefault("connections", {})
        if host not in known:
            known[host] = http.client.HTTPConnection(host, timeout=60)
        known[host].request(method, target, body, headers)
        response = known[host].getresponse()
        return response.status, response.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", choices=("chunks", "parts"))
    parser.add_argument("base_url")
    parser.add_argument("name")
    parser.add_argument("file", type=Path)
    parser.add_argument("--senders", type=int, default=1)
    options = parser.parse_args()
    sender = KeepAliveClient(options.base_url, sys.stdin.readline().strip())
    size = options.file.stat().st_size
    plan = sender.call("POST", "/upload/start", {"filename": options.name, "size": size})
    with ThreadPoolExecutor(options.senders) as threads:
        send = _send_chunks if options.path == "chunks" else _send_parts
        send(sender, threads, plan, options.file)
    sender.call("POST", "/upload/complete", {"filename": options.name, "upload_id": plan["upload_id"]})
    return 0


def _send_chunks(sender: KeepAliveClient, threads: ThreadPoolExecutor, plan: dict[str, Any], file: Path) -> None:
    def one(index: int) -> None:
        query = {"filename": plan["filename"], "chunk_index": index, "upload_id": plan["upload_id"]}
        body = _read(file, (index - 1) * plan["chunk_size"], plan["chunk_size"])
        sender.call("POST", f"/upload/chunk?{urlencode(query)}", body, "application/octet-stream")

    list(threads.map(one, range(1, plan["chunk_count"] + 1)))


def _send_parts(sender: KeepAliveClient, threads: ThreadPoolExecutor, plan: dict[str, Any], file: Path) -> None:
    def one(signed: dict[str, Any]) -> None:
        url = urlsplit(signed["url"])
        body = _read(file, (signed["part_number"] - 1) * plan["part_size"], signed["size"])
        status, answer = sender.send(url.netloc, "PUT", f"{url.path}?{url.query}", body, dict(signed["headers"]))
        if status != 200:
            raise SystemExit(f"part {signed['part_number']}: {status} {answer[:500]!r}")

    for first in range(1, plan["part_count"] + 1, PRESIGN_BATCH):
        numbers = range(first, min(first + PRESIGN_BATCH, plan["part_count"] + 1))
        wanted = {"filename": plan["filename"], "parts": [{"part_number": number} for number in numbers]}
        list(threads.map(one, sender.call("POST", "/upload/parts", wanted)["parts"]))


def _read(file: Path, first: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(first)
        return opened.read(length)


if __name__ == "__main__":
    sys.exit(main())
