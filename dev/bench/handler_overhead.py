"""Measure the upload function's own time for a chunk, against the decoding and the CRC32C that every upload needs."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from dev.bench import setup
from dev.bench.cold import gateway_event
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.local.client import OCTET_STREAM, expect
from dev.paths import ROOT

CHUNK_BYTES = 4 * 1024 * 1024
CHUNK_COUNT = 40
WARMUP_CHUNKS = 4


def measure(running: BenchService) -> dict[str, Any]:
    """Send chunks in order, each of which is staged or assembled.

    Returns:
        The medians in milliseconds of the handler and of the baseline, and the median of their ratios.

    Raises:
        BenchError: the function failed.
    """
    interpreter = setup.find_python()
    setup.install()
    function = running.stack.functions["UploadFunction"]
    api, name = running.client(), "overhead"
    plan = expect(api.start(name, CHUNK_BYTES * CHUNK_COUNT), 201, "start").json
    headers = {"authorization": f"Bearer {api.token}", "content-type": OCTET_STREAM}
    events = []
    for index in range(1, CHUNK_COUNT + 1):
        query = f"filename={name}&chunk_index={index}&upload_id={plan['upload_id']}"
        events.append(json.dumps(gateway_event("POST /upload/chunk", headers, os.urandom(CHUNK_BYTES), query)))
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
        raise BenchError(f"the upload function failed: {completed.stderr[-1500:]}")
    pairs = [tuple(map(float, line.split())) for line in completed.stderr.splitlines()][WARMUP_CHUNKS:]
    handler_ms, baseline_ms = (statistics.median(pair[column] for pair in pairs) * 1000 for column in (0, 1))
    ratio = statistics.median(handler / baseline for handler, baseline in pairs)
    return {"handler_ms": round(handler_ms, 2), "baseline_ms": round(baseline_ms, 2), "ratio": round(ratio, 2)}
