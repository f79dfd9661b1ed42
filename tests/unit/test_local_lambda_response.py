"""The HTTP response for what a function returned."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from dev.local.lambda_response import InvalidLambdaResponse, parse_lambda_response


def parse(returned: Any) -> tuple[int, dict[str, str], bytes]:
    response = parse_lambda_response(json.dumps(returned).encode())
    return response.status, dict(response.headers), response.body


def test_parse_complete_response() -> None:
    """The response has the status, the headers (names in lower case) and the text body."""
    returned = {"statusCode": 201, "headers": {"ETag": '"x"', "X-Count": 3}, "body": "é"}
    assert parse(returned) == (
        201,
        {"etag": '"x"', "x-count": "3", "content-type": "text/plain;charset=UTF-8"},
        "é".encode(),
    )


def test_parse_base64_body() -> None:
    """A body in base64 is decoded."""
    returned = {
        "statusCode": "206",
        "headers": {"content-type": "application/octet-stream"},
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    assert parse(returned) == (206, {"content-type": "application/octet-stream"}, b"\x00\xff")


def test_parse_cookies_become_set_cookie_headers() -> None:
    """Each cookie becomes a Set-Cookie header. multiValueHeaders are ignored in format 2.0."""
    response = parse_lambda_response(
        b'{"statusCode": 200, "cookies": ["a=b", "c=d"], "multiValueHeaders": {"x": ["y"]}}'
    )
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=b", "c=d"]
    assert not [value for name, value in response.headers if name == "x"]


@pytest.mark.parametrize("returned", [{"hello": "world"}, "text", ["list"], None, 5])
def test_parse_without_status_code_returns_json_200(returned: Any) -> None:
    """A result without statusCode is the JSON body of a 200."""
    assert parse(returned) == (200, {"content-type": "application/json"}, json.dumps(returned).encode())


@pytest.mark.parametrize(
    "returned",
    [
        {"statusCode": "abc"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"bad name": "x"}},
        {"statusCode": 200, "headers": {"x": "a\r\nb: c"}},
        {"statusCode": 200, "headers": {"x": {"y": 1}}},
        {"statusCode": 200, "body": "***", "isBase64Encoded": True},
    ],
)
def test_parse_invalid_response_raises(returned: Any) -> None:
    """A result that is no valid response raises an error."""
    with pytest.raises(InvalidLambdaResponse):
        parse_lambda_response(json.dumps(returned).encode())


def test_parse_invalid_json_raises() -> None:
    """A result that is not JSON raises an error."""
    with pytest.raises(InvalidLambdaResponse):
        parse_lambda_response(b"Task failed")
