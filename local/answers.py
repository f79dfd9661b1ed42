"""What a function returned, as an API Gateway HTTP API turns it into an HTTP response (payload format 2.0)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The gateway frames the message itself.
_DROPPED = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "date"})


class Malformed(Exception):
    """The function returned nothing that a response can be made of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def message(status: int, text: str) -> Answer:
    """What API Gateway answers by itself."""
    return Answer(status, (("content-type", "application/json"),), json.dumps({"message": text}).encode())


def decode(payload: bytes) -> Answer:
    """Raises `Malformed`."""
    try:
        returned = json.loads(payload)
    except ValueError as error:
        raise Malformed(f"no JSON: {error}") from None
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return Answer(200, (("content-type", "application/json"),), payload)
    headers = [*_headers(returned.get("headers") or {})]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers.extend(("set-cookie", _value("set-cookie", cookie)) for cookie in returned.get("cookies") or [])
    return Answer(_status(returned["statusCode"]), tuple(headers), _body(returned))


def _status(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str) or not re.fullmatch(r"\d{3}", str(given)):
        raise Malformed(f"statusCode {given!r} is no status")
    status = int(given)
    if not 200 <= status <= 599:
        raise Malformed(f"statusCode {status} is none of a response")
    return status


def _headers(given: object) -> list[tuple[str, str]]:
    if not isinstance(given, dict):
        raise Malformed("headers are no object")
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Malformed(f"{name!r} is no header name")
        if name.lower() not in _DROPPED and value is not None:
            found.append((name.lower(), _value(name, value)))
    return found


def _value(name: str, given: object) -> str:
    if isinstance(given, bool):
        given = str(given).lower()
    if not isinstance(given, str | int | float):
        raise Malformed(f"the header {name} has no text")
    text = str(given).strip()
    if _CONTROL.search(text):
        raise Malformed(f"the header {name} has a control character")
    return text


def _body(returned: dict[str, Any]) -> bytes:
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
        raise Malformed(f"the body is no base64: {error}") from None
