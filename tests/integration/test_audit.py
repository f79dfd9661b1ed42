"""The audit events that the functions log."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ferry import wiring
from ferry.http import log
from tests.integration.events import REQUEST_ID
from tests.integration.stack import ADMIN, SECRET, Stack, put_client
from tests.support.protocol_client import tus_client

SENSITIVE_NAME = "a sensitive name.pdf"


class AuditLines:
    """Returns the audit events since the last call."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def __call__(self) -> list[dict[str, Any]]:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def audit_events() -> Iterator[AuditLines]:
    """The audit log, as its logger formats it."""
    logger = log._audit_logger()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logger.registered_formatter)
    underlying = logging.getLogger("ferry-audit")
    underlying.addHandler(handler)
    yield AuditLines(stream)
    underlying.removeHandler(handler)


def request_token_status(stack: Stack, **members: str) -> int:
    return stack.post_json("POST /auth/token", {"grant_type": "client_credentials", **members}).status


def test_issued_token_is_audited(stack: Stack, audit_events: AuditLines) -> None:
    """An issued token is audited with client, namespace, scope and token id, but without the token."""
    stack.token("audited")
    (event,) = audit_events()
    fields = {name: event[name] for name in ("audit", "event", "outcome", "ns", "scope", "level", "request_id")}
    assert fields == {
        "audit": True,
        "event": "token.issue",
        "outcome": "success",
        "ns": "audited",
        "scope": "files:admin files:read files:share files:write",
        "level": "INFO",
        "request_id": REQUEST_ID,
    }
    assert event["actor"].startswith("audited-")
    assert len(event["token_id"]) == 64
    assert stack.token("audited") not in json.dumps(event)


