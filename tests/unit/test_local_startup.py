"""What the local service adds to the functions' environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dev.local.startup import ServiceOptions, read_startup_plan
from dev.paths import ROOT

BASE_URL = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    ("parameters", "environment", "expected"),
    [
        ({}, {}, BASE_URL),
        ({"PublicUrl": "https://cdn.example"}, {}, "https://cdn.example"),
        ({}, {"FERRY_PUBLIC_URL": "http://127.0.0.1:3001"}, "http://127.0.0.1:3001"),
    ],
)
def test_public_url_is_base_url_unless_set(
    tmp_path: Path, parameters: Mapping[str, str], environment: Mapping[str, str], expected: str
) -> None:
    """Functions build URLs on the API's own address, on PublicUrl, or on the variable given with `--env`."""
    options = ServiceOptions(
        port=3000,
        parameters=parameters,
        max_instances=10,
        quiet=True,
        template_path=ROOT / "template.yaml",
        state_folder=tmp_path,
        environment=environment,
    )
    functions = (
        read_startup_plan(options).resolve({"SigningKey": "key-1"}, {"s3": "http://127.0.0.1:1"}, BASE_URL).functions
    )
    assert functions
    assert {function.environment["FERRY_PUBLIC_URL"] for function in functions.values()} == {expected}
