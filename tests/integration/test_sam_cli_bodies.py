"""Bodies as `sam local start-api` passes them on: SAM CLI's own code builds the events of these requests."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask import Flask
from samcli.local.apigw.event_constructor import construct_v2_event_http

from dev.local.limits import MAX_INVOKE_REQUEST_BYTES
from dev.local.template import load_template
from dev.testing.template import TEMPLATE
from ferry.rules.layout import MIB
from tests.integration.stack import Result, Stack, to_result

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"


def binary_types() -> list[str]:
    """Return the binary media types of the template."""
    body = load_template(TEMPLATE)["Resources"]["Api"]["Properties"]["DefinitionBody"]
    types: list[str] = body["x-amazon-apigateway-binary-media-types"]
    return types


def build_sam_event(token: str, route: str, body: bytes, content_type: str | None, **query: str) -> dict[str, Any]:
    """Return the event that SAM CLI's event constructor makes of a request."""
    method, _, path = route.partition(" ")
    application = Flask("sam")
    headers = {"Authorization": f"Bearer {token}"}
    with application.test_request_context(
        path, method=method, data=body, content_type=content_type, headers=headers, query_string=query
    ) as context:
        event: dict[str, Any] = construct_v2_event_http(context.request, 3000, binary_types(), route_key=route)
    assert event["isBase64Encoded"] is True
    event["requestContext"]["requestId"] = "JKJaXmPLvHcESHA="
    return event


def send(stack: Stack, function: str, route: str, body: bytes, content_type: str | None, **query: str) -> Result:
    """Send a request through SAM CLI's event constructor to a function."""
    return to_result(stack.invoke(function, build_sam_event(stack.token(), route, body, content_type, **query)))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/jpeg", JPEG),
        (None, JPEG),
        ("text/plain", b"latin-1: \xfc"),
        ("application/json", '{"ü": 1}'.encode()),
        ("application/octet-stream", JPEG),
    ],
)
def test_file_of_any_type_arrives_byte_for_byte(stack: Stack, content_type: str | None, body: bytes) -> None:
    """A whole file has the bytes and the type that were sent."""
    got = send(stack, "files", "PUT /files", body, content_type, filename="sam")
    assert got.status in (200, 201), got.body
    assert got.json["content_type"] == (content_type or "application/octet-stream")
    assert stack.request("GET /download", query={"filename": "sam"}).body == body


def test_json_in_base64_is_read(stack: Stack) -> None:
    """JSON that arrives in base64 is JSON; bytes that are not UTF-8 are a 400."""
    got = send(stack, "upload", "POST /upload/start", '{"filename": "sam ü", "size": 1}'.encode(), "application/json")
    assert (got.status, got.json["filename"]) == (201, "sam ü")
    bad = send(stack, "upload", "POST /upload/start", b'{"filename": "\xfc", "size": 1}', "application/json")
    assert (bad.status, bad.code) == (400, "malformed_body")
    form = b"grant_type=client_credentials&client_id=x&client_secret=y"
    token = send(stack, "auth", "POST /auth/token", form, "application/x-www-form-urlencoded")
    assert (token.status, token.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(("chunk_mib", "fits"), [(3, True), (4, False)])
def test_chunk_in_json_fits_payload_up_to_3_mib(chunk_mib: int, fits: bool) -> None:
    """SAM CLI encodes a chunk in JSON twice: 3 MiB fit the 6 MB that a function takes, 4 MiB do not."""
    content = bytes(chunk_mib * MIB)
    chunk = {"filename": "sam", "chunk_index": 1, "data": base64.b64encode(content).decode()}
    event = build_sam_event("token", "POST /upload/chunk", json.dumps(chunk).encode(), "application/json")
    assert (len(json.dumps(event)) <= MAX_INVOKE_REQUEST_BYTES) == fits