@pytest.mark.parametrize(
    ("members", "outcome", "expected_fields"),
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
def test_rejected_token_request_is_audited(
    stack: Stack, audit_events: AuditLines, members: dict[str, str], outcome: str, expected_fields: dict[str, str]
) -> None:
    """A rejected request is audited with reason and client; an unknown client id is left out, as it may be a secret."""
    stack.token("known")
    client = wiring.auth_store().get_client("known-files:read-files:write-files:share-files:admin")
    assert client is not None
    put_client(type(client)("known", "known", client.scopes, client.secret_hashes))
    audit_events()
    assert request_token_status(stack, **members) in (400, 401)
    (event,) = audit_events()
    assert (event["event"], event["outcome"], event["audit"]) == ("token.issue", outcome, True)
    assert {name: event[name] for name in ("actor", "reason") if name in event} == expected_fields
    assert SECRET not in json.dumps(event)


def test_delete_and_cancel_are_audited(stack: Stack, audit_events: AuditLines) -> None:
    """Deletions and cancellations are audited with client, namespace and outcome, but without the filename."""
    stack.upload(SENSITIVE_NAME, b"x")
    stack.post_json("POST /upload/start", {"filename": f"{SENSITIVE_NAME}.2", "size": 5})
    audit_events()
    assert stack.request("DELETE /files/{filename+}", filename=SENSITIVE_NAME).status == 204
    assert stack.request("DELETE /files/{filename+}", filename=SENSITIVE_NAME).status == 404
    assert stack.request("DELETE /upload/{filename+}", filename=f"{SENSITIVE_NAME}.2").status == 204
    assert stack.request("DELETE /files", query={"filename": "\x00"}).status == 422
    events = audit_events()
    assert [(event["event"], event["outcome"]) for event in events] == [
        ("file.delete", "success"),
        ("file.delete", "not_found"),
        ("upload.cancel", "success"),
        ("file.delete", "invalid_filename"),
    ]
    assert {(event["ns"], event["request_id"]) for event in events} == {("demo", REQUEST_ID)}
    assert all(event["actor"].startswith("demo-") for event in events)
    assert SENSITIVE_NAME not in json.dumps(events)


def test_uploads_by_protocols_are_audited(stack: Stack, audit_events: AuditLines) -> None:
    """Creations, completions and cancellations at /uploads are audited, also by an overridden method."""
    tus, filename = tus_client(stack), f"{SENSITIVE_NAME}.tus"
    name = {"upload_metadata": f"filename {base64.b64encode(filename.encode()).decode()}"}
    stack.token()
    audit_events()
    upload_id = tus.upload_id(tus.create(headers={"upload_length": "4", **name}))
    assert tus.patch(upload_id, 0, b"ab").status == 204
    assert tus.patch(upload_id, 2, b"cd").status == 204
    other_id = tus.upload_id(tus.create(upload_length="4"))
    overridden = {"x_http_method_override": "DELETE"}
    assert tus.patch(other_id, None, b"", method="POST", **overridden).status == 204
    assert tus.create(upload_length="-1").status == 400
    events = audit_events()
    assert [(event["event"], event["outcome"], event.get("upload_id")) for event in events] == [
        ("upload.create", "success", upload_id),
        ("upload.complete", "success", upload_id),
        ("upload.create", "success", other_id),
        ("upload.cancel", "success", other_id),
        ("upload.create", "malformed_header", None),
    ]
    assert events[1]["FileBytes"] == len(b"abcd")
    assert {event["ns"] for event in events} == {"demo"}
    assert SENSITIVE_NAME not in json.dumps(events)


def test_stored_and_changed_files_are_audited(stack: Stack, audit_events: AuditLines) -> None:
    """A whole file and a change of its record are audited, rejected ones too, without the filename."""
    place: dict[str, Any] = {"filename": SENSITIVE_NAME}
    assert stack.request("PUT /files/{filename+}", body=b"x", **place).status == 201
    rejected = stack.request("PUT /files/{filename+}", body=b"x", headers={"if-none-match": "*"}, **place)
    assert rejected.status == 412
    assert stack.request("PATCH /files/{filename+}", body=b"{}", **place).status == 200
    assert stack.request("PATCH /files", query={"filename": "absent"}, body=b"{}").status == 404
    events = audit_events()
    assert [(event["event"], event["outcome"]) for event in events] == [
        ("file.put", "success"),
        ("file.put", "precondition_failed"),
        ("file.change", "success"),
        ("file.change", "not_found"),
    ]
    assert (events[0]["FilesPut"], events[0]["FileBytes"]) == (1, 1)
    assert {event["ns"] for event in events} == {"demo"}
    assert SENSITIVE_NAME not in json.dumps(events)
    assert stack.request("DELETE /files/{filename+}", **place).status == 204
    audit_events()


def test_moved_restored_and_deleted_files_are_audited(stack: Stack, audit_events: AuditLines) -> None:
    """Moves, restores and deletions of several files are audited, rejected ones too, without a filename."""
    stack.upload(SENSITIVE_NAME, b"x")
    moved_name = f"{SENSITIVE_NAME}.moved"
    audit_events()
    assert stack.post_json("POST /files/move", {"from": SENSITIVE_NAME, "to": moved_name}).status == 200
    assert stack.post_json("POST /files/move", {"from": SENSITIVE_NAME, "to": moved_name}).status == 404
    assert stack.post_json("POST /files/delete", {"filenames": [moved_name, SENSITIVE_NAME, "a\\b"]}).status == 200
    assert stack.post_json("POST /files/restore", {"filename": moved_name}).status == 200
    assert stack.post_json("POST /files/restore", {"filename": "absent"}).status == 404
    events = audit_events()
    assert [(event["event"], event["outcome"]) for event in events] == [
        ("file.move", "success"),
        ("file.move", "not_found"),
        ("file.delete", "success"),
        ("file.restore", "success"),
        ("file.restore", "not_found"),
    ]
    assert {name: events[2][name] for name in ("FilesDeleted", "missing", "errors")} == {
        "FilesDeleted": 1,
        "missing": 1,
        "errors": 1,
    }
    assert (events[0]["FilesMoved"], events[3]["FilesRestored"], events[3]["size"]) == (1, 1, 1)
    assert {event["ns"] for event in events} == {"demo"}
    assert SENSITIVE_NAME not in json.dumps(events)
    assert stack.request("DELETE /files/{filename+}", filename=moved_name).status == 204
    assert [event["FilesDeleted"] for event in audit_events()] == [1]


def test_file_names_are_audited_when_enabled(
    stack: Stack, audit_events: AuditLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LogFileNames=true audit events have the filename, unless it is not valid."""
    monkeypatch.setenv("FERRY_LOG_FILE_NAMES", "true")
    stack.new_process()
    try:
        stack.upload(SENSITIVE_NAME, b"x")
        audit_events()
        stack.request("DELETE /files/{filename+}", filename=SENSITIVE_NAME)
        stack.request("DELETE /files", query={"filename": "\x00"})
        assert [event.get("file_name") for event in audit_events()] == [SENSITIVE_NAME, None]
        stack.post_json("POST /files/restore", {"filename": SENSITIVE_NAME, "to": "restored"})
        stack.post_json("POST /files/move", {"from": "restored", "to": "moved"})
        stack.post_json("POST /files/delete", {"filenames": ["moved", "absent"]})
        restored, moved, deleted = audit_events()
        assert (restored["file_name"], restored["new_file_name"]) == (SENSITIVE_NAME, "restored")
        assert (moved["file_name"], moved["new_file_name"]) == ("restored", "moved")
        assert deleted["file_names"] == ["moved"]
    finally:
        monkeypatch.undo()
        stack.new_process()


def test_cleanup_is_audited(stack: Stack, audit_events: AuditLines) -> None:
    """DELETE /cleanup is audited with its counts; a scheduled run only if it found something."""
    stack.post_json("POST /upload/start", {"filename": "stale", "size": 5})
    audit_events()
    assert stack.request("DELETE /cleanup", query={"older_than": "0"}).status == 200
    (event,) = audit_events()
    assert (event["event"], event["outcome"], event["ns"]) == ("cleanup.run", "success", "demo")
    assert event["expired"] >= 1
    assert not event["dry_run"]
    assert "cursor" not in event
    assert stack.request("DELETE /cleanup", token=stack.token("demo", "files:read")).status == 403
    assert stack.request("DELETE /cleanup", query={"older_than": "x"}).status == 422
    assert [event["outcome"] for event in audit_events() if event["event"] == "cleanup.run"] == ["validation_failed"]
    for _ in range(40):
        stack.invoke("cleanup", {"ferry": "sweep"})
        if not (events := audit_events()):
            break
        assert [event["actor"] for event in events] == ["schedule"]
    else:
        pytest.fail("40 runs of the cleanup did not finish")


def test_log_level_does_not_silence_audit(stack: Stack) -> None:
    """The audit log ignores LogLevel."""
    assert log._audit_logger().log_level == logging.INFO
    assert ADMIN in stack.request("GET /openapi.json").body.decode()


def test_presigned_urls_are_audited_without_urls(stack: Stack, audit_events: AuditLines) -> None:
    """Each response with presigned URLs writes one event with client, namespace, number and expiry, but without URL,
    key, signature or filename. Other responses of these routes write none.
    """
    name, content = SENSITIVE_NAME + ".large", bytes(5 * 1024 * 1024)
    stack.upload(name, content)
    stack.post_json("POST /upload/start", {"filename": f"{name}.2", "size": 3 * len(content)})
    audit_events()
    numbers = [{"part_number": 1}, {"part_number": 2}]
    parts = stack.post_json("POST /upload/parts", {"filename": f"{name}.2", "parts": numbers}).json["parts"]
    route = "GET /download/{filename+}"
    redirect = stack.request(route, filename=name).headers["location"]
    link = stack.request(route, filename=name, query={"redirect": "false"}).json["url"]
    range_ = {"range": "bytes=0-"}
    partial = stack.request("GET /download/partial", query={"filename": name}, headers=range_).headers["location"]
    stack.request("HEAD /download/{filename+}", filename=name)
    stack.request(route, filename="absent")
    stack.post_json("POST /upload/parts", {"filename": name, "parts": numbers})
    events = audit_events()

    assert [(event["event"], event["outcome"], event["method"], event["urls"]) for event in events] == [
        ("url.issue", "success", "PUT", 2),
        *[("url.issue", "success", "GET", 1)] * 3,
    ]
    assert {(event["ns"], event["request_id"]) for event in events} == {("demo", REQUEST_ID)}
    assert all(event["actor"].startswith("demo-") for event in events)
    for event in events:
        expires_in = datetime.fromisoformat(event["expires_at"]) - datetime.fromisoformat(event["timestamp"])
        assert timedelta(minutes=14) < expires_in <= timedelta(minutes=15)
    text = json.dumps(events)
    for url in (*(part["url"] for part in parts), redirect, link, partial):
        key, query = urlsplit(url).path.rpartition("/")[2], parse_qs(urlsplit(url).query)
        assert key not in text
        assert query["X-Amz-Signature"][0] not in text
    assert "http" not in text
    assert SENSITIVE_NAME not in text


def test_presigned_urls_are_audited_with_file_names_when_enabled(
    stack: Stack, audit_events: AuditLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LogFileNames=true the event has the filename, from the body too."""
    monkeypatch.setenv("FERRY_LOG_FILE_NAMES", "true")
    stack.new_process()
    try:
        stack.post_json("POST /upload/start", {"filename": "directly sent", "size": 9_000_000})
        stack.upload("fetched", b"x")
        audit_events()
        stack.post_json("POST /upload/parts", {"filename": "directly sent", "parts": [{"part_number": 1}]})
        stack.request("GET /download/{filename+}", filename="fetched", query={"redirect": "false"})
        assert [event.get("file_name") for event in audit_events()] == ["directly sent", "fetched"]
    finally:
        monkeypatch.undo()
        stack.new_process()
