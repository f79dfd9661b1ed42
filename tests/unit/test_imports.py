"""What a cold start loads: one more heavy module in a function is a change that somebody must mean."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "asyncio",
    "aws_lambda_powertools",
    "aws_xray_sdk",
    "boto3",
    "botocore",
    "cryptography",
    "google_crc32c",
    "jwt",
    "multiprocessing",
    "pydantic",
    "pydantic_core",
    "s3transfer",
}
"""Top-level packages of 5 ms and more each (`make bench-cold`, `python -X importtime`)."""
EVERY = {"aws_lambda_powertools", "botocore", "cryptography", "jwt"}
"""Metrics, backends, tokens."""
BYTES = {"google_crc32c"}
LOADS: Mapping[str, set[str]] = {
    "auth": EVERY,
    "upload": EVERY | BYTES,
    "download": EVERY | BYTES,
    "status": EVERY | BYTES,
    "cleanup": EVERY | BYTES,
}
READY = """
import json, sys
import app
from ferry import wiring
from ferry.http import metrics
metrics.emit("function", {{"Chunks": 1}}, {{}})
wiring.session().dynamodb
if {backed}:
    wiring.verifier(), wiring.engine()
    wiring.session().s3
else:
    wiring.issuer()
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "FERRY_LEDGER_TABLE": "ledger",
    "FERRY_ACCESS_TABLE": "access",
    "FERRY_BUCKET": "bucket",
    "FERRY_SIGNING_KEY": "key",
    "FERRY_TOKEN_LIFETIME": "1",
    "FERRY_ACCESS_CACHE": "1",
    "FERRY_SESSION_IDLE_TIMEOUT": "1",
    "FERRY_SESSION_MAX_AGE": "1",
    "FERRY_URL_LIFETIME": "1",
    "FERRY_LEASE": "1",
    "FERRY_MENDING": "1",
}


@pytest.mark.parametrize("function", LOADS)
def test_a_function_that_is_ready_to_answer_has_loaded_no_more_than_it_may(function: str) -> None:
    """Its module, metrics, tokens and the clients of its backends: exactly the heavy packages listed."""
    done = subprocess.run(
        [sys.executable, "-c", READY.format(backed=function != "auth")],
        cwd=ROOT / "functions" / function,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT / "layers" / "common")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout.splitlines()[-1])) & HEAVY == LOADS[function]
