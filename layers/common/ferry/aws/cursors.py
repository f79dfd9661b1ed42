"""Cursors: where a listing goes on, as opaque text that clients carry.

A cursor names the listing it belongs to, so that one from elsewhere is refused instead of leading astray. It is no
secret and is not trusted: whoever decodes one checks every value before a backend sees it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from ferry.errors import InvalidField

MAX_CURSOR_LENGTH = 4_096
MAX_TEXT_BYTES = 1_000  # in a key DynamoDB and S3 take 1,024 bytes, a prefix of ours included
_MAX_NUMBER = 2**53


def encode(listing: Sequence[str], position: Sequence[str | int]) -> str:
    """The cursor of `listing` (what is listed, in which namespace, ...) after the position `at`."""
    packed = json.dumps([*listing, *position], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str, listing: Sequence[str], shape: str) -> list[str | int]:
    """The position; `shape` has one letter for each of its values, `s` for text and `n` for a number.

    Raises:
        InvalidField: at `cursor`, when it is garbled or of another listing.
    """
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise invalid_cursor()
    try:
        packed = cursor.encode("ascii")
        values = json.loads(base64.b64decode(packed + b"=" * (-len(packed) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list) or values[: len(listing)] != list(listing):
        raise invalid_cursor()
    at = values[len(listing) :]
    if len(at) != len(shape) or not all(_matches_type(value, letter) for value, letter in zip(at, shape, strict=True)):
        raise invalid_cursor()
    return at


def invalid_cursor() -> InvalidField:
    """What to raise for a cursor that was not given out here."""
    return InvalidField.for_member("cursor", "is not one that this listing has given")


def _matches_type(value: object, letter: str) -> bool:
    if letter == "n":
        return type(value) is int and 0 <= value <= _MAX_NUMBER
    if not isinstance(value, str):
        return False
    try:
        return len(value.encode()) <= MAX_TEXT_BYTES
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and UTF-8 cannot
        return False
