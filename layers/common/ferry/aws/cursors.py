"""Cursors: the position where a listing continues, as opaque text that clients send back.

A cursor names its listing, and is rejected by any other. It is neither secret nor trusted: its values are checked
before they reach a backend.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from ferry.errors import InvalidField

MAX_CURSOR_LENGTH = 4_096
"""Longest cursor that is decoded, in characters."""

MAX_KEY_TEXT_BYTES = 1_000
"""Longest text in a key: that of a filename. Keys have at most 1,024 bytes in DynamoDB and S3, with Ferry's prefix."""

_MAX_NUMBER = 2**53
"""Largest number in a cursor: far above any time in epoch milliseconds."""


def encode(listing: Sequence[str], position: Sequence[str | int]) -> str:
    """Return the cursor of a listing (what is listed, in which namespace, ...) after a position."""
    packed = json.dumps([*listing, *position], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str, listing: Sequence[str], shape: str) -> list[str | int]:
    """Return the position. `shape` has one letter for each of its values: `s` for text, `n` for a number.

    Raises:
        InvalidField: the cursor is malformed or belongs to another listing.
    """
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise invalid_cursor()
    try:
        encoded = cursor.encode("ascii")
        packed = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        values = json.loads(packed)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise invalid_cursor() from error
    if base64.urlsafe_b64encode(packed).rstrip(b"=") != encoded:  # padded bits that are not zero
        raise invalid_cursor()
    if not isinstance(values, list) or values[: len(listing)] != list(listing):
        raise invalid_cursor()
    position = values[len(listing) :]
    if len(position) != len(shape) or not all(map(_matches_type, position, shape)):
        raise invalid_cursor()
    return position


def invalid_cursor() -> InvalidField:
    """Return the error about a cursor that this listing did not return."""
    return InvalidField.for_member("cursor", "is not a cursor of this listing; omit it to start at the first page")


def _matches_type(value: object, letter: str) -> bool:
    if letter == "n":
        return type(value) is int and 0 <= value <= _MAX_NUMBER
    if not isinstance(value, str):
        return False
    try:
        return len(value.encode()) <= MAX_KEY_TEXT_BYTES
    except UnicodeEncodeError:  # JSON can contain a lone surrogate, UTF-8 cannot
        return False
