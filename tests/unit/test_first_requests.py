"""How many modules the first request of an instance loads: each takes time that the client waits for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dev.testing.function_environment import FUNCTION_ENVIRONMENT
from tests.integration.events import build_event

ROOT = Path(__file__).parents[2]
FILE = {"filename": "file.bin"}
START = json.dumps({**FILE, "size": 1}).encode()
JSON = {"content-type": "application/json"}
EVENTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "start": ("upload", build_event("POST /upload/start", headers=JSON, body=START)),
    "raw chunk": (
        "upload",
        build_event(
            "POST /upload/chunk",
            query={**FILE, "chunk_index": "1"},
            headers={"content-type": "application/octet-stream"},
            body=b"1",
        ),
    ),
    "whole file": (
        "files",
        build_event("PUT /files", query=FILE, headers={"content-type": "application/octet-stream"}, body=b"1"),
    ),
    "download": ("download", build_event("GET /download", query=FILE)),
    "status": ("status", build_event("GET /status", query=FILE)),
    "list of files": ("files", build_event("GET /files")),
}
"""The function and the event of each request."""

MAX_MODULES: Mapping[str, int] = {
    "start": 352,
    "raw chunk": 342,
    "whole file": 336,
    "download": 332,
    "status": 336,
    "list of files": 328,
}
"""Modules at most, without those of the standard library. A request that needs more, needs a reason."""

PROBE_SCRIPT = """
import json, sys
from types import SimpleNamespace
import app
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError
from ferry import wiring
from ferry.auth.verifier import InternalVerifier, Principal

def time_out(*_):
    raise ConnectTimeoutError(endpoint_url="")

scopes = frozenset({"files:read", "files:write"})
BaseClient._make_api_call = time_out
InternalVerifier.verify = lambda *_: Principal("client", "namespace", scopes)
event = json.loads(sys.argv[1])
event["headers"]["authorization"] = "Bearer token"
status = app.lambda_handler(event, SimpleNamespace(function_name="function"))["statusCode"]
others = [name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names]
print(json.dumps([status, others]))
"""
"""Sends one request to a function whose calls to AWS time out."""


@pytest.mark.slow
@pytest.mark.parametrize("request_name", EVENTS)
def test_first_request_loads_few_modules(request_name: str) -> None:
    """The first request loads the code of its own route, and that of no other, up to its first call to AWS."""
    function, event = EVENTS[request_name]
    done = subprocess.run(
        [sys.executable, "-c", PROBE_SCRIPT, json.dumps(event)],
        cwd=ROOT / "functions" / function,
        env={
            **FUNCTION_ENVIRONMENT,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": str(ROOT / "layers" / "common"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 503
    assert len(modules) <= MAX_MODULES[request_name], sorted(name for name in modules if name.startswith("ferry"))
