"""Which filenames are valid: paths of segments that `/` separates.

Names are compared in Unicode normal form C, so that a name typed on two systems is the same file.
"""

from __future__ import annotations

import unicodedata

from ferry.errors import InvalidFilename

MAX_FILENAME_BYTES = 1_000
"""Maximum length in UTF-8. A sort key of DynamoDB has 1,024 bytes, and a row puts a prefix before the name."""

MAX_SEGMENT_BYTES = 255
"""Maximum length of a segment in UTF-8: that of a file's name in common file systems."""

_MAX_CODE_POINTS = 2 * MAX_FILENAME_BYTES
"""A longer name cannot normalize to 1,000 bytes: a byte of form C comes from at most one and a half code points.

The length is checked before normalisation, whose time grows with the square of a run of combining marks.
"""

_REPLACEMENT_CHARACTER = "\ufffd"
"""What decoders put in place of bytes that are not UTF-8: a name with it is not the name that the client has."""


def normalize_filename(name: str) -> str:
    """Return the name in normal form C.

    Raises:
        InvalidFilename: the name is empty or longer than 1,000 bytes of UTF-8; it contains a backslash, a control
            character (category Cc), U+FFFD or half a surrogate pair; or one of its segments is empty, longer than 255
            bytes, `.` or `..`, or begins or ends with white space.
    """
    if len(name) > _MAX_CODE_POINTS:
        raise InvalidFilename(f"A filename has at most {MAX_FILENAME_BYTES} bytes of UTF-8. Send a shorter one.")
    name = unicodedata.normalize("NFC", name)
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidFilename("The filename contains half of a surrogate pair. Send valid Unicode.") from None
    if not name:
        raise InvalidFilename("The filename is empty. Send at least one character.")
    if length > MAX_FILENAME_BYTES:
        raise InvalidFilename(
            f"A filename has at most {MAX_FILENAME_BYTES} bytes of UTF-8; this one has {length}. Send a shorter one."
        )
    if _REPLACEMENT_CHARACTER in name:
        raise InvalidFilename(
            "The filename contains U+FFFD, which decoders put in place of invalid bytes. Send the name as UTF-8."
        )
    if "\\" in name:
        raise InvalidFilename("A filename contains no '\\'. Separate its segments by '/'.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise InvalidFilename("A filename contains no control characters. Remove them.")
    for segment in name.split("/"):
        _check_segment(segment)
    return name


def last_segment(name: str) -> str:
    """Return what follows the last `/` of a valid name: the name under which a browser saves the file."""
    return name.rpartition("/")[2]


def _check_segment(segment: str) -> None:
    """Raise `InvalidFilename` for a segment that breaks a rule."""
    if not segment:
        raise InvalidFilename("A filename does not begin or end with '/', and contains no '//'. Remove it.")
    if segment in (".", ".."):
        raise InvalidFilename("'.' and '..' are not segments of a filename. Send the path without them.")
    if segment != segment.strip():
        raise InvalidFilename("A segment of a filename does not begin or end with white space. Remove it.")
    length = len(segment.encode())
    if length > MAX_SEGMENT_BYTES:
        raise InvalidFilename(
            f"A segment of a filename, between two '/', has at most {MAX_SEGMENT_BYTES} bytes of UTF-8; "
            f"one has {length}. Send a shorter one."
        )
