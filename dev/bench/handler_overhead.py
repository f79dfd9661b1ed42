"""Measure a function's own time for 4 MiB, against the decoding and the CRC32C that they need in any case."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dev.bench import setup
from dev.bench.cold import gateway_event
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.local.client import OCTET_STREAM, expect
from dev.paths import ROOT

BODY_BYTES = 4 * 1024 * 1024
REQUEST_COUNT = 40
WARMUP_REQUESTS = 4


def measure(running: BenchService) -> dict[str, Any]:
    """Send chunks in order to the upload function, each of which is staged or assembled.

    Returns:
        The medians in milliseconds of the handler and of the baseline, and the median of their ratios.

    Raises:
        BenchError: the function failed.
    """
    api, name = running.client(), "overhead"
    plan = expect(api.start(name, BODY_BYTES * REQUEST_COUNT), 201, "start").json
    queries = (
        f"filename={name}&chunk_index={index}&upload_id={plan['upload_id']}" for index in range(1, REQUEST_COUNT + 1)
    )
    return _measure(running, "UploadFunction", "POST /upload/chunk", queries, api.token)


def measure_put(running: BenchService) -> dict[str, Any]:
    """Store whole files by the files function. Returns and raises as `measure`."""
    queries = (f"filename=overhead-{number}" for number in range(REQUEST_COUNT))
    return _measure(running, "FilesFunction", "PUT /files", queries, running.client().token)


def _measure(running: BenchService, logical_id: str, route: str, queries: Iterable[str], token: str) -> dict[str, Any]:
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
    handler_ms, baseline_ms = (statistics.median(pair[column] for pair in pairs) * 1000 for column in (0, 1))
    ratio = statistics.median(handler / baseline for handler, baseline in pairs)
    return {"handler_ms": round(handler_ms, 2), "baseline_ms": round(baseline_ms, 2), "ratio": round(ratio, 2)}
