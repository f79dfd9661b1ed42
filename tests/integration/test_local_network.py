"""The lines with AWS's delays that the local service puts before S3 and DynamoDB."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from dev.local import network_lines
from dev.local.backends import RunningBackends
from dev.local.disk_space import DiskSpace
from dev.local.state import StateFolder
from dev.network import aws


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers every PUT and POST with its body."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT  # noqa: N815 - as the base class calls it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the overridden parameter
        """Write nothing."""


@dataclass
class _Server:
    """What the lines read of a backend."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield _Server(running.server_port)
        running.shutdown()


def test_lines_pass_requests_on_and_count_them(server: _Server, tmp_path: Path) -> None:
    """Both services are reached through their lines, KMS through DynamoDB's, and each operation is counted."""
    body = b"x" * 700_000

    async def run() -> tuple[dict[str, str], bytes, dict[str, Any]]:
        async with contextlib.AsyncExitStack() as running:
            state = running.enter_context(contextlib.closing(StateFolder(tmp_path / "state")))
            backend = cast("Any", server)
            direct = RunningBackends(backend, backend, {}, {}, DiskSpace(state.folder))
            delays = aws.parse("aws,s3_ms=2,dynamodb_ms=1")
            backends = await network_lines.put_before(direct, delays, state, running)
            echoed = await asyncio.to_thread(_send, backends.endpoints, body)
            counts = await asyncio.to_thread(aws.read_counts, state.folder / network_lines.COUNTS_FILE)
            return backends.endpoints, echoed, counts

    endpoints, echoed, counts = asyncio.run(run())
    assert echoed == body
    assert endpoints["kms"] == endpoints["dynamodb"] != endpoints["s3"]
    assert server.url not in endpoints.values()
    assert counts["s3"]["operations"] == {"PutObject": 2}
    assert counts["dynamodb"]["operations"] == {"GetItem": 1}
    assert counts["s3"]["bytes_up"] > 2 * len(body)


def _send(endpoints: dict[str, str], body: bytes) -> bytes:
    with urllib3.PoolManager() as pool:
        pool.request("POST", endpoints["dynamodb"], headers={"x-amz-target": "DynamoDB_20120810.GetItem"}, body=b"{}")
        pool.request("PUT", f"{endpoints['s3']}/bucket/key", body=body)
        return pool.request("PUT", f"{endpoints['s3']}/bucket/key", body=body).data
