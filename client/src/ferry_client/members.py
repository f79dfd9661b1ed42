"""Read the members of the service's responses, each with the type that it must have.

Every function raises `ResponseError` for a response that differs from the service's document: a proxy, or the login
page of a network, may respond in the service's place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ferry_client.checksums import crc32c_from_base64
from ferry_client.errors import ResponseError, unreadable_error

JsonObject: TypeAlias = Mapping[str, object]
"""A JSON object."""

MAX_RANGES = 1_000_000
"""Most numbers that ranges of chunks or parts may go up to: a file of 48.8 TiB has 10,000 parts, one of 4 TiB in chunks
of 4 MiB has as many chunks."""

_URL = re.compile(r"https?://[!-~]+")
"""An absolute URL that can be sent as it is."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110 section 5.6.2)."""

_HEADER_VALUE = re.compile(r"[\t -~]*")
"""A field value in ASCII (RFC 9110 section 5.5)."""


def parse_object(body: bytes) -> JsonObject:
    """Return a JSON object."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unreadable_error("it is not JSON") from error
    if not isinstance(parsed, dict):
        raise unreadable_error("it is not a JSON object")
    return parsed


def text(members: JsonObject, name: str, default: str | None = None) -> str:
    """Return a member that is text; `default`, if there is one, where it is missing."""
    value = members.get(name, default)
    if not isinstance(value, str):
        raise _unreadable(members, name, "text")
    return value


def optional_text(members: JsonObject, name: str) -> str | None:
    """Return a member that is text; None where it is missing or null."""
    return None if members.get(name) is None else text(members, name)


def integer(members: JsonObject, name: str, *, minimum: int = 0) -> int:
    """Return a member that is a whole number of at least `minimum`."""
    value = members.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise _unreadable(members, name, f"a whole number of at least {minimum}")
    return value


def optional_integer(members: JsonObject, name: str) -> int | None:
    """Return a member that is a whole number; None where it is missing or null."""
    return None if members.get(name) is None else integer(members, name)


def decimal(members: JsonObject, name: str) -> float:
    """Return a member that is a number, or the text of one."""
    value = members.get(name)
    try:
        parsed = float(value) if isinstance(value, int | float | str) else -1.0
    except (ValueError, OverflowError):
        parsed = -1.0
    if not 0 <= parsed < float("inf"):
        raise _unreadable(members, name, "a number")
    return parsed


def boolean(members: JsonObject, name: str, default: bool | None = None) -> bool:
    """Return a member that is true or false; `default`, if there is one, where it is missing."""
    value = members.get(name, default)
    if not isinstance(value, bool):
        raise _unreadable(members, name, "true or false")
    return value


def nested(members: JsonObject, name: str) -> JsonObject:
    """Return a member that is an object."""
    value = members.get(name)
    if not isinstance(value, dict):
        raise _unreadable(members, name, "an object")
    return value


def objects(members: JsonObject, name: str) -> list[JsonObject]:
    """Return a member that is a list of objects."""
    values = _items(members, name)
    found = [value for value in values if isinstance(value, dict)]
    if len(found) != len(values):
        raise _unreadable(members, name, "a list of objects")
    return list(found)


def texts(members: JsonObject, name: str, *, default: Sequence[str] | None = None) -> list[str]:
    """Return a member that is a list of texts; `default`, if there is one, where it is missing."""
    values = _items(members, name) if default is None or name in members else default
    found = [value for value in values if isinstance(value, str)]
    if len(found) != len(values):
        raise _unreadable(members, name, "a list of texts")
    return found


def text_map(members: JsonObject, name: str) -> dict[str, str]:
    """Return a member that is an object of texts; an empty one where it is missing or null."""
    if members.get(name) is None:
        return {}
    values = nested(members, name)
    found = {key: value for key, value in values.items() if isinstance(value, str)}
    if len(found) != len(values):
        raise _unreadable(members, name, "an object of texts")
    return found


def ranges(members: JsonObject, name: str) -> list[tuple[int, int]]:
    """Return a member that is a list of ranges of numbers from 1, both ends included."""
    found = []
    for pair in _items(members, name):
        match pair:
            case [int(first), int(last)] if 1 <= first <= last <= MAX_RANGES:
                found.append((first, last))
            case _:
                raise _unreadable(members, name, "a list of ranges")
    return found


def url(members: JsonObject, name: str) -> str:
    """Return a member that is an absolute URL."""
    value = text(members, name)
    if not _URL.fullmatch(value):
        raise _unreadable(members, name, "a URL")
    return value


def header_map(members: JsonObject, name: str) -> dict[str, str]:
    """Return a member that is an object of header fields."""
    fields = text_map(members, name)
    if not all(_HEADER_NAME.fullmatch(key) and _HEADER_VALUE.fullmatch(value) for key, value in fields.items()):
        raise _unreadable(members, name, "an object of header fields")
    return fields


def header_value(members: JsonObject, name: str) -> str:
    """Return a member that is sent back in a header field: an ETag, or a token."""
    value = text(members, name)
    if not value or not _HEADER_VALUE.fullmatch(value):
        raise _unreadable(members, name, "a value of a header field")
    return value


def optional_crc32c(members: JsonObject, name: str) -> int | None:
    """Return a checksum; None where it is missing or of another algorithm."""
    if members.get(name) is None:
        return None
    checksum = nested(members, name)
    if checksum.get("algorithm", "crc32c") != "crc32c":
        return None
    try:
        return crc32c_from_base64(text(checksum, "value"))
    except ValueError as error:
        raise _unreadable(members, name, "a CRC32C") from error


def _items(members: JsonObject, name: str) -> list[object]:
    value = members.get(name)
    if not isinstance(value, list):
        raise _unreadable(members, name, "a list")
    return value


def _unreadable(members: JsonObject, name: str, kind: str) -> ResponseError:
    """Return the error of a member. It does not repeat the value, which may be a secret."""
    return unreadable_error(f"{name} is not {kind}" if name in members else f"{name} is missing")
