"""Kills, stops and expiry of a service. Each test starts a service of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest

from dev.local.client import FerryClient, crc32c_checksum, expect, fetch, put_part
from dev.local.launcher import LocalService, find_processes
from dev.paths import ROOT
from tests.e2e.clients import (
    CHUNK_BYTES,
    MIB,
    log_in_as,
    problem_code,
    random_bytes,
    s3_client_and_bucket,
    send_chunks,
    upload_file,
    wait_until,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    assert find_processes(folder) == []


def test_upload_after_kill_resumes(state: Path) -> None:
    """After SIGKILL to every process status has the missing chunks, and the completed file has every byte."""
    content, finished = random_bytes(28 * MIB + 5), random_bytes(6 * MIB, seed=9)
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        upload_file(api, "finished", finished)
        plan = expect(api.start("half", len(content), fingerprint="f"), 201, "start").json
        send_chunks(api, "half", content, (7, 1, 4, 3))
        assert service.kill() >= 4

        service = LocalService(state)
        # The token, the clients' secrets and the signing key are still valid.
        api = FerryClient(service.connection_info["base_url"], api.token)
        log_in_as(service, "demo")
        assert api.download("finished").body == finished
        resumed = expect(api.start("half", len(content), fingerprint="f"), 200, "start").json
        assert resumed["upload_id"] == plan["upload_id"]
        status = expect(api.status("half"), 200, "status").json
        missing = [n for first, last in status["missing"] for n in range(first, last + 1)]
        assert {2, 5, 6, 8} <= set(missing)
        part = api.presign_parts("half", 3).json["parts"][0]
        assert put_part(part, content[16 * MIB : 24 * MIB]).status == 200
        send_chunks(api, "half", content, (index for index in missing if index not in (5, 6)))
        completed = api.complete("half", checksum=crc32c_checksum(google_crc32c.value(content)))
        assert completed.status == 200, completed.body
        assert api.download("half").body == content
        assert "Traceback" not in service.read_log()
    finally:
        service.stop()


def test_upload_and_url_expire(state: Path) -> None:
    """Upload and presigned URL expire after their lifetimes, and the scheduled cleanup deletes the upload's bytes."""
    lifetime_seconds = 8  # A busy machine may take seconds between two chunks.
    parameters = f"UploadIdleTimeoutSeconds={lifetime_seconds} PresignedUrlTtlSeconds={lifetime_seconds}"
    service = LocalService(state, parameters=f"{parameters} CleanupSchedule=rate(1 second)")
    try:
        api = log_in_as(service, "demo")
        content, small = random_bytes(4 * CHUNK_BYTES), random_bytes(1000)
        upload_file(api, "finished", small)
        plan = api.start("stale", len(content)).json
        assert (plan["limits"]["session_idle_timeout"], plan["limits"]["url_lifetime"]) == (lifetime_seconds,) * 2
        send_chunks(api, "stale", content, [1, 2, 3])
        signed = api.presign_parts("stale", 2).json["parts"][0]
        url = api.request("GET", "/download/finished?redirect=false").json["url"]
        assert fetch("GET", url).body == small

        wait_until(lambda: api.status("stale").json["state"] == "expired")
        assert problem_code(api.send_chunk("stale", 4, content[3 * CHUNK_BYTES :])) == (410, "upload_expired")
        assert problem_code(api.complete("stale")) == (410, "upload_expired")
        assert api.request("GET", "/status").json["uploads"] == []
        s3, bucket = s3_client_and_bucket(service)
        wait_until(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket=bucket))
        wait_until(lambda: "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="st/"))
        wait_until(lambda: fetch("GET", url).status == 403)
        assert put_part(signed, content[2 * CHUNK_BYTES :]).status in (403, 404)

        assert api.download("finished").body == small
        again = api.start("stale", len(content))
        assert (again.status, again.json["received_bytes"]) == (201, 0)
    finally:
        service.stop()


def error_of_run(folder: Path, parameters: str) -> str:
    """Return what a run that cannot start says."""
    command = [sys.executable, "-m", "dev.local", "--state", str(folder), "--params", parameters]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    return finished.stderr


@pytest.mark.stress
def test_orderly_stop_after_second_runs_loses_nothing(state: Path, tmp_path: Path) -> None:
    """A second run on a folder and an unknown parameter are rejected. On a taken port the next one is used.

    SIGINT ends every process with exit code 0, and the next run has every acknowledged chunk.
    """
    content = random_bytes(3 * CHUNK_BYTES)
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        api.start("file", len(content))
        send_chunks(api, "file", content, (1, 3))
        assert "another run" in error_of_run(state, "")
        assert "TokenLifetme" in error_of_run(tmp_path / "other", "TokenLifetme=5")

        port = service.connection_info["base_url"].rpartition(":")[2]
        second = LocalService(tmp_path / "second", options=["--port", port])
        try:
            assert second.connection_info["base_url"] != service.connection_info["base_url"]
            assert f"(port {port} is taken; choose another with PORT=)" in second.ready_line
        finally:
            assert second.stop() == 0

        assert service.stop() == 0
        assert find_processes(state) == []
        service = LocalService(state)
        api = log_in_as(service, "demo")
        assert api.status("file").json["missing"] == [[2, 2]]
    finally:
        service.stop()


def completion_status(api: FerryClient, name: str) -> int:
    """Complete an upload, and return the status: 200, or 202 with Retry-After."""
    response = api.complete(name)
    assert response.status in (200, 202), response.body
    assert response.status == 200 or int(response.headers["retry-after"]) > 0
    return response.status


def test_completion_without_budget_finishes_asynchronously(state: Path) -> None:
    """A completion without time to assemble parts is finished by an asynchronous invocation, without the schedule."""
    source = (ROOT / "template.yaml").read_text(encoding="utf-8")
    template = state.with_name("template.yaml")
    for relative in ("functions/", "layers/"):
        source = source.replace(f": {relative}", f": {ROOT / relative}/")
    template.write_text(
        source.replace('FERRY_ASSEMBLY_BUDGET_SECONDS: "12"', 'FERRY_ASSEMBLY_BUDGET_SECONDS: "0"'), encoding="utf-8"
    )
    content = random_bytes(2 * CHUNK_BYTES)
    service = LocalService(state, options=["--template", str(template)])
    try:
        api = log_in_as(service, "demo")
        expect(api.start("long", len(content)), 201, "start")
        # The URL may have been used, and SeaweedFS lists no checksums of parts: the part is assembled again.
        expect(api.presign_parts("long", 1), 200, "sign")
        send_chunks(api, "long", content, (1, 2))
        wait_until(lambda: completion_status(api, "long") == 200)
        assert api.download("long").body == content
        assert "START RequestId" in (state / "logs" / "CleanupFunction.log").read_text(encoding="utf-8")
        assert "Traceback" not in service.read_log()
    finally:
        service.stop()
