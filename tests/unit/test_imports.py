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
TOKENS = {"jwt", "cryptography"}
BYTES = {"google_crc32c"}
BACKENDS = {"botocore"}
LOADS: Mapping[str, set[str]] = {
    "auth": TOKENS | BACKENDS,
    "upload": TOKENS | BYTES | BACKENDS,
    "download": TOKENS | BYTES | BACKENDS,
    "status": TOKENS | BYTES | BACKENDS,
    "cleanup": TOKENS | BYTES | BACKENDS,
}
READY = """
import json, sys
import app
from ferry import wiring
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
    "FERRY_SESSION_IDLE_TIMEOUT": "1",
    "FERRY_SESSION_MAX_AGE": "1",
    "FERRY_URL_LIFETIME": "1",
    "FERRY_LEASE": "1",
    "FERRY_MENDING": "1",
}


@pytest.mark.parametrize("function", LOADS)
def test_a_function_that_is_ready_to_answer_has_loaded_no_more_than_it_may(function: str) -> None:
    """Its module, whoever checks or issues tokens, and its backends' clients: exactly the heavy packages listed."""
    done = subprocess.run(
        [sys.executable, "-c", READY.format(backed=function != "auth")],
        cwd=ROOT / "functions" / function,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT / "layers" / "common")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout)) & HEAVY == LOADS[function]
