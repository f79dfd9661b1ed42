"""Measure a function's own time for 4 MiB, against the decoding and the CRC32C that they need in any case.

python -m dev.bench.handler_overhead

Both are processor time, and the least of many requests, so that other programs on the machine count in neither.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dev.bench import service, setup
from dev.bench.cold import gateway_event
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.local.client import OCTET_STREAM, expect
from dev.paths import ROOT

BODY_BYTES = 4 * 1024 * 1024
REQUEST_COUNT = 84
WARMUP_REQUESTS = 4
_CHUNKS_A_PART = 2


def measure(running: BenchService) -> dict[str, Any]:
    """Send chunks in order to the upload function, of which every second one completes a part.

    Returns:
        The milliseconds of the handler (`handler_ms`) and of the baseline (`baseline_ms`), their `ratio`, and the
        median of the ratios of each request (`median_ratio`). Of chunks that are alike the least time counts.

    Raises:
        BenchError: the function failed.
    """
    api, name = running.client(), "overhead"
    plan = expect(api.start(name, BODY_BYTES * REQUEST_COUNT), 201, "start").json
    queries = (
        f"filename={name}&chunk_index={index}&upload_id={plan['upload_id']}" for index in range(1, REQUEST_COUNT + 1)
    )
    return _measure(running, "UploadFunction", "POST /upload/chunk", queries, api.token, kinds=_CHUNKS_A_PART)


def measure_put(running: BenchService) -> dict[str, Any]:
    """Store whole files by the files function. Returns and raises as `measure`."""
    queries = (f"filename=overhead-{number}" for number in range(REQUEST_COUNT))
    return _measure(running, "FilesFunction", "PUT /files", queries, running.client().token)


def _measure(
    running: BenchService, logical_id: str, route: str, queries: Iterable[str], token: str, *, kinds: int = 1
) -> dict[str, Any]:
    interpreter = setup.find_python()
    setup.install()
    function = running.stack.functions[logical_id]
    headers = {"authorization": f"Bearer {token}", "content-type": OCTET_STREAM}
    events = [json.dumps(gateway_event(route, headers, os.urandom(BODY_BYTES), query)) for query in queries]
    with tempfile.TemporaryDirectory() as folder:
        code = Path(shutil.copytree(function.code_folder, Path(folder) / "code"))
        env = {**running.environment(function), **setup.BYTECODE_ENV}
        env["PYTHONPATH"] = setup.python_path(code, setup.LAYER_FOLDER, setup.RUNTIME_CLIENT_FOLDER)
        completed = subprocess.run(
            [interpreter, str(ROOT / "dev" / "bench" / "handler_overhead_runner.py")],
            env=env,
            input="\n".join(events),
            capture_output=True,
            text=True,
            check=False,
        )
    if completed.returncode:
        raise BenchError(f"{logical_id} failed: {completed.stderr[-1500:]}")
    pairs = [tuple(map(float, line.split())) for line in completed.stderr.splitlines()][WARMUP_REQUESTS:]
    return summarize(pairs, kinds)


def summarize(pairs: Sequence[tuple[float, ...]], kinds: int) -> dict[str, Any]:
    """Return the figures of pairs of seconds. Every `kinds`-th request is alike: each kind counts by its least time."""
    handler_ms = statistics.mean(min(pair[0] for pair in pairs[kind::kinds]) for kind in range(kinds)) * 1000
    baseline_ms = min(pair[1] for pair in pairs) * 1000
    return {
        "handler_ms": round(handler_ms, 2),
        "baseline_ms": round(baseline_ms, 2),
        "ratio": round(handler_ms / baseline_ms, 2),
        "median_ratio": round(statistics.median(pair[0] / pair[1] for pair in pairs), 2),
        "requests": len(pairs),
    }


def main() -> int:
    """Measure both functions, and print the figures as JSON. Run `make layer` first."""
    with service.running_service() as running:
        print(json.dumps({"chunk": measure(running), "put": measure_put(running)}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
