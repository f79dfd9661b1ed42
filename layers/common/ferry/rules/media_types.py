"""Which media types a file may have (RFC 9110 section 8.3.1). A type becomes a header of the download."""

from __future__ import annotations

import re

MAX_MEDIA_TYPE_LENGTH = 255
"""Characters of a media type, parameters included."""

_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE_PATTERN = re.compile(
    rf"{_TCHARS}/{_TCHARS}(?:[ \t]*;[ \t]*{_TCHARS}=(?:{_TCHARS}|\"[\x20\x21\x23-\x5b\x5d-\x7e]*\"))*"
)


def is_media_type(text: str) -> bool:
    """Return whether the text is a media type, with or without parameters."""
    return len(text) <= MAX_MEDIA_TYPE_LENGTH and _MEDIA_TYPE_PATTERN.fullmatch(text) is not None
