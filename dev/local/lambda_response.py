"""Turn what a function returned into an HTTP response, as an HTTP API does (payload format 2.0)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The gateway sets these itself.
_DROPPED_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "date"})


class InvalidLambdaResponse(Exception):
    """The function returned a value that is no response."""


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """An HTTP response."""

    status: int
    """The status code."""
    headers: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value; names in lower case."""
    body: bytes = b""
    """The decoded body."""


def gateway_error(status: int, text: str) -> GatewayResponse:
    """Return a response of API Gateway's own."""
    return GatewayResponse(status, (("content-type", "application/json"),), json.dumps({"message": text}).encode())


def parse_lambda_response(payload: bytes) -> GatewayResponse:
    """Return the response for a function's result. Raises `InvalidLambdaResponse`."""
    try:
        returned = json.loads(payload)
    except ValueError as error:
        raise InvalidLambdaResponse(f"the result is not JSON: {error}") from None
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return GatewayResponse(200, (("content-type", "application/json"),), payload)
    headers = [*_parse_headers(returned.get("headers") or {})]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers.extend(("set-cookie", _header_value("set-cookie", cookie)) for cookie in returned.get("cookies") or [])
    return GatewayResponse(_parse_status(returned["statusCode"]), tuple(headers), _parse_body(returned))


def _parse_status(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"\d{3}", str(value)):
        raise InvalidLambdaResponse(f"statusCode {value!r} is not a number from 200 to 599")
    status = int(value)
    if not 200 <= status <= 599:
        raise InvalidLambdaResponse(f"statusCode {status} is not from 200 to 599")
    return status


def _parse_headers(raw_headers: object) -> list[tuple[str, str]]:
    if not isinstance(raw_headers, dict):
        raise InvalidLambdaResponse("headers is not an object")
    found: list[tuple[str, str]] = []
    for name, value in raw_headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidLambdaResponse(f"{name!r} is not a header name")
        if name.lower() not in _DROPPED_HEADERS and value is not None:
            found.append((name.lower(), _header_value(name, value)))
    return found


def _header_value(name: str, value: object) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise InvalidLambdaResponse(f"the value of header {name} is not text")
    text = str(value).strip()
    if _CONTROL_CHARACTER.search(text):
        raise InvalidLambdaResponse(f"the value of header {name} has a control character")
    return text


def _parse_body(returned: dict[str, Any]) -> bytes:
    body = returned.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return json.dumps(body).encode()
    if not returned.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise InvalidLambdaResponse(f"the body is not base64: {error}") from None
