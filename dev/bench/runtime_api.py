"""Start a fresh process of Lambda's runtime client, send it one event over the runtime API, and time it.

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
from dev.bench.process_usage import cpu_seconds_of_threads

TIMEOUT_SECONDS = 60.0
_PEAK_MEMORY = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One start of a process, up to its first response."""

    seconds: float
    """Wall time."""

    cpu_seconds: float
    """User and system time of the threads that the process has at its first response."""

    peak_mb: float
    """Peak resident memory."""

    response: Any
    """The handler's return value; None for a process that is not a function."""

    output: str
    """Standard output and standard error."""


class _RuntimeApiServer(http.server.ThreadingHTTPServer):
    """Lambda's side of the runtime API: delivers one event and receives one response. Further polls block."""

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
        """Ignore the closed connection of a process that is killed while it polls."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the runtime API to one process."""

    protocol_version = "HTTP/1.1"
    server: _RuntimeApiServer

    def do_GET(self) -> None:
        """`/invocation/next`: return the event once, then block."""
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
        """`/invocation/<id>/response`, `/invocation/<id>/error` and `/init/error`: record the result."""
        self.server.record_result(self.path, self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object, **__: object) -> None:
        """Log nothing."""


def time_cold_start(
    command: Sequence[str], event: Mapping[str, Any], *, env: Mapping[str, str], work_folder: Path
) -> ColdStart:
    """Start `command` (a runtime client with its handler) in `work_folder` and time it to its first response.

    Raises:
        BenchError: it reported an error, or did not respond within `TIMEOUT_SECONDS`.
    """
    with _RuntimeApiServer(json.dumps(event).encode()) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        address = "{}:{}".format(*server.server_address)
        started_at = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            env={**env, "AWS_LAMBDA_RUNTIME_API": address},
            cwd=work_folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            responded = server.response_received.wait(TIMEOUT_SECONDS)
            cpu_seconds = cpu_seconds_of_threads(process.pid)
            peak = _PEAK_MEMORY.search(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
        finally:
            process.kill()
            stdout, _ = process.communicate()
            server.closing.set()
            server.shutdown()
        output = stdout.decode("utf-8", "replace")
        if not responded or server.failure or peak is None:
            raise BenchError(f"{' '.join(command)} did not respond; output: {server.failure or output[-2000:]}")
        seconds = server.responded_at_perf_counter - started_at
        return ColdStart(seconds, cpu_seconds, int(peak[1]) / 1024, server.response, output)
