"""The cleanup function: on request, by the schedule, and for asynchronous completions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferry import wiring
from ferry.aws.completion_queue import LambdaCompletionQueue
from ferry.model.files import IfExists
from ferry.model.uploads import CurrentUpload
from tests.integration.metrics import metric_lines
from tests.integration.stack import ROOT, Stack
from tests.unit.aws.scripted import ScriptedClient


def test_cleanup_expires_stale_uploads_of_namespace(stack: Stack) -> None:
    """A dry run changes nothing, a cleanup ends the uploads, and another namespace is unchanged."""
    other = stack.token("other")
    stack.post_json("POST /upload/start", {"filename": "stale", "size": 5})
    stack.post_json("POST /upload/start", {"filename": "stale", "size": 5}, token=other)
    dry = stack.request("DELETE /cleanup", query={"older_than": "0", "dry_run": "true"})
    assert (dry.status, dry.json["expired"], dry.json["dry_run"]) == (200, 1, True)
    assert stack.request("GET /status/{filename+}", filename="stale").json["state"] == "pending"
    done = stack.request("DELETE /cleanup", query={"older_than": "0", "filename": "stale"})
    assert (done.json["expired"], done.json["complete"], done.json["dry_run"]) == (1, True, False)
    assert stack.request("GET /status/{filename+}", filename="stale").json["state"] == "expired"
    assert stack.request("GET /status/{filename+}", filename="stale", token=other).json["state"] == "pending"
    assert stack.request("DELETE /cleanup").json["expired"] == 0


def test_schedule_event_runs_sweep(stack: Stack) -> None:
    """The schedule's event is no HTTP event, and its result is the report."""
    stack.upload("kept", b"x")
    report = stack.invoke("cleanup", {"ferry": "sweep"})
    assert (report["errors"], report["complete"]) == (0, True)
    for member in ("resumed_completions", "oldest_stale_seconds", "recovered", "lost"):
        assert report[member] == 0
    assert stack.request("GET /download/{filename+}", filename="kept").body == b"x"


def test_async_completion_event_completes_upload(stack: Stack) -> None:
    """The event completes the upload under its lease; a second delivery changes nothing."""
    started = stack.post_json("POST /upload/start", {"filename": "long", "size": 5}).json
    query = {"filename": "long", "chunk_index": "1"}
    binary = {"content-type": "application/octet-stream"}
    stack.request("POST /upload/chunk", query=query, headers=binary, body=b"hello")
    services = wiring.services()
    upload = services.upload_repository.get_upload(started["upload_id"])
    assert upload is not None
    now = services.clock()
    services.upload_repository.acquire_lease(
        upload, lease_id="a", expires_at=now + 60_000, now=now, if_exists=IfExists.FAIL, crc32c=None
    )
    client: Any = ScriptedClient({"StatusCode": 202})
    LambdaCompletionQueue(client, "cleanup").enqueue(started["upload_id"], "a")
    assert stack.request("GET /status/{filename+}", filename="long").json["state"] == "completing"
    for _ in range(2):
        assert stack.invoke("cleanup", json.loads(client.calls[0][1]["Payload"])) == {}
        assert stack.request("GET /download/{filename+}", filename="long").body == b"hello"
    assert stack.post_json("POST /upload/complete", {"filename": "long"}).status == 200


def test_invalid_parameters_are_rejected(stack: Stack) -> None:
    """An invalid or unknown parameter is a 422 that names it, and nothing is cleaned up."""
    stack.post_json("POST /upload/start", {"filename": "untouched", "size": 5})
    foreign = CurrentUpload("other", "untouched", "f" * 32, in_progress=True)
    for name, value in (
        *(("older_than", text) for text in ("-1", "soon", "", "1.5", "0x1", "1e3", "9" * 19, "0,5")),
        *(("dry_run", text) for text in ("1", "", "True", "yes", "true,false")),
        *(
            ("cursor", text)
            for after in [wiring.services().upload_repository.cursor_after(foreign)]
            for text in ("garbage", "", "e30", "cleanup.", "cleanup.e30", after, f"cleanup.{after}")
        ),
        *(("filename", text) for text in ("", "a//b", ".", " x", "\0", "x" * 256)),
        *((text, "true") for text in ("dryrun", "dry-run", "Dry_run", "namespace", "ns", "limit")),
    ):
        got = stack.request("DELETE /cleanup", query={"older_than": "0", name: value})
        assert (got.status, got.json["errors"][0]["loc"]) == (422, [name]), (name, value)
    assert stack.request("GET /status/{filename+}", filename="untouched").json["state"] == "pending"


def test_name_of_other_namespace_is_not_found(stack: Stack) -> None:
    """An upload of another namespace is not examined, and the report does not count it."""
    other = stack.token("other")
    stack.post_json("POST /upload/start", {"filename": "theirs", "size": 5}, token=other)
    for dry in ("true", "false"):
        got = stack.request("DELETE /cleanup", query={"older_than": "0", "filename": "theirs", "dry_run": dry}).json
        assert (got["examined"], got["expired"], got["bytes_reclaimed"]) == (0, 0, 0)
        assert got["orphans"] == {"multipart_uploads": 0, "staged_objects": 0, "objects": 0}
    assert stack.request("GET /status/{filename+}", filename="theirs", token=other).json["state"] == "pending"


def test_sweep_emits_metrics(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep emits one line of metrics of the whole service, zeros included."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    report = stack.invoke("cleanup", {"ferry": "sweep"})
    (line,) = metric_lines(capsys.readouterr().out)
    (found,) = line["_aws"]["CloudWatchMetrics"]
    assert (found["Namespace"], found["Dimensions"], line["service"]) == ("Ferry", [["service"]], "stack")
    assert line["SweepErrors"] == report["errors"]
    alarms = (ROOT / "monitoring.yaml").read_text(encoding="utf-8")
    names = {metric["Name"] for metric in found["Metrics"]}
    assert names == {
        *("UploadsExpired", "ReclaimedBytes", "OldestStaleSeconds", "ResumedCompletions", "RecoveredUploads"),
        *("LostUploads", "OrphanMultipartUploads", "OrphanStagedObjects", "OrphanObjects", "SweepErrors"),
    }
    for name in ("OldestStaleSeconds", "ResumedCompletions"):
        assert f"MetricName: {name}\n" in alarms


def test_expired_uploads_are_counted(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """A cleanup counts the uploads that it ended; a dry run counts none."""
    stack.post_json("POST /upload/start", {"filename": "counted", "size": 5})
    capsys.readouterr()
    for dry_run, expected in (("true", []), ("false", [1])):
        stack.request("DELETE /cleanup", query={"older_than": "0", "dry_run": dry_run, "filename": "counted"})
        found = [line["UploadsExpired"] for line in metric_lines(capsys.readouterr().out) if "UploadsExpired" in line]
        assert found == expected
