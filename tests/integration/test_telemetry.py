"""What operators see of each answer: metrics in the log, and a trace where that is switched on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from ferry.http import metrics
from tests.integration.events import REQUEST_ID, event
from tests.integration.stack import ROOT, Stack

HANDLED = """
import json, sys
import app
class Context:
    function_name = "auth"
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
answer = app.lambda_handler(json.loads(sys.argv[1]), Context())
print(answer["statusCode"], "aws_xray_sdk" in sys.modules)
"""


@pytest.fixture(autouse=True)
def service_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As template.yaml names it, read anew."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    metrics._metrics.cache_clear()


def lines(text: str) -> list[dict[str, Any]]:
    """The lines of the embedded metric format."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"_aws":')]


def test_an_answer_is_counted_and_timed(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: the latency and what the route counts, under service and function; route and status beside them."""
    stack.post("POST /upload/start", {"filename": "counted", "size": 5})
    capsys.readouterr()
    query = {"filename": "counted", "chunk_index": "1"}
    headers = {"content-type": "application/octet-stream"}
    assert stack.call("POST /upload/chunk", query=query, headers=headers, body=b"hello").status == 200
    (line,) = lines(capsys.readouterr().out)
    (found,) = line["_aws"]["CloudWatchMetrics"]
    assert found["Namespace"] == "Ferry"
    assert [sorted(names) for names in found["Dimensions"]] == [["function", "service"]]
    units = {metric["Name"]: metric["Unit"] for metric in found["Metrics"]}
    assert units == {"LatencyMilliseconds": "Milliseconds", "Chunks": "Count", "ChunkBytes": "Bytes"}
    assert (line["Chunks"], line["ChunkBytes"]) == ([1.0], [5.0])
    assert (line["route"], line["status"], line["request_id"]) == ("POST /upload/chunk", "200", REQUEST_ID)


def test_a_refusal_is_counted_under_its_code(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the latency, with the service and nothing that a client chose."""
    assert stack.call("GET /download/{filename}", filename="nowhere").status == 404
    refusal, answer = lines(capsys.readouterr().out)
    assert (refusal["code"], refusal["Refusals"]) == ("not_found", [1.0])
    assert answer["status"] == "404"
    assert "nowhere" not in json.dumps([refusal, answer])


def test_an_upload_is_counted_once_for_each_of_its_states(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Started, completed, cancelled; a repeated request counts nothing again."""
    start = {"filename": "states", "size": 0}
    for _ in range(2):
        stack.post("POST /upload/start", start)
    stack.post("POST /upload/complete", {"filename": "states"})
    stack.post("POST /upload/start", start | {"if_exists": "replace", "size": 1})
    for _ in range(2):
        stack.call("DELETE /upload/{filename}", filename="states")
    counted = [name for line in lines(capsys.readouterr().out) for name in line if name.startswith("Uploads")]
    assert counted == ["UploadsStarted", "UploadsCompleted", "UploadsStarted", "UploadsCancelled"]


@pytest.mark.parametrize(("switch", "loaded"), [("Active", True), ("Disabled", False)])
def test_a_trace_is_sent_where_it_is_switched_on(stack: Stack, switch: str, *, loaded: bool) -> None:
    """On, X-Ray's daemon gets a segment without the answer; off, X-Ray's SDK is not even loaded."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10 if loaded else 0)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "layers" / "common"),
            "LAMBDA_TASK_ROOT": "/var/task",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "FERRY_TRACING": switch,
        }
        done = subprocess.run(
            [sys.executable, "-c", HANDLED, json.dumps(event("GET /health"))],
            cwd=ROOT / "functions" / "auth",
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == f"200 {loaded}"
        if loaded:
            segment = daemon.recv(65_536).decode()
            assert "## " in segment
            assert "statusCode" not in segment
        else:
            with pytest.raises(BlockingIOError):
                daemon.recv(65_536)
