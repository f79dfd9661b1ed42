"""Breaks, expiry, and what is left afterwards. Each test starts a service of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest

from local.api import Api, crc32c_checksum, fetch, must, put_part
from local.launch import ROOT, Launched, processes_of
from tests.e2e.clients import CHUNK, MIB, as_client, eventually, object_store, problem, send, some_bytes, upload


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    assert processes_of(folder) == []


def test_an_upload_goes_on_after_everything_was_killed(state: Path) -> None:
    """kill -9 to the gateway, the functions and both backends: status tells what is missing, and the file is whole."""
    content, finished = some_bytes(40 * MIB + 5), some_bytes(6 * MIB, seed=9)
    service = Launched(state)
    try:
        api = as_client(service, "demo")
        upload(api, "finished", finished)
        plan = must(api.start("half", len(content), fingerprint="f"), 201, "start").json
        send(api, "half", content, (7, 1, 10, 4, 3))
        assert service.kill() >= 4

        service = Launched(state)
        # The token outlives the break too, and so do the clients' secrets and the key it was signed with.
        api = Api(service.described["base_url"], api.token)
        as_client(service, "demo")
        assert api.download("finished").body == finished
        resumed = must(api.start("half", len(content), fingerprint="f"), 200, "start").json
        assert resumed["upload_id"] == plan["upload_id"]
        status = must(api.status("half"), 200, "status").json
        missing = [n for first, last in status["missing"] for n in range(first, last + 1)]
        assert {2, 5, 6, 8, 9, 11} <= set(missing)
        part = api.sign("half", 3).json["parts"][0]
        assert put_part(part, content[16 * MIB : 24 * MIB]).status == 200
        send(api, "half", content, (index for index in missing if index not in (5, 6)))
        done = api.complete("half", checksum=crc32c_checksum(google_crc32c.value(content)))
        assert done.status == 200, done.body
        assert api.download("half").body == content
        assert "Traceback" not in service.log()
    finally:
        service.stop()


def test_what_was_stopped_in_order_loses_nothing(state: Path) -> None:
    """SIGINT or SIGTERM ends every process with exit code 0, and the next run has every chunk."""
    content = some_bytes(3 * CHUNK)
    service = Launched(state)
    try:
        api = as_client(service, "demo")
        api.start("file", len(content))
        send(api, "file", content, (1, 3))
        assert service.stop() == 0
        assert processes_of(state) == []
        service = Launched(state)
        api = as_client(service, "demo")
        assert api.status("file").json["missing"] == [[2, 2]]
    finally:
        service.stop()


def test_time_runs_out_for_uploads_and_urls(state: Path) -> None:
    """With short lifetimes each expires by the clock, and the scheduled clean-up takes the upload's bytes away."""
    parameters = "SessionIdleTimeout=2 UrlLifetime=2 CleanupSchedule=rate(1 second)"
    service = Launched(state, parameters=parameters)
    try:
        api = as_client(service, "demo")
        content, small = some_bytes(4 * CHUNK), some_bytes(1000)
        upload(api, "finished", small)
        plan = api.start("stale", len(content)).json
        assert (plan["limits"]["session_idle_timeout"], plan["limits"]["url_lifetime"]) == (2, 2)
        send(api, "stale", content, [1, 2, 3])
        signed = api.sign("stale", 2).json["parts"][0]
        url = api.request("GET", "/download/finished?redirect=false").json["url"]
        assert fetch("GET", url).body == small

        eventually(lambda: api.status("stale").json["state"] == "expired")
        assert problem(api.send_chunk("stale", 4, content[3 * CHUNK :])) == (410, "upload_expired")
        assert problem(api.complete("stale")) == (410, "upload_expired")
        assert api.request("GET", "/status").json["uploads"] == []
        s3, bucket = object_store(service)
        eventually(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket=bucket))
        eventually(lambda: "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="st/"))
        eventually(lambda: fetch("GET", url).status == 403)
        assert put_part(signed, content[2 * CHUNK :]).status in (403, 404)

        assert api.download("finished").body == small
        again = api.start("stale", len(content))
        assert (again.status, again.json["received_bytes"]) == (201, 0)
    finally:
        service.stop()


def test_two_runs_do_not_share_a_folder_and_ports_give_way(service: Launched, state: Path) -> None:
    """A second run on the folder says who has it; a taken port is stepped over; a wrong parameter is named."""

    def refused(folder: Path, parameters: str) -> str:
        command = [sys.executable, "-m", "local", "--state", str(folder), "--params", parameters]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "another run" in refused(service.state, "")
    assert "TokenLifetme" in refused(state, "TokenLifetme=5")

    port = service.described["base_url"].rpartition(":")[2]
    beside = Launched(state, options=["--port", port])
    try:
        assert beside.described["base_url"] != service.described["base_url"]
        assert f"(port {port} is taken)" in beside.ready
    finally:
        assert beside.stop() == 0


def must_go_on(api: Api, name: str) -> int:
    """Complete, and the status: 200, or 202 with the time after which to ask again."""
    answer = api.complete(name)
    assert answer.status == 200 or (answer.status == 202 and int(answer.headers["retry-after"]) > 0), answer.body
    return answer.status


def test_a_completion_without_time_is_finished_elsewhere(state: Path) -> None:
    """Where a request has no time at all to put parts together, the file is there before a schedule ticks."""
    source = (ROOT / "template.yaml").read_text(encoding="utf-8")
    template = state.with_name("template.yaml")
    for relative in ("functions/", "layers/"):
        source = source.replace(f": {relative}", f": {ROOT / relative}/")
    template.write_text(source.replace('FERRY_MENDING: "12"', 'FERRY_MENDING: "0"'), encoding="utf-8")
    content = some_bytes(2 * CHUNK)
    service = Launched(state, options=["--template", str(template)])
    try:
        api = as_client(service, "demo")
        must(api.start("long", len(content)), 201, "start")
        # The URL might have been used, and this store lists no checksum to tell: the part is put together again.
        must(api.sign("long", 1), 200, "sign")
        send(api, "long", content, (1, 2))
        eventually(lambda: must_go_on(api, "long") == 200, seconds=25.0)
        assert api.download("long").body == content
        assert "START RequestId" in (state / "logs" / "CleanupFunction.log").read_text(encoding="utf-8")
        assert "Traceback" not in service.log()
    finally:
        service.stop()
