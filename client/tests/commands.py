"""Run `ferry` in this process, against the service in memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.tests.fake_service import URL, FakeService
from ferry_client.cli import main as command

Run = Callable[..., int]


@pytest.fixture
def run(fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `ferry` in a folder of its own, and returns the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERRY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FERRY_CONFIG_DIR", str(tmp_path / "config"))
    for name, value in {"URL": URL, "CLIENT_ID": "camera-7", "CLIENT_SECRET": "s3cret"}.items():
        monkeypatch.setenv(f"FERRY_{name}", value)
    monkeypatch.setattr("ferry_client.transport.UrllibTransport", lambda options: fake)
    monkeypatch.setattr("ferry_client.api.Api.sleep", lambda api, seconds: None)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ferry", *arguments])
        return command._run()

    return run


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
