"""What no client gets past, on whatever route: tokens, scopes, bodies. Nothing a client sends is a 5xx.

Attacks are in test_attacks_tokens and test_attacks_bodies.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ferry import wiring
from tests.integration.events import event
from tests.integration.stack import ADMIN, READ, WRITE, Stack, document, modules, result_of

PROTECTED = sorted(
    (key, scope) for module in modules().values() for key, scope in module.app.scopes.items() if scope is not None
)
JSON_ROUTES = ["POST /upload/start", "POST /upload/chunk", "POST /upload/parts", "POST /upload/complete"]
OTHER_SCOPES = {READ: (WRITE, ADMIN), WRITE: (READ, ADMIN), ADMIN: (READ, WRITE)}


@pytest.mark.parametrize(("key", "scope"), PROTECTED)
def test_every_protected_route_wants_a_token_with_its_scope(stack: Stack, key: str, scope: str) -> None:
    """No token and a bad one are 401, the other scopes 403; looked at before anything else of the request."""
    is_head = key.startswith("HEAD")
    none = stack.call(key, token=None)
    assert (none.status, none.headers["www-authenticate"]) == (401, 'Bearer realm="ferry"')
    bad = stack.call(key, headers={"authorization": "Bearer x.y.z"})
    assert (bad.status, bad.headers["www-authenticate"]) == (401, 'Bearer realm="ferry", error="invalid_token"')
    basic = stack.call(key, headers={"authorization": "Basic eDp5"})
    assert (basic.status, basic.headers["www-authenticate"]) == (401, 'Bearer realm="ferry"')
    narrow = stack.call(key, token=stack.token("demo", *OTHER_SCOPES[scope]), headers={"content-type": "text/plain"})
    assert narrow.status == 403
    assert f'error="insufficient_scope", scope="{scope}"' in narrow.headers["www-authenticate"]
    small = {"authorization": f"bearer {stack.token()}"}
    assert stack.call(key, headers=small).status != 401, "the scheme's name has no case"
    if is_head:
        assert none.body == bad.body == narrow.body == b""
    else:
        assert (none.code, bad.code, narrow.code) == ("missing_token", "invalid_token", "insufficient_scope")


VALID: dict[str, dict[str, Any]] = {
    "POST /upload/start": {"filename": "v", "size": 1},
    "POST /upload/chunk": {"filename": "v", "chunk_index": 1, "data": "eA=="},
    "POST /upload/parts": {"filename": "v", "parts": [{"part_number": 1}]},
    "POST /upload/complete": {"filename": "v"},
}
WRONG: list[tuple[str, dict[str, Any], list[Any]]] = (
    [(key, {"extra": 1}, ["extra"]) for key in VALID]
    + [(key, {"filename": value}, ["filename"]) for key in VALID for value in (None, 1, ["a"], {"a": 1}, True)]
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


@pytest.mark.parametrize(("key", "change", "loc"), WRONG)
def test_failed_validation_is_a_422_that_says_where(
    stack: Stack, key: str, change: dict[str, Any], loc: list[Any]
) -> None:
    """`errors` has the member's path and a sentence; nothing of the value, nothing of the library."""
    got = stack.post(key, VALID[key] | change)
    assert got.status == 422
    assert loc in [error["loc"] for error in got.json["errors"]]
    assert b"pydantic" not in got.body
    assert b"input" not in got.body.lower()


@pytest.mark.parametrize("key", JSON_ROUTES)
def test_bodies_that_are_no_objects_or_of_another_type(stack: Stack, key: str) -> None:
    """JSON that is no object is a 422, another Content-Type a 415, and too much of it a 413."""
    for body in (b"[]", b"1", b"null", b'"text"', b"true"):
        assert stack.post(key, body).code == "validation_failed"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage"):
        got = stack.call(key, body=b"{}", headers={"content-type": kind})
        assert (got.status, got.code) == (415, "unsupported_media_type")
    large = stack.post(key, b'{"filename": "' + b"x" * 6_400_000 + b'"}')
    assert large.status == 413
    with_charset = stack.post(key, b"{", headers={"content-type": "application/json; charset=utf-8"})
    assert with_charset.code == "malformed_body"


HOSTILE = [
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
def test_hostile_parameters_never_break_a_route(stack: Stack, key: str, scope: str) -> None:
    """Whatever is in the query, the path and the headers, the answer is documented and no 5xx."""
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
    for value in HOSTILE:
        path_name = value if "{filename}" in key else None
        for query in ({}, dict.fromkeys(names, value), {"filename": "fine"}):
            sent = {"x": value} if query else dict.fromkeys(headers, value)
            got = stack.call(key, filename=path_name, query=query, headers=sent, body=value.encode())
            assert got.status < 500


def test_a_failed_backend_is_a_503(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Retry-After, as a problem (and in OAuth's shape at the token endpoint), and nothing told of what failed."""
    token = stack.token()

    def fail(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://secret-name.example")

    for method in ("get_item", "query", "transact_get_items"):
        monkeypatch.setattr(wiring.session().dynamodb, method, fail)
    got = stack.call("GET /status/{filename}", filename="x", token=token)
    assert (got.status, got.code, got.headers["retry-after"]) == (503, "backend_unavailable", "1")
    body = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    refused = stack.post("POST /auth/token", body)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert b"secret-name" not in got.body + refused.body


def test_a_defect_is_a_500_that_tells_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a request id; the log gets the kind and the place, and nothing the client sent."""
    sent = "what-a-client-sent"

    def fail(*_: object) -> None:
        raise RuntimeError(sent)

    monkeypatch.setattr(modules()["status"], "list_files", fail)
    got = stack.call("GET /files")
    assert (got.status, got.code) == (500, "internal")
    [record] = caplog.records
    logged = str(vars(record))
    assert "RuntimeError" in logged
    assert sent not in logged
    assert b"RuntimeError" not in got.body


def test_names_of_headers_in_any_case(stack: Stack) -> None:
    """`sam local` hands them on as they were sent."""
    given = event("GET /status")
    given["headers"] = {"Authorization": f"Bearer {stack.token()}"}
    assert result_of(stack.handle("status", given)).status == 200


def test_every_route_of_the_functions_is_documented() -> None:
    """And no other."""
    documented = {f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item}
    assert documented == {key for module in modules().values() for key in module.app.scopes}
    assert json.dumps(document()).count("files:admin") > 0
