"""Request bodies, decoded here and nowhere else.

The gateway hands on some bodies as text and some in base64, as it sees fit; what counts is what the client sent.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any

from ferry.errors import MalformedBody
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge, UnsupportedMediaType

MAX_JSON_BYTES = 64 * 1024
MAX_CHUNK_BODY_BYTES = 6 * 1024 * 1024
"""Bytes: for most routes; and for chunks, what the platform hands to a function at all."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
OCTET_STREAM = "application/octet-stream"

_MAX_DIGITS = 32
# How half a surrogate pair can be written in JSON; what is not UTF-8 cannot bring one in.
_SURROGATE_PATTERN = re.compile(r"\\u[dD][89a-fA-F]")


def read_bytes(request: Request, max_bytes: int) -> bytes:
    """The bytes the client sent.

    Raises:
        UnsupportedMediaType: they are compressed, which nothing here undoes.
        BodyTooLarge: more than `limit` bytes.
        MalformedBody: the gateway's encoding is broken.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    # Looked at before decoding: base64 has 4 characters for 3 bytes, text at most 4 bytes for a character.
    if len(request.body) > (max_bytes + 2) // 3 * 4:
        raise BodyTooLarge(f"The body has more than {max_bytes} bytes.")
    try:
        body = base64.b64decode(request.body, validate=True) if request.body_is_base64 else request.body.encode()
    except (binascii.Error, ValueError) as error:
        raise MalformedBody("The body is not what its encoding says.") from error
    if len(body) > max_bytes:
        raise BodyTooLarge(f"The body has more than {max_bytes} bytes.")
    return body


def read_text(request: Request, max_bytes: int) -> str:
    """The body as UTF-8 text. Raises `BodyTooLarge`, `MalformedBody`."""
    try:
        return read_bytes(request, max_bytes).decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not valid UTF-8.") from error


def read_json(request: Request, max_bytes: int = MAX_JSON_BYTES) -> object:
    """The body as JSON (RFC 8259), read strictly: what two parsers could read differently is refused.

    A body without a Content-Type is taken for JSON, as simple devices send none.

    Raises:
        UnsupportedMediaType: it says that it is something else.
        BodyTooLarge: more than `limit` bytes.
        MalformedBody: not JSON or not UTF-8; or duplicate members, NaN, numbers beyond all bounds, half surrogate
            pairs, or too deep.
    """
    if request.content_type not in ("", JSON):
        raise UnsupportedMediaType(f"Send the body with Content-Type: {JSON}.")
    return parse_json(read_text(request, max_bytes))


def parse_json(document: str) -> object:
    """As `json_value`, for text. Raises `MalformedBody`."""
    if not document.strip(" \t\r\n"):
        raise MalformedBody("The body is empty; send JSON.")
    try:
        value = _DECODER.decode(document)
        if _SURROGATE_PATTERN.search(document):
            _reject_lone_surrogates(value)
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise MalformedBody("The body is nested too deeply.") from error
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody("The body has a member twice.")
    return members


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise MalformedBody("The body has a number beyond all bounds.")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedBody("The body has a number beyond all bounds.")
    return number


def _reject_constant(name: str) -> None:
    raise MalformedBody(f"{name} is not JSON.")


def _reject_lone_surrogates(value: object) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _reject_lone_surrogates(name)
            _reject_lone_surrogates(member)
    elif isinstance(value, list):
        for member in value:
            _reject_lone_surrogates(member)
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise MalformedBody("The body has half of a surrogate pair.") from error


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_parse_integer,
    parse_float=_parse_float,
    parse_constant=_reject_constant,
)
