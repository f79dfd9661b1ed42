"""`make load` against the local service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.bench import load
from dev.local.client import FerryClient
from tests.e2e.clients import ServiceUnderTest

WAYS = {"api": (2, 5.0), "direct": (2, 1.0), "put": (4, 0.01)}
"""Uploads and MiB of each way."""


@pytest.mark.parametrize("way", WAYS)
def test_load_stores_reports_and_deletes_its_files(
    service: ServiceUnderTest, api: FerryClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Every file is stored and counted, and none is left."""
    uploads, size_mib = WAYS[way]
    client = service.connection_info["clients"][0]
    monkeypatch.setenv("FERRY_CLIENT_ID", client["client_id"])
    monkeypatch.setenv("FERRY_CLIENT_SECRET", client["client_secret"])
    monkeypatch.setenv("YES", "1")
    report_path = tmp_path / "report.json"
    options = [f"--way={way}", f"--uploads={uploads}", f"--size={size_mib}", "--senders=2", f"--json={report_path}"]
    assert load.main([service.connection_info["base_url"], *options]) == 0
    report = json.loads(report_path.read_text(encoding="utf-8"))
    assert report["files_stored"] == uploads
    assert report["deletions_that_failed"] == 0
    assert sum(report["routes"]["POST /files/delete"]["outcomes"].values()) == 1
    listed = api.request("GET", "/files?prefix=load-")
    assert (listed.status, listed.json["files"]) == (200, []), listed.json
