"""What one chunk costs the upload function itself, beside the decoding and the CRC that nobody can do without."""

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
    """Medians in milliseconds over chunks sent in order, each staged or assembled as it comes. Raises `BenchError`."""
    interpreter = setup.find_python()
    setup.install()
    function = running.stack.functions["UploadFunction"]
    api, name = running.client(), "own time"
    plan = expect(api.start(name, CHUNK_BYTES * CHUNK_COUNT), 201, "start").json
    headers = {"authorization": f"Bearer {api.token}", "content-type": OCTET_STREAM}
    events = []
    for index in range(1, CHUNK_COUNT + 1):
        query = f"filename=own%20time&chunk_index={index}&upload_id={plan['upload_id']}"
        events.append(json.dumps(gateway_event("POST /upload/chunk", headers, os.urandom(CHUNK_BYTES), query)))
    with tempfile.TemporaryDirectory() as folder:
        code = Path(shutil.copytree(function.code_folder, Path(folder) / "code"))
        env = {**running.environment(function), **setup.BYTECODE_ENV}
        env["PYTHONPATH"] = setup.python_path(code, setup.LAYER_FOLDER, setup.RUNTIME_CLIENT_FOLDER)
        done = subprocess.run(
            [interpreter, str(ROOT / "dev" / "bench" / "handler_overhead_runner.py")],
            env=env,
            input="\n".join(events),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"the upload function failed: {done.stderr[-1500:]}")
    pairs = [tuple(map(float, line.split())) for line in done.stderr.splitlines()][WARMUP_CHUNKS:]
    own, bare = (statistics.median(pair[side] for pair in pairs) * 1000 for side in (0, 1))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return {"handler_ms": round(own, 2), "baseline_ms": round(bare, 2), "ratio": round(ratio, 2)}
