"""Packages that a cold start loads. A further heavy package in a function needs a change of this list."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dev.testing.function_environment import FUNCTION_ENVIRONMENT

ROOT = Path(__file__).parents[2]
HEAVY_PACKAGES = {
    "asyncio",
    "aws_lambda_powertools",
    "aws_xray_sdk",
    "boto3",
    "botocore",
    "cryptography",
    "google_crc32c",
    "jwt",
    "multiprocessing",
    "pybase64",
    "pydantic",
    "pydantic_core",
    "s3transfer",
}
"""Top-level packages of 5 ms and more each (`make bench-cold`, `python -X importtime`)."""
COMMON_PACKAGES = {"botocore", "cryptography", "jwt"}
"""Backends, tokens."""
EXPECTED_PACKAGES: Mapping[str, set[str]] = {
    "auth": COMMON_PACKAGES,
    "upload": COMMON_PACKAGES,
    "chunk": COMMON_PACKAGES,
    "files": COMMON_PACKAGES,
    "download": COMMON_PACKAGES,
    "links": COMMON_PACKAGES,
    "status": COMMON_PACKAGES,
    "cleanup": COMMON_PACKAGES,
}
PROBE_SCRIPT = """
import json, sys
import app
from ferry import wiring
from ferry.http import metrics
metrics.emit("function", {{"ChunkBytes": 1}}, {{}})
wiring.aws_session().dynamodb
if {backed}:
    wiring.token_verifier(), wiring.services()
    wiring.aws_session().s3
else:
    wiring.token_issuer()
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    **FUNCTION_ENVIRONMENT,
    "FERRY_SIGNING_KEY_ID": "key",
}


@pytest.mark.slow
@pytest.mark.parametrize("function", EXPECTED_PACKAGES)
def test_cold_start_loads_only_expected_packages(function: str) -> None:
    """A function loads its module, metrics, tokens and the clients of its backends: of the heavy packages, only those
    listed.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROBE_SCRIPT.format(backed=function != "auth")],
        cwd=ROOT / "functions" / function,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT / "layers" / "common")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout.splitlines()[-1])) & HEAVY_PACKAGES == EXPECTED_PACKAGES[function]
