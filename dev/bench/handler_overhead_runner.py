"""Time a function without its backend calls, and the bare decoding and CRC32C of the same body.

`dev.bench.handler_overhead` runs this file with the deployed Python, from the built layer, in the function's
environment. It reads events from standard input (JSON, one a line) and writes both times in seconds to standard error,
one pair a line. Times are processor time, which other programs on the machine disturb least.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from typing import Any


class BackendTimer:
    """Adds up the processor seconds spent in calls to AWS, in whatever thread."""

    def __init__(self) -> None:
        from botocore.client import BaseClient

        self.seconds = 0.0
        self._lock = threading.Lock()
        # botocore's events cannot span a call, so the method itself is wrapped.
        client_class: Any = BaseClient
        make_api_call = client_class._make_api_call  # noqa: SLF001

        def timed(client: Any, operation: str, params: Any) -> Any:
            started_at = time.thread_time()
            try:
                return make_api_call(client, operation, params)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - started_at

        client_class._make_api_call = timed  # noqa: SLF001


class LambdaContextStub:
    """The part of Lambda's context object that the function reads."""

    function_name = "function"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def main() -> None:
    import app  # type: ignore[import-not-found]  # the function's own folder is on the path
    import google_crc32c

    backends = BackendTimer()
    for line in sys.stdin:
        event = json.loads(line)
        backends.seconds = 0.0
        started_at = time.process_time()
        response = app.lambda_handler(event, LambdaContextStub())
        handler_seconds = time.process_time() - started_at - backends.seconds
        if response["statusCode"] not in (200, 201):
            raise SystemExit(f"the function responded {response}")
        started_at = time.process_time()
        google_crc32c.value(base64.b64decode(event["body"]))
        baseline_seconds = time.process_time() - started_at
        sys.stderr.write(f"{handler_seconds} {baseline_seconds}\n")


if __name__ == "__main__":
    main()
