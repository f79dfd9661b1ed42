"""A function's own time for one chunk, backend calls subtracted, beside the bare decoding and CRC of the same bytes.

Run by `dev.bench.api` with the deployed Python, from the built layer, in the upload function's environment; reads the
events (JSON, one a line) and writes the seconds of both, one pair a line.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import Any


class BackendTimer:
    """The seconds spent in calls to AWS."""

    def __init__(self) -> None:
        from botocore.client import BaseClient

        self.seconds = 0.0
        # There is no hook that spans a call.
        kind: Any = BaseClient
        make = kind._make_api_call  # noqa: SLF001

        def timed(client: Any, operation: str, params: Any) -> Any:
            begun = time.perf_counter()
            try:
                return make(client, operation, params)
            finally:
                self.seconds += time.perf_counter() - begun

        kind._make_api_call = timed  # noqa: SLF001


class LambdaContextStub:
    """What the platform tells of an invocation."""

    function_name = "own"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def main() -> None:
    import app  # type: ignore[import-not-found]  # the upload function's own folder is on the path
    import google_crc32c

    backends = BackendTimer()
    for line in sys.stdin:
        event = json.loads(line)
        backends.seconds = 0.0
        begun = time.perf_counter()
        answer = app.lambda_handler(event, LambdaContextStub())
        own = time.perf_counter() - begun - backends.seconds
        if answer["statusCode"] != 200:
            raise SystemExit(f"answered {answer}")
        begun = time.perf_counter()
        google_crc32c.value(base64.b64decode(event["body"]))
        bare = time.perf_counter() - begun
        sys.stderr.write(f"{own} {bare}\n")


if __name__ == "__main__":
    main()
