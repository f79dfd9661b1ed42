"""Who did what: the audit events of the functions, as they are written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ferry import wiring
from ferry.http import log
from tests.integration.events import REQUEST_ID
from tests.integration.stack import ADMIN, SECRET, Stack

NAME = "a name that tells something.pdf"


class Lines:
    """What was written since it was last asked."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def __call__(self) -> list[dict[str, Any]]:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def events() -> Iterator[Lines]:
    """The audit log, in the form that its logger gives it."""
    logger = log._audit()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logger.registered_formatter)
    underlying = logging.getLogger("ferry-audit")
    underlying.addHandler(handler)
    yield Lines(stream)
    underlying.removeHandler(handler)


def ask(stack: Stack, **members: str) -> int:
    return stack.post("POST /auth/token", {"grant_type": "client_credentials", **members}).status


def test_every_token_issued_is_an_event(stack: Stack, events: Lines) -> None:
    """Who got it, for which namespace and scope, and its id: never the token."""
    stack.token("audited")
    (event,) = events()
    claimed = {name: event[name] for name in ("audit", "event", "outcome", "ns", "scope", "level", "request_id")}
    assert claimed == {
        "audit": True,
        "event": "token.issue",
        "outcome": "success",
        "ns": "audited",
        "scope": "files:admin files:read files:write",
        "level": "INFO",
        "request_id": REQUEST_ID,
    }
    assert event["actor"].startswith("audited-")
    assert len(event["token_id"]) == 64
    assert stack.token("audited") not in json.dumps(event)


@pytest.mark.parametrize(
    ("members", "outcome", "told"),
    [
        (
            {"client_id": "known", "client_secret": "wrong"},
            "invalid_client",
            {"actor": "known", "reason": "wrong_secret"},
        ),
        ({"client_id": SECRET, "client_secret": "known"}, "invalid_client", {"reason": "unknown_client"}),
        ({}, "invalid_client", {"reason": "no_credentials"}),
        ({"client_id": "known", "client_secret": SECRET, "scope": "x"}, "invalid_scope", {"actor": "known"}),
        (
            {"client_id": "known", "client_secret": SECRET, "grant_type": "x"},
            "unsupported_grant_type",
            {"actor": "known"},
        ),
        ({"client_id": "known", "grant_type": ""}, "invalid_request", {}),
    ],
)
def test_every_token_refused_is_an_event(
    stack: Stack, events: Lines, members: dict[str, str], outcome: str, told: dict[str, str]
) -> None:
    """Why, and whose; an id that nobody has is not repeated, for it may be a secret in the wrong place."""
    stack.token("known")
    client = wiring.access_store().client("known-files:read-files:write-files:admin")
    assert client is not None
    wiring.access_store().put_client(type(client)("known", "known", client.scopes, client.secret_hashes))
    events()
    assert ask(stack, **members) in (400, 401)
    (event,) = events()
    assert (event["event"], event["outcome"], event["audit"]) == ("token.issue", outcome, True)
    assert {name: event[name] for name in ("actor", "reason") if name in event} == told
    assert SECRET not in json.dumps(event)


def test_deleting_and_cancelling_are_events(stack: Stack, events: Lines) -> None:
    """By whom, in which namespace, and how it ended; the file's name only where names are switched on."""
    stack.upload(NAME, b"x")
    stack.post("POST /upload/start", {"filename": f"{NAME}.2", "size": 5})
    events()
    assert stack.call("DELETE /files/{filename}", filename=NAME).status == 204
    assert stack.call("DELETE /files/{filename}", filename=NAME).status == 404
    assert stack.call("DELETE /upload/{filename}", filename=f"{NAME}.2").status == 204
    assert stack.call("DELETE /files", query={"filename": "\x00"}).status == 422
    told = events()
    assert [(event["event"], event["outcome"]) for event in told] == [
        ("file.delete", "success"),
        ("file.delete", "not_found"),
        ("upload.cancel", "success"),
        ("file.delete", "invalid_filename"),
    ]
    assert {(event["ns"], event["request_id"]) for event in told} == {("demo", REQUEST_ID)}
    assert all(event["actor"].startswith("demo-") for event in told)
    assert NAME not in json.dumps(told)


def test_names_are_logged_where_they_are_switched_on(
    stack: Stack, events: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parameter LogFileNames; a name that is none is not repeated."""
    monkeypatch.setenv("FERRY_LOG_FILE_NAMES", "true")
    stack.new_process()
    try:
        stack.upload(NAME, b"x")
        events()
        stack.call("DELETE /files/{filename}", filename=NAME)
        stack.call("DELETE /files", query={"filename": "\x00"})
        assert [event.get("file_name") for event in events()] == [NAME, None]
    finally:
        monkeypatch.undo()
        stack.new_process()


def test_cleaning_up_is_an_event(stack: Stack, events: Lines) -> None:
    """On request with what was done, by the schedule only when there was something to look at."""
    stack.post("POST /upload/start", {"filename": "stale", "size": 5})
    events()
    assert stack.call("DELETE /cleanup", query={"older_than": "0"}).status == 200
    (event,) = events()
    assert (event["event"], event["outcome"], event["ns"]) == ("cleanup.run", "success", "demo")
    assert event["expired"] >= 1
    assert not event["dry_run"]
    assert "cursor" not in event
    assert stack.call("DELETE /cleanup", token=stack.token("demo", "files:read")).status == 403
    assert stack.call("DELETE /cleanup", query={"older_than": "x"}).status == 422
    assert [event["outcome"] for event in events() if event["event"] == "cleanup.run"] == ["validation_failed"]
    for _ in range(40):
        stack.handle("cleanup", {"ferry": "sweep"})
        if not (told := events()):
            break
        assert [event["actor"] for event in told] == ["schedule"]
    else:
        pytest.fail("there is always something to clean up")


def test_the_level_of_other_lines_does_not_silence_it(stack: Stack) -> None:
    """LogLevel is for what operators read; this is for the record."""
    assert log._audit().log_level == logging.INFO
    assert ADMIN in stack.call("GET /openapi.json").body.decode()
