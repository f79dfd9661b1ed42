"""Rejections that all routes share: tokens, scopes, bodies. No request of a client is a 5xx.

Attacks are in test_attacks_tokens and test_attacks_bodies.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ferry import wiring
from tests.integration.events import build_event
from tests.integration.stack import (
    ADMIN,
    READ,
    SHARE,
    WRITE,
    Stack,
    documented_key,
    function_modules,
    openapi_document,
    to_result,
)

PROTECTED = sorted(
    (key, scope)
    for module in function_modules().values()
    for key, scope in module.app.scopes.items()
    if scope is not None
)
JSON_ROUTES = ["POST /upload/start", "POST /upload/chunk", "POST /upload/parts", "POST /upload/complete"]
OTHER_SCOPES = {READ: (WRITE, ADMIN), WRITE: (READ, ADMIN), SHARE: (READ, WRITE), ADMIN: (READ, WRITE)}


@pytest.mark.parametrize(("key", "scope"), PROTECTED)
def test_protected_route_requires_scope(stack: Stack, key: str, scope: str) -> None:
    """Without a valid token it is a 401, with other scopes a 403, before the rest of the request is read."""
    is_head = key.startswith("HEAD")
    none = stack.request(key, token=None)
    assert (none.status, none.headers["www-authenticate"]) == (401, 'Bearer realm="ferry"')
    bad = stack.request(key, headers={"authorization": "Bearer x.y.z"})
    assert (bad.status, bad.headers["www-authenticate"]) == (401, 'Bearer realm="ferry", error="invalid_token"')
    basic = stack.request(key, headers={"authorization": "Basic eDp5"})
    assert (basic.status, basic.headers["www-authenticate"]) == (401, 'Bearer realm="ferry"')
    narrow = stack.request(key, token=stack.token("demo", *OTHER_SCOPES[scope]), headers={"content-type": "text/plain"})
    assert narrow.status == 403
    assert f'error="insufficient_scope", scope="{scope}"' in narrow.headers["www-authenticate"]
    small = {"authorization": f"bearer {stack.token()}"}
    assert stack.request(key, headers=small).status != 401, "the scheme's name has no case"
    if is_head:
        assert none.body == bad.body == narrow.body == b""
    else:
        assert (none.code, bad.code, narrow.code) == ("missing_token", "invalid_token", "insufficient_scope")


VALID_BODIES: dict[str, dict[str, Any]] = {
    "POST /upload/start": {"filename": "v", "size": 1},
    "POST /upload/chunk": {"filename": "v", "chunk_index": 1, "data": "eA=="},
    "POST /upload/parts": {"filename": "v", "parts": [{"part_number": 1}]},
    "POST /upload/complete": {"filename": "v"},
}
INVALID_BODIES: list[tuple[str, dict[str, Any], list[Any]]] = (
    [(key, {"extra": 1}, ["extra"]) for key in VALID_BODIES]
    + [(key, {"filename": value}, ["filename"]) for key in VALID_BODIES for value in (None, 1, ["a"], {"a": 1}, True)]
    + [
        ("POST /upload/start", {"size": "1"}, ["size"]),
        ("POST /upload/start", {"size": 1.0}, ["size"]),
        ("POST /upload/start", {"size": True}, ["size"]),
        ("POST /upload/start", {"size": -1}, ["size"]),
        ("POST /upload/start", {"size": 10**30}, ["size"]),
        ("POST /upload/start", {"chunk_size": 0}, ["chunk_size"]),
        ("POST /upload/start", {"chunk_size": 65_537}, ["chunk_size"]),
        ("POST /upload/start", {"chunk_size": 8 * 1024 * 1024}, ["chunk_size"]),
        ("POST /upload/start", {"content_type": "no type"}, ["content_type"]),
        ("POST /upload/start", {"content_type": "text/plain\r\nx: y"}, ["content_type"]),
        ("POST /upload/start", {"content_type": "text/é"}, ["content_type"]),
        ("POST /upload/start", {"content_type": "a/" + "b" * 300}, ["content_type"]),
        ("POST /upload/start", {"fingerprint": "x" * 257}, ["fingerprint"]),
        ("POST /upload/start", {"fingerprint": "é" * 129}, ["fingerprint"]),
        ("POST /upload/start", {"metadata": {"a": 1}}, ["metadata", "a"]),
        ("POST /upload/start", {"metadata": []}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"": "x"}}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"a\n": "x"}}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"a": "x\x7f"}}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"a": "\x85"}}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"a": "\x00"}}, ["metadata"]),
        ("POST /upload/start", {"metadata": {"k": "x" * 2048}}, ["metadata"]),
        ("POST /upload/start", {"if_exists": "maybe"}, ["if_exists"]),
        ("POST /upload/start", {"restart": "true"}, ["restart"]),
        ("POST /upload/start", {"checksum": "x"}, ["checksum"]),
        ("POST /upload/start", {"checksum": {"algorithm": "crc32c"}}, ["checksum", "value"]),
        ("POST /upload/start", {"checksum": {"algorithm": "crc32c", "value": "AA=="}}, ["checksum", "value"]),
        ("POST /upload/start", {"checksum": {"algorithm": "crc32c", "value": "é"}}, ["checksum", "value"]),
        ("POST /upload/start", {"checksum": {"algorithm": "sha256", "value": "AA=="}}, ["checksum", "algorithm"]),
        ("POST /upload/chunk", {"chunk_index": "1"}, ["chunk_index"]),
        ("POST /upload/chunk", {"data": 1}, ["data"]),
        ("POST /upload/chunk", {"upload_id": "x" * 129}, ["upload_id"]),
        ("POST /upload/chunk", {"checksum": {"algorithm": "md5", "value": "x"}}, ["checksum", "value"]),
        ("POST /upload/parts", {"parts": []}, ["parts"]),
        ("POST /upload/parts", {"parts": [{"part_number": 1}] * 101}, ["parts"]),
        ("POST /upload/parts", {"parts": [{}]}, ["parts", 0, "part_number"]),
    ]
)


@pytest.mark.parametrize(("key", "change", "loc"), INVALID_BODIES)
def test_invalid_member_returns_422_with_location(
    stack: Stack, key: str, change: dict[str, Any], loc: list[Any]
) -> None:
    """`errors` has the path of the member and a message, without its value and without Pydantic's words."""
    got = stack.post_json(key, VALID_BODIES[key] | change)
    assert got.status == 422
    assert loc in [error["loc"] for error in got.json["errors"]]
    assert b"pydantic" not in got.body
    assert b"input" not in got.body.lower()


