"""Canonical base64 (RFC 4648 sections 3.5 and 4): each sequence of bytes has one encoding."""

from __future__ import annotations

import base64
import binascii


def decode_canonical(text: str) -> bytes:
    """Return the bytes. Raises `ValueError` unless `text` is their encoding.

    White space, missing or excess padding, the URL alphabet, and padded bits that are not zero are no encoding.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    # `validate` accepts any value of the padded bits, which are in the last four characters.
    last_group = decoded[-(len(decoded) % 3 or 3) :]
    if base64.b64encode(last_group).decode() != text[-4:]:
        raise ValueError("not canonical base64")
    return decoded
