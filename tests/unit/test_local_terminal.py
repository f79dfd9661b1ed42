"""What the local service prints for people."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dev.local.clients import LocalClient
from dev.local.processes import is_for_terminal
from dev.local.routing import Route
from dev.local.terminal import ReadyInfo, guide, print_event, print_request, ready_line, short_path

SECRET = "s3cr3t-of-demo"
INFO = ReadyInfo(
    requested_port=3000,
    port=3000,
    s3_url="http://127.0.0.1:5400",
    dynamodb_url="http://127.0.0.1:5500",
    state_folder=Path("/somewhere/my state"),
    clients=[LocalClient("demo", SECRET, "demo", ("files:read", "files:write"))],
    routes=[
        Route("POST", "/auth/token", "Auth"),
        Route("HEAD", "/download/{filename+}", "Download"),
        Route("GET", "/download/{filename+}", "Download"),
    ],
    relay_address="172.17.0.1",
)


def test_ready_line_is_one_line_with_all_addresses() -> None:
    """It begins with `ready` and the API's address, and names the file with the clients."""
    line = ready_line(INFO)
    assert line.startswith("ready http://127.0.0.1:3000 · clients in /somewhere/my state/ferry.json")
    assert "S3 http://127.0.0.1:5400" in line
    assert "\n" not in line


def test_ready_line_with_taken_port_names_port_and_option() -> None:
    """Where the port was taken, the line says which one, and how to choose another."""
    line = ready_line(replace(INFO, port=3001))
    assert line.startswith("ready http://127.0.0.1:3001 (port 3000 is taken; choose another with PORT=)")


def test_guide_has_routes_clients_and_commands_but_no_secret() -> None:
    """Each path is listed once with its methods, each client with its scopes; the secret stays in its file."""
    text = guide(INFO)
    assert "  /auth/token            POST\n  /download/{filename+}  GET, HEAD\n" in text
    assert "Console: http://127.0.0.1:3000/console" in text
    assert re.search(r"demo +namespace demo +files:read files:write\n", text)
    assert "--netrc-file '/somewhere/my state/netrc'" in text
    assert "sam build && sam local start-api" in text
    assert SECRET not in text


def test_guide_without_docker_says_how_to_get_containers() -> None:
    """Where Docker does not run, the guide says to start it."""
    text = guide(replace(INFO, relay_address=None))
    assert "start Docker, then `make run` again" in text
    assert "sam build" not in text


def test_request_line_has_the_route_instead_of_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    """A line has time, status, method, route and duration. A path without a route is not printed."""
    print_request("GET", Route("GET", "/download/{filename+}", "Download"), 206, 0.0123)
    print_request("PROPFIND-AND-MORE", None, 404, 0.0)
    matched, unmatched = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d 206 GET    /download/\{filename\+\} +12 ms", matched)
    assert re.fullmatch(r"\d\d:\d\d:\d\d 404 PROPFIND \(no such route\) +0 ms", unmatched)


def test_event_line_has_type_and_id(capsys: pytest.CaptureFixture[str]) -> None:
    """An event's line has its type and id, and nothing of its detail."""
    print_event("ferry.upload.started", "abc.started")
    assert re.fullmatch(r"\d\d:\d\d:\d\d event +ferry.upload.started abc.started\n", capsys.readouterr().err)


def test_short_path_is_relative_below_the_current_folder() -> None:
    """A path below the current folder is shown relative to it, another one as it is."""
    assert short_path(Path.cwd() / ".local" / "ferry.json") == ".local/ferry.json"
    assert short_path(Path("/elsewhere/ferry.json")) == "/elsewhere/ferry.json"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"START RequestId: 1 Version: $LATEST", False),
        (b'{"_aws":{"Timestamp":1}}', False),
        (b'{"service":"ferry","function":"status","route":"GET /status","status":200}', False),
        (b'{"level":"INFO","message":"token.issue"}', False),
        (b'{"timestamp": "2026-11-26T11:46:23Z", "level": "INFO", "message": "x"}', False),
        (b'{"level":"DEBUG","message":"x"}', False),
        (b'{"level":"WARNING","message":"the word INFO"}', True),
        (b'{"timestamp": "2026-11-26T11:46:23Z", "level": "ERROR", "message": "x"}', True),
        (b"Traceback (most recent call last):", True),
        (b"", True),
    ],
)
def test_function_output_on_the_terminal_is_warnings_and_errors(line: bytes, shown: bool) -> None:
    """Log lines below WARNING, metrics and the platform's own lines are for the log file alone."""
    assert is_for_terminal(line) is shown
