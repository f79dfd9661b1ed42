"""Base64 (RFC 4648 section 4), decoded strictly and fast."""

from __future__ import annotations

import base64
import binascii

_MIN_SIMD_CHARACTERS = 16 * 1024
"""Length of text from which the SIMD decoder is used. It takes 2 ms to load, and decodes 4 MiB in 0.2 instead of 16 ms.
"""


def decode_base64(text: str) -> bytes:
    """Return the bytes that `text` encodes. Raises `ValueError` for white space, the URL alphabet and missing padding.

    Another text may be decoded to the same bytes: `decode_canonical` accepts one only.
    """
    if len(text) < _MIN_SIMD_CHARACTERS:
        return binascii.a2b_base64(text, strict_mode=True)
    from pybase64 import b64decode

    return b64decode(text, validate=True)


def decode_canonical(text: str) -> bytes:
    """Return the bytes. Raises `ValueError` unless `text` is their encoding (RFC 4648 section 3.5).

    White space, missing or excess padding, the URL alphabet, and padded bits that are not zero are rejected.
    """
    try:
        decoded = decode_base64(text)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    # Decoders accept any value of the padded bits, which are in the last four characters.
    last_group = decoded[-(len(decoded) % 3 or 3) :]
    if base64.b64encode(last_group).decode() != text[-4:]:
        raise ValueError("not canonical base64")
    return decoded
