"""What may be a filename (docs: the HTTP contract). Pure.

A name is text in Unicode's normal form C, so that one name typed on two systems is one file.
"""

from __future__ import annotations

import unicodedata

from ferry.errors import InvalidFilename

MAX_FILENAME_BYTES = 255
# A code point of form C stands for at most four decomposed ones: what is longer cannot come down to 255 bytes. Looked
# at first because normalising a long run of combining marks takes time that grows with the square of its length.
_MAX_CODE_POINTS = 4 * MAX_FILENAME_BYTES


def normalise_filename(name: str) -> str:
    """The name in form C.

    Raises:
        InvalidFilename: it is empty, longer than 255 bytes of UTF-8, `.` or `..`, has a slash, a backslash, a control
            character (category Cc) or half a surrogate pair in it, or white space at an end.
    """
    if len(name) > _MAX_CODE_POINTS:
        raise InvalidFilename(f"A filename has at most {MAX_FILENAME_BYTES} bytes of UTF-8.")
    name = unicodedata.normalize("NFC", name)
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidFilename("A filename must be valid Unicode: it has half of a surrogate pair.") from None
    if not name:
        raise InvalidFilename("A filename must not be empty.")
    if length > MAX_FILENAME_BYTES:
        raise InvalidFilename(f"A filename has at most {MAX_FILENAME_BYTES} bytes of UTF-8; this one has {length}.")
    if name in (".", ".."):
        raise InvalidFilename("'.' and '..' are not filenames.")
    if "/" in name or "\\" in name:
        raise InvalidFilename("A filename has no '/' and no '\\'.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise InvalidFilename("A filename has no control characters.")
    if name != name.strip():
        raise InvalidFilename("A filename does not begin or end with white space.")
    return name