@pytest.mark.parametrize("key", JSON_ROUTES)
def test_body_of_other_type_is_rejected(stack: Stack, key: str) -> None:
    """JSON that is no object is a 422, another Content-Type a 415, and a larger body a 413."""
    for body in (b"[]", b"1", b"null", b'"text"', b"true"):
        assert stack.post_json(key, body).code == "validation_failed"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage"):
        got = stack.request(key, body=b"{}", headers={"content-type": kind})
        assert (got.status, got.code) == (415, "unsupported_media_type")
        assert "application/json" in got.json["detail"]
    large = stack.post_json(key, b'{"filename": "' + b"x" * 6_400_000 + b'"}')
    assert large.status == 413
    with_charset = stack.post_json(key, b"{", headers={"content-type": "application/json; charset=utf-8"})
    assert with_charset.code == "malformed_body"


HOSTILE_VALUES = [
    "",
    "\0",
    "é" * 200,
    "😀" * 2000,
    "{}",
    "-1",
    "9" * 400,
    "' OR 1=1 --",
    "%00",
    "../..",
    "null",
    "\u202e",
    "N#x",
    "CLIENT#",
]


@pytest.mark.parametrize(("key", "scope"), PROTECTED)
def test_hostile_parameters_never_return_5xx(stack: Stack, key: str, scope: str) -> None:
    """Any value in the query, the path and the headers gets a documented response below 500."""
    names = [
        "filename",
        "chunk_index",
        "upload_id",
        "cursor",
        "limit",
        "prefix",
        "since",
        "older_than",
        "dry_run",
        "redirect",
    ]
    headers = ["range", "if-match", "if-none-match", "if-modified-since", "if-range", "content-digest", "content-type"]
    for value in HOSTILE_VALUES:
        path_name = value if "{filename+}" in key else None
        for query in ({}, dict.fromkeys(names, value), {"filename": "fine"}):
            sent = {"x": value} if query else dict.fromkeys(headers, value)
            got = stack.request(key, filename=path_name, query=query, headers=sent, body=value.encode())
            assert got.status < 500


def test_backend_failure_returns_503(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed backend is a 503 with Retry-After that does not name it; the token endpoint uses OAuth's form."""
    token = stack.token()

    def fail(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://secret-name.example")

    for method in ("get_item", "query", "transact_get_items"):
        monkeypatch.setattr(wiring.aws_session().dynamodb, method, fail)
    got = stack.request("GET /status/{filename+}", filename="x", token=token)
    assert (got.status, got.code, got.headers["retry-after"]) == (503, "backend_unavailable", "1")
    body = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    token_error = stack.post_json("POST /auth/token", body)
    assert (token_error.status, token_error.headers["retry-after"]) == (503, "1")
    assert b"secret-name" not in got.body + token_error.body


def test_unexpected_error_returns_500_without_details(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a request id; the log gets the class and the frames, and nothing that the client sent."""
    sent = "what-a-client-sent"

    def fail(*_: object) -> None:
        raise RuntimeError(sent)

    monkeypatch.setattr("ferry.files.list.list_files", fail)
    got = stack.request("GET /files")
    assert (got.status, got.code) == (500, "internal")
    [record] = caplog.records
    logged = str(vars(record))
    assert "RuntimeError" in logged
    assert sent not in logged
    assert b"RuntimeError" not in got.body


def test_header_names_are_case_insensitive(stack: Stack) -> None:
    """`sam local` passes header names on as the client sent them."""
    given = build_event("GET /status")
    given["headers"] = {"Authorization": f"Bearer {stack.token()}"}
    assert to_result(stack.invoke("status", given)).status == 200


def test_every_route_is_documented() -> None:
    """The document has the routes of the functions, and no others. The pages for people are no part of it."""
    documented = {f"{method.upper()} {path}" for path, item in openapi_document()["paths"].items() for method in item}
    modules = (module for name, module in function_modules().items() if name != "web")
    assert documented == {documented_key(key) for module in modules for key in module.app.scopes}
    assert json.dumps(openapi_document()).count("files:admin") > 0
