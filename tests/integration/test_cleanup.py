"""The clean-up function: on request, and by the schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferry import wiring
from ferry.aws.worker import LambdaWorker
from ferry.http import metrics
from ferry.model import Slot
from tests.integration.stack import ROOT, Stack
from tests.integration.test_telemetry import lines
from tests.unit.aws.scripted import ScriptedClient


def test_stale_uploads_of_the_namespace_end(stack: Stack) -> None:
    """Dry first, then really; another namespace is left alone."""
    other = stack.token("other")
    stack.post("POST /upload/start", {"filename": "stale", "size": 5})
    stack.post("POST /upload/start", {"filename": "stale", "size": 5}, token=other)
    dry = stack.call("DELETE /cleanup", query={"older_than": "0", "dry_run": "true"})
    assert (dry.status, dry.json["expired"], dry.json["dry_run"]) == (200, 1, True)
    assert stack.call("GET /status/{filename}", filename="stale").json["state"] == "pending"
    done = stack.call("DELETE /cleanup", query={"older_than": "0", "filename": "stale"})
    assert (done.json["expired"], done.json["complete"], done.json["dry_run"]) == (1, True, False)
    assert stack.call("GET /status/{filename}", filename="stale").json["state"] == "expired"
    assert stack.call("GET /status/{filename}", filename="stale", token=other).json["state"] == "pending"
    assert stack.call("DELETE /cleanup").json["expired"] == 0


def test_the_schedule_sweeps(stack: Stack) -> None:
    """Its event has no HTTP around it; neither has the answer."""
    stack.upload("kept", b"x")
    report = stack.handle("cleanup", {"ferry": "sweep"})
    assert (report["errors"], report["complete"]) == (0, True)
    for nothing in ("lapsed_completions", "oldest_stale_seconds", "recovered", "lost"):
        assert report[nothing] == 0
    assert stack.call("GET /download/{filename}", filename="kept").body == b"x"


def test_a_completion_that_is_handed_on_is_finished(stack: Stack) -> None:
    """The event as the worker sends it, under a lease that has not lapsed; a second delivery changes nothing."""
    started = stack.post("POST /upload/start", {"filename": "long", "size": 5}).json
    query = {"filename": "long", "chunk_index": "1"}
    binary = {"content-type": "application/octet-stream"}
    stack.call("POST /upload/chunk", query=query, headers=binary, body=b"hello")
    engine = wiring.engine()
    upload = engine.ledger.upload(started["upload_id"])
    assert upload is not None
    now = engine.clock()
    engine.ledger.lease(upload, attempt="a", until=now + 60_000, now=now, replace=False, crc32c=None)
    client: Any = ScriptedClient({"StatusCode": 202})
    LambdaWorker(client, "cleanup").finish(started["upload_id"], "a")
    assert stack.call("GET /status/{filename}", filename="long").json["state"] == "completing"
    for _ in range(2):
        assert stack.handle("cleanup", json.loads(client.calls[0][1]["Payload"])) == {}
        assert stack.call("GET /download/{filename}", filename="long").body == b"hello"
    assert stack.post("POST /upload/complete", {"filename": "long"}).status == 200


def test_parameters_that_make_no_sense(stack: Stack) -> None:
    """422, naming the parameter; nothing is touched, though everything is old enough."""
    stack.post("POST /upload/start", {"filename": "untouched", "size": 5})
    foreign = Slot("other", "untouched", "f" * 32, open=True)
    for name, value in (
        *(("older_than", text) for text in ("-1", "soon", "", "1.5", "0x1", "1e3", "9" * 19, "0,5")),
        *(("dry_run", text) for text in ("1", "", "True", "yes", "true,false")),
        *(("cursor", text) for text in ("garbage", "", "e30", wiring.engine().ledger.after(foreign))),
        *(("filename", text) for text in ("", "a/b", ".", " x", "\0", "x" * 256)),
        *((text, "true") for text in ("dryrun", "dry-run", "Dry_run", "namespace", "ns", "limit")),
    ):
        got = stack.call("DELETE /cleanup", query={"older_than": "0", name: value})
        assert (got.status, got.json["errors"][0]["loc"]) == (422, [name]), (name, value)
    assert stack.call("GET /status/{filename}", filename="untouched").json["state"] == "pending"


def test_a_name_of_another_namespace_is_nobodys(stack: Stack) -> None:
    """Nothing is examined, dry or not, and the report does not tell that it is there."""
    other = stack.token("other")
    stack.post("POST /upload/start", {"filename": "theirs", "size": 5}, token=other)
    for dry in ("true", "false"):
        got = stack.call("DELETE /cleanup", query={"older_than": "0", "filename": "theirs", "dry_run": dry}).json
        assert (got["examined"], got["expired"], got["bytes_reclaimed"]) == (0, 0, 0)
        assert got["orphans"] == {"multipart_uploads": 0, "staged_objects": 0, "objects": 0}
    assert stack.call("GET /status/{filename}", filename="theirs", token=other).json["state"] == "pending"


def test_a_sweep_is_told_in_numbers(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of metrics of the whole service, zeros too, and the report in the log: silence means that none ran."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    metrics._metrics.cache_clear()
    report = stack.handle("cleanup", {"ferry": "sweep"})
    (line,) = lines(capsys.readouterr().out)
    (found,) = line["_aws"]["CloudWatchMetrics"]
    assert (found["Namespace"], found["Dimensions"], line["service"]) == ("Ferry", [["service"]], "stack")
    assert line["SweepErrors"] == [report["errors"]]
    alarms = (ROOT / "watch.yaml").read_text(encoding="utf-8")
    names = {metric["Name"] for metric in found["Metrics"]}
    assert names == {
        *("SessionsExpired", "ReclaimedBytes", "OldestStaleSeconds", "LapsedCompletions", "RecoveredUploads"),
        *("LostUploads", "OrphanMultipartUploads", "OrphanStagedObjects", "OrphanObjects", "SweepErrors"),
    }
    for watched in ("OldestStaleSeconds", "LapsedCompletions"):
        assert f"MetricName: {watched}\n" in alarms


def test_what_a_request_expires_is_counted(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Not what a dry run would."""
    stack.post("POST /upload/start", {"filename": "counted", "size": 5})
    capsys.readouterr()
    for dry, told in (("true", []), ("false", [[1.0]])):
        stack.call("DELETE /cleanup", query={"older_than": "0", "dry_run": dry, "filename": "counted"})
        found = [line["SessionsExpired"] for line in lines(capsys.readouterr().out) if "SessionsExpired" in line]
        assert found == told
