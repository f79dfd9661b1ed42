"""Positions in listings of names, and the cursors that carry them.

A listing runs over names in the order of their UTF-8 bytes. A position is the text at which the rest begins: all names
before it were listed. It need not be a name, so it stays valid when files are created, moved and deleted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from ferry.errors import InvalidField
from ferry.rules.filenames import MAX_FILENAME_BYTES

DELIMITER = "/"
"""Ends a folder."""

AFTER_DELIMITER = "0"
"""The character that follows `/`. Replacing the last `/` of a folder by it gives the bound behind all of its names."""

FIRST_CHARACTER = "\0"
"""The first character of all. No name contains it, so a name followed by it is the bound behind that name alone."""

MAX_CURSOR_LENGTH = 2_048
"""Longest cursor that is decoded, in characters."""

MAX_DELETED_FILE_SUFFIX_BYTES = 1 + 13 + 6 + 1
"""Bytes that follow the name in the position behind a deleted file. With a row's prefix a key still has 1,024 bytes."""

_MAX_EPOCH_MS = 10**13 - 1
"""Latest time that 13 digits hold: in the year 2286."""

_DIGEST_BYTES = 9
"""Length of the digest that binds a cursor to its listing."""


def folder_of(name: str, prefix: str) -> str | None:
    """Return the folder that stands for a name in a listing of `prefix`: the name up to its first `/` after the prefix.

    None: the name has no further `/`.
    """
    end = name.find(DELIMITER, len(prefix))
    return None if end < 0 else name[: end + 1]


def after_name(name: str) -> str:
    """Return the position behind a name, in front of every name that it begins."""
    return name + FIRST_CHARACTER


def after_folder(folder: str) -> str:
    """Return the position behind all names of a folder, which ends with `/`. A name may be equal to it."""
    return folder[:-1] + AFTER_DELIMITER


def newest_first(at: int) -> str:
    """Return 13 digits that fall as time (epoch milliseconds) passes: they sort the newest first."""
    return f"{_MAX_EPOCH_MS - at:013}"


def deleted_file_position(name: str, upload_id: str, deleted_at: int) -> str:
    """Return where a deleted file is in the order of deleted files: by name, then the last deleted first.

    The name is followed by a character that no name contains, by 13 digits that fall as time passes, and by the end of
    the upload id, which distinguishes files of one name that are deleted within a millisecond.
    """
    return f"{name}{FIRST_CHARACTER}{newest_first(deleted_at)}{upload_id[-6:]}"


def after_deleted_file(name: str, upload_id: str, deleted_at: int) -> str:
    """Return the position behind a deleted file."""
    return deleted_file_position(name, upload_id, deleted_at) + FIRST_CHARACTER


def encode_cursor(listing: tuple[str, ...], position: str) -> str:
    """Return the cursor of a listing (what is listed, in which namespace, by which query) at a position."""
    return base64.urlsafe_b64encode(_digest(listing) + position.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, listing: tuple[str, ...], prefix: str, *, max_suffix_bytes: int = 1) -> str:
    """Return the position of a cursor; without one, the beginning, which is the prefix.

    Args:
        cursor: what the client sent.
        listing: as for `encode_cursor`; a cursor of another listing is rejected.
        prefix: what every name of the listing begins with.
        max_suffix_bytes: how much longer than a name the position may be.

    Raises:
        InvalidField: the cursor is malformed, or belongs to another namespace or query.
    """
    if cursor is None:
        return prefix
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise _invalid_cursor()
    try:
        encoded = cursor.encode("ascii")
        packed = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        position = packed[_DIGEST_BYTES:].decode()
    except (ValueError, binascii.Error) as error:
        raise _invalid_cursor() from error
    is_canonical = base64.urlsafe_b64encode(packed).rstrip(b"=") == encoded
    if not is_canonical or packed[:_DIGEST_BYTES] != _digest(listing) or not position.startswith(prefix):
        raise _invalid_cursor()
    if len(packed) - _DIGEST_BYTES > MAX_FILENAME_BYTES + max_suffix_bytes:
        raise _invalid_cursor()
    return position


def _digest(listing: tuple[str, ...]) -> bytes:
    """Return what binds a cursor to its listing.

    It is no signature: a position gives access to nothing, because the namespace comes from the token.
    """
    return hashlib.sha256(json.dumps(listing).encode()).digest()[:_DIGEST_BYTES]


def _invalid_cursor() -> InvalidField:
    return InvalidField.for_member("cursor", "is not a cursor of this listing; omit it to start at the first page")
