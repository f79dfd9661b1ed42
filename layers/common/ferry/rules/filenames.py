"""Which filenames are valid.

Names are compared in Unicode normal form C, so that a name typed on two systems is the same file.
"""

from __future__ import annotations

import unicodedata

from ferry.errors import InvalidFilename

MAX_FILENAME_BYTES = 255
"""Maximum length in UTF-8."""

_MAX_CODE_POINTS = 4 * MAX_FILENAME_BYTES
"""A longer name cannot normalise to 255 bytes: a code point of form C has at most four decomposed code points.

The length is checked before normalisation, whose time grows with the square of a run of combining marks.
"""


def normalise_filename(name: str) -> str:
    """Return the name in normal form C.

    Raises:
        InvalidFilename: the name is empty, longer than 255 bytes of UTF-8, `.` or `..`; it contains a slash, a
            backslash, a control character (category Cc), half a surrogate pair or U+FFFD; or it begins or ends with
            white space.
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
    if "\ufffd" in name:
        raise InvalidFilename(
            "The filename contains U+FFFD, which decoders put for bytes that are not UTF-8. Send the name in UTF-8."
        )
    if name in (".", ".."):
        raise InvalidFilename("'.' and '..' are not filenames. Send another name.")
    if "/" in name or "\\" in name:
        raise InvalidFilename("A filename contains no '/' and no '\\'. Remove or replace them.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise InvalidFilename("A filename contains no control characters. Remove them.")
    if name != name.strip():
        raise InvalidFilename("A filename does not begin or end with white space. Remove it.")
    return name
