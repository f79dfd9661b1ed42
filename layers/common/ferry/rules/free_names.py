"""Names for a file whose own name is taken: `name (2).ext` and so on, for `if_exists: rename`."""

from __future__ import annotations

from ferry.errors import InvalidFilename
from ferry.rules.filenames import MAX_FILENAME_BYTES, MAX_SEGMENT_BYTES

FIRST_NUMBER = 2
"""The number of the first name that is tried after the name itself."""

LAST_NUMBER = 20
"""The number of the last one. Behind it come random characters, so that one read suffices to choose."""

RANDOM_CHARACTERS = 8
"""Random characters in the brackets of the name that is used when all numbers are taken."""


def numbered_names(name: str) -> list[str]:
    """Return the names `name (2).ext` to `name (20).ext`, in the order in which they are tried.

    Raises:
        InvalidFilename: the extension leaves no room for a number.
    """
    return [name_with_mark(name, str(number)) for number in range(FIRST_NUMBER, LAST_NUMBER + 1)]


def name_with_mark(name: str, mark: str) -> str:
    """Return a valid name with ` (mark)` between the stem and the extension of its last segment.

    The extension is what follows the last dot of the last segment, unless the dot begins it. The stem, which is
    what stands before it, is cut if the segment would exceed 255 bytes, or the name 1,000.

    Raises:
        InvalidFilename: nothing of the stem would be left.
    """
    folder, slash, segment = name.rpartition("/")
    stem, dot, extension = segment.rpartition(".")
    if not stem:
        stem, dot, extension = segment, "", ""
    ending = f" ({mark}){dot}{extension}"
    room = min(MAX_SEGMENT_BYTES, MAX_FILENAME_BYTES - len(f"{folder}{slash}".encode())) - len(ending.encode())
    short_stem = stem.encode()[: max(room, 0)].decode(errors="ignore")
    if not short_stem:
        raise InvalidFilename(
            f"The name is taken, and too long for a number in brackets, such as {ending[:12]!r}. Send a shorter name."
        )
    return f"{folder}{slash}{short_stem}{ending}"
