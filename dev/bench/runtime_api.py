"""One fresh process of Lambda's own runtime client, given one event over Lambda's runtime API, and timed.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from dev.bench.errors import BenchError

TIMEOUT_SECONDS = 60.0
_API_PREFIX = "/2018-06-01/runtime"
_PEAK_MEMORY = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """From the process's start to its first answer: seconds, the most memory it had (MB), the answer, what it said."""

    seconds: float
    peak_mb: float
    response: Any
    output: str


class _RuntimeApiServer(http.server.ThreadingHTTPServer):
    """Lambda's side of the runtime API: hands out one event, takes one answer, and lets the process wait after that."""

    daemon_threads = True

    def __init__(self, event: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.event: bytes | None = event
        self.response_received = threading.Event()
        self.responded_at_perf_counter = 0.0
        self.response: Any = None
        self.failure = ""
        self.closing = threading.Event()

    def record_result(self, path: str, body: bytes) -> None:
        self.responded_at_perf_counter = time.perf_counter()
        if path.endswith("/response"):
            self.response = json.loads(body)
        else:
            self.failure = body.decode("utf-8", "replace")
        self.response_received.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a process that has answered is killed while it asks for more."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _RuntimeApiServer

    def do_GET(self) -> None:
        """`/invocation/next`: the event the first time, then silence."""
        event, self.server.event = self.server.event, None
        if event is None:
            self.server.closing.wait()
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + TIMEOUT_SECONDS) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:cold")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        """`/invocation/<id>/response` and the two ways to report an error."""
        self.server.record_result(self.path, self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the base class's
        """Nothing: whoever measures prints."""


def time_cold_start(
    command: Sequence[str], event: Mapping[str, Any], *, env: Mapping[str, str], work_folder: Path
) -> ColdStart:
    """Start `command` (a runtime client with its handler) in `folder`, and time it to its first answer.

    Raises:
        BenchError: it reported an error, or did not answer within `SECONDS`.
    """
    with _RuntimeApiServer(json.dumps(event).encode()) as platform:
        threading.Thread(target=platform.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        address = "{}:{}".format(*platform.server_address)
        begun = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            env={**env, "AWS_LAMBDA_RUNTIME_API": address},
            cwd=work_folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            answered = platform.response_received.wait(TIMEOUT_SECONDS)
            peak = _PEAK_MEMORY.search(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
        finally:
            process.kill()
            output, _ = process.communicate()
            platform.closing.set()
            platform.shutdown()
        said = output.decode("utf-8", "replace")
        if not answered or platform.failure or peak is None:
            raise BenchError(f"{' '.join(command)} did not answer; it said: {platform.failure or said[-2000:]}")
        return ColdStart(platform.responded_at_perf_counter - begun, int(peak[1]) / 1024, platform.response, said)
