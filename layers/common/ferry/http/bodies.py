"""Decoding of request bodies. The gateway passes a body on as text or as base64; the client's bytes are the same."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ferry.errors import MalformedBody
from ferry.http.request import Request, is_decodable
from ferry.http.request_errors import BodyNotExact, BodyTooLarge, UnsupportedMediaType
from ferry.http.response import JSON
from ferry.rules.canonical_base64 import decode_base64

MAX_JSON_BYTES = 64 * 1024
"""Bytes of a JSON or form body, for every route but `POST /upload/chunk`."""

MAX_CHUNK_BODY_BYTES = 6 * 1024 * 1024
"""Bytes of a JSON body with a chunk: Lambda passes no more to a function."""

FORM = "application/x-www-form-urlencoded"
OCTET_STREAM = "application/octet-stream"

RAW_CHUNK_ADVICE = f"Send the bytes with Content-Type: {OCTET_STREAM}, which arrives byte for byte."
RAW_FILE_ADVICE = f"{RAW_CHUNK_ADVICE[:-1]}, and the type of the file as ?content_type=<type>."

_MAX_DIGITS = 32
"""Digits of a JSON integer at most: Python takes long to parse longer ones."""

_MAX_SHOWN_LENGTH = 64
"""Characters of a client's text that an error message quotes."""

# The only way to write a surrogate in JSON: bytes that encode one are not UTF-8.
_SURROGATE_PATTERN = re.compile(r"\\u[dD][89a-fA-F]")


def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Return the bytes of the body.

    Raises:
        UnsupportedMediaType: the body has a Content-Encoding.
        BodyTooLarge: the body has more than `max_bytes` bytes.
        MalformedBody: the event's base64 is not valid.
    """
    _reject_content_encoding(request)
    # Checked before decoding: base64 has 4 characters for 3 bytes, and UTF-8 at least a byte for a character.
    if len(request.body) > (max_bytes + 2) // 3 * 4:
        raise _too_large(max_bytes)
    try:
        body = decode_base64(request.body) if request.body_is_base64 else request.body.encode()
    except ValueError as error:
        raise MalformedBody("The gateway passed on a body that cannot be decoded. Send it again.") from error
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def read_raw(request: Request, max_bytes: int, *, advice: str) -> bytes:
    """Return the bytes of a body that is a file or a piece of one, exactly as the client sent them.

    A gateway passes some types on as text, and puts U+FFFD for bytes that are not UTF-8.

    Args:
        request: the request.
        max_bytes: bytes of the body at most.
        advice: what to send instead of a body that came as changed text.

    Raises:
        UnsupportedMediaType: the body has a Content-Encoding.
        BodyNotExact: the body came as text that is not what the client sent.
        BodyTooLarge: the body has more than `max_bytes` bytes.
        MalformedBody: the event's base64 is not valid.
    """
    _reject_content_encoding(request)
    if request.body and not request.body_is_base64:
        sent_length = request.headers.get("content-length", "")
        if not is_decodable(request.body) or str(len(request.body.encode())) != sent_length.strip():
            raise BodyNotExact(f"{BodyNotExact.title}. {advice}")
    return read_bytes(request, max_bytes)


def read_text(request: Request, max_bytes: int) -> str:
    """Return the body as text. Raises what `read_bytes` raises; `MalformedBody` also when it is not UTF-8.

    A gateway that passes a body on as text puts U+FFFD for bytes that are not UTF-8.
    """
    body = read_bytes(request, max_bytes)
    if not request.body_is_base64 and "\ufffd" in request.body:
        raise MalformedBody("The body is not valid UTF-8, or has U+FFFD. Send UTF-8, and U+FFFD in JSON as \\ufffd.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not valid UTF-8. Send UTF-8.") from error


def read_json(request: Request, max_bytes: int = MAX_JSON_BYTES, media_type: str = JSON) -> object:
    """Return the JSON value of the body (RFC 8259). Everything that two parsers may read differently is an error.

    A body without a Content-Type is read as JSON, because simple devices send none.

    Raises:
        UnsupportedMediaType: the Content-Type is another one, or the body has a Content-Encoding.
        BodyTooLarge: the body has more than `max_bytes` bytes.
        MalformedBody: the body is not UTF-8, or not what `parse_json` accepts.
    """
    if request.content_type not in ("", media_type):
        raise unsupported_media_type(request, f"Send JSON, with Content-Type: {media_type}.")
    return parse_json(read_text(request, max_bytes))


def parse_json(document: str) -> object:
    """Return the value of a JSON text.

    Raises:
        MalformedBody: the text is no JSON, is nested too deeply, or has duplicate keys, NaN, infinity, numbers out of
            range, or lone surrogates.
    """
    if not document.strip(" \t\r\n"):
        raise MalformedBody("The body is empty. Send JSON.")
    try:
        value = _DECODER.decode(document)
        if _SURROGATE_PATTERN.search(document):
            _reject_lone_surrogates(value)
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: error at line {error.lineno}, column {error.colno}. Correct it there."
        ) from error
    except RecursionError as error:
        raise MalformedBody("The JSON is nested too deeply. Send the members that this route describes.") from error
    return value


def _reject_content_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType("The body has a Content-Encoding. Send it without one: Ferry does not decompress.")


def unsupported_media_type(request: Request, advice: str) -> UnsupportedMediaType:
    """Return the error for a Content-Type that the route does not read."""
    media_type = request.content_type[:_MAX_SHOWN_LENGTH].encode("ascii", "backslashreplace").decode()
    media_type = media_type or "a body without a Content-Type"
    return UnsupportedMediaType(f"This route does not read {media_type}. {advice}")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {max_bytes:,} bytes. Send at most {max_bytes:,} bytes.")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody("Duplicate JSON key. Send each member once.")
    return members


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _number_out_of_range()
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _number_out_of_range()
    return number


def _number_out_of_range() -> MalformedBody:
    return MalformedBody(f"Number out of range. Send numbers of at most {_MAX_DIGITS} digits.")


def _reject_constant(name: str) -> None:
    raise MalformedBody(f"{name} is not JSON. Send a number.")


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
            raise MalformedBody(
                "A string has a lone surrogate (\\ud800 to \\udfff). Send whole characters, or pairs of escapes."
            ) from error


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_parse_integer,
    parse_float=_parse_float,
    parse_constant=_reject_constant,
)
