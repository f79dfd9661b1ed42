"""Metrics and traces of the functions."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from dev.bench.log_lines import response_line
from tests.integration.events import REQUEST_ID, build_event
from tests.integration.metrics import metric_lines
from tests.integration.stack import ROOT, Stack

HANDLER_SCRIPT = """
import json, sys
import app
class Context:
    function_name = "auth"
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
response = app.lambda_handler(json.loads(sys.argv[1]), Context())
print(response["statusCode"], "aws_xray_sdk" in sys.modules)
"""


@pytest.fixture(autouse=True)
def service_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the service name that template.yaml sets."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")


def test_response_emits_metrics(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """A response emits its metrics with the dimensions service and function, plus route, status and latency, in the
    line that docs/costs.md counts.
    """
    stack.post_json("POST /upload/start", {"filename": "counted", "size": 5})
    capsys.readouterr()
    query = {"filename": "counted", "chunk_index": "1"}
    headers = {"content-type": "application/octet-stream"}
    assert stack.request("POST /upload/chunk", query=query, headers=headers, body=b"hello").status == 200
    written = capsys.readouterr().out
    (line,) = metric_lines(written)
    assert written == json.dumps(line, separators=(",", ":")) + "\n"
    assert list(line) == list(json.loads(response_line()))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Ferry"
    assert [sorted(names) for names in directive["Dimensions"]] == [["function", "service"]]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {"ChunkBytes": "Bytes"}
    assert (line["ChunkBytes"], line["service"]) == (5, "stack")
    assert (line["route"], line["status"], line["request_id"]) == ("POST /upload/chunk", 200, REQUEST_ID)
    assert line["latency_ms"] >= 0


def test_response_without_metrics_writes_short_line(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """A response without metrics writes a line for Logs Insights that has nothing for CloudWatch to extract."""
    stack.post_json("POST /upload/start", {"filename": "counted", "size": 5})
    capsys.readouterr()
    assert stack.request("GET /status/{filename+}", filename="counted").status == 200
    line = json.loads(capsys.readouterr().out)
    assert set(line) == {"service", "function", "route", "status", "request_id", "latency_ms"}


def test_error_is_counted_by_code(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is counted by its code, in the line of the response. It has nothing that the client sent."""
    assert stack.request("GET /download/{filename+}", filename="nowhere").status == 404
    (line,) = metric_lines(capsys.readouterr().out)
    assert (line["code"], line["Errors"], line["status"], line["request_id"]) == ("not_found", 1, 404, REQUEST_ID)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service", "code"]]
    assert directive["Metrics"] == [{"Name": "Errors", "Unit": "Count"}]
    assert "nowhere" not in json.dumps(line)


def test_upload_states_are_counted_once(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Starts, completions and cancellations are counted once; repeated requests are not counted."""
    start = {"filename": "states", "size": 0, "fingerprint": "a"}
    for _ in range(2):
        stack.post_json("POST /upload/start", start)
    stack.post_json("POST /upload/complete", {"filename": "states"})
    stack.post_json("POST /upload/start", start | {"if_exists": "replace", "size": 1})
    for _ in range(2):
        stack.request("DELETE /upload/{filename+}", filename="states")
    counted = [name for line in metric_lines(capsys.readouterr().out) for name in line if name.startswith("Uploads")]
    assert counted == ["UploadsStarted", "UploadsCompleted", "UploadsStarted", "UploadsCancelled"]


@pytest.mark.parametrize(("tracing_mode", "expects_xray"), [("Active", True), ("Disabled", False)])
def test_trace_is_sent_when_enabled(stack: Stack, tracing_mode: str, *, expects_xray: bool) -> None:
    """With tracing, X-Ray's daemon gets a segment without the response; without, X-Ray's SDK is not loaded."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(60 if expects_xray else 0)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "layers" / "common"),
            "LAMBDA_TASK_ROOT": "/var/task",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "FERRY_TRACING": tracing_mode,
        }
        done = subprocess.run(
            [sys.executable, "-c", HANDLER_SCRIPT, json.dumps(build_event("GET /health"))],
            cwd=ROOT / "functions" / "auth",
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == f"200 {expects_xray}"
        if expects_xray:
            segment = daemon.recv(65_536).decode()
            assert "## " in segment
            assert "statusCode" not in segment
        else:
            with pytest.raises(BlockingIOError):
                daemon.recv(65_536)
