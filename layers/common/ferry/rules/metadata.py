"""Which names and values a client may keep with a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

MAX_METADATA_BYTES = 2_048
"""Bytes of UTF-8, names and values together."""


def metadata_problem(metadata: Mapping[str, str]) -> str | None:
    """Return what is wrong with the metadata, as the rest of a sentence that its name begins; None if it is valid."""
    if "" in metadata:
        return "must not have a member without a name"
    texts = [text for pair in metadata.items() for text in pair]
    if any(unicodedata.category(character) == "Cc" for text in texts for character in text):
        return "must not have control characters, in names or values"
    if sum(len(text.encode()) for text in texts) > MAX_METADATA_BYTES:
        return f"must have at most {MAX_METADATA_BYTES} bytes of UTF-8, names and values together"
    return None
