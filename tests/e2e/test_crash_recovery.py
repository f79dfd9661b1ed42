"""Breaks, expiry, and what is left afterwards. Each test starts a service of its own."""

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
    """kill -9 to the gateway, the functions and both backends: status tells what is missing, and the file is whole."""
    content, finished = random_bytes(40 * MIB + 5), random_bytes(6 * MIB, seed=9)
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        upload_file(api, "finished", finished)
        plan = expect(api.start("half", len(content), fingerprint="f"), 201, "start").json
        send_chunks(api, "half", content, (7, 1, 10, 4, 3))
        assert service.kill() >= 4

        service = LocalService(state)
        # The token outlives the break too, and so do the clients' secrets and the key it was signed with.
        api = FerryClient(service.connection_info["base_url"], api.token)
        log_in_as(service, "demo")
        assert api.download("finished").body == finished
        resumed = expect(api.start("half", len(content), fingerprint="f"), 200, "start").json
        assert resumed["upload_id"] == plan["upload_id"]
        status = expect(api.status("half"), 200, "status").json
        missing = [n for first, last in status["missing"] for n in range(first, last + 1)]
        assert {2, 5, 6, 8, 9, 11} <= set(missing)
        part = api.presign_parts("half", 3).json["parts"][0]
        assert put_part(part, content[16 * MIB : 24 * MIB]).status == 200
        send_chunks(api, "half", content, (index for index in missing if index not in (5, 6)))
        done = api.complete("half", checksum=crc32c_checksum(google_crc32c.value(content)))
        assert done.status == 200, done.body
        assert api.download("half").body == content
        assert "Traceback" not in service.read_log()
    finally:
        service.stop()


def test_upload_after_orderly_stop_loses_nothing(state: Path) -> None:
    """SIGINT or SIGTERM ends every process with exit code 0, and the next run has every chunk."""
    content = random_bytes(3 * CHUNK_BYTES)
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        api.start("file", len(content))
        send_chunks(api, "file", content, (1, 3))
        assert service.stop() == 0
        assert find_processes(state) == []
        service = LocalService(state)
        api = log_in_as(service, "demo")
        assert api.status("file").json["missing"] == [[2, 2]]
    finally:
        service.stop()


def test_upload_and_url_expire(state: Path) -> None:
    """With short lifetimes each expires by the clock, and the scheduled clean-up takes the upload's bytes away."""
    parameters = "UploadIdleTimeoutSeconds=2 PresignedUrlTtlSeconds=2 CleanupSchedule=rate(1 second)"
    service = LocalService(state, parameters=parameters)
    try:
        api = log_in_as(service, "demo")
        content, small = random_bytes(4 * CHUNK_BYTES), random_bytes(1000)
        upload_file(api, "finished", small)
        plan = api.start("stale", len(content)).json
        assert (plan["limits"]["session_idle_timeout"], plan["limits"]["url_lifetime"]) == (2, 2)
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


def test_second_run_rejects_shared_folder_and_avoids_taken_port(service: LocalService, state: Path) -> None:
    """A second run on the folder says who has it; a taken port is stepped over; a wrong parameter is named."""

    def refused(folder: Path, parameters: str) -> str:
        command = [sys.executable, "-m", "dev.local", "--state", str(folder), "--params", parameters]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "another run" in refused(service.state_folder, "")
    assert "TokenLifetme" in refused(state, "TokenLifetme=5")

    port = service.connection_info["base_url"].rpartition(":")[2]
    beside = LocalService(state, options=["--port", port])
    try:
        assert beside.connection_info["base_url"] != service.connection_info["base_url"]
        assert f"(port {port} is taken)" in beside.ready_line
    finally:
        assert beside.stop() == 0


def completion_status(api: FerryClient, name: str) -> int:
    """Complete, and the status: 200, or 202 with the time after which to ask again."""
    answer = api.complete(name)
    assert answer.status == 200 or (answer.status == 202 and int(answer.headers["retry-after"]) > 0), answer.body
    return answer.status


def test_completion_without_budget_finishes_asynchronously(state: Path) -> None:
    """Where a request has no time at all to put parts together, the file is there before a schedule ticks."""
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
        # The URL might have been used, and this store lists no checksum to tell: the part is put together again.
        expect(api.presign_parts("long", 1), 200, "sign")
        send_chunks(api, "long", content, (1, 2))
        wait_until(lambda: completion_status(api, "long") == 200, timeout_seconds=25.0)
        assert api.download("long").body == content
        assert "START RequestId" in (state / "logs" / "CleanupFunction.log").read_text(encoding="utf-8")
        assert "Traceback" not in service.read_log()
    finally:
        service.stop()
