"""Local files: what is kept of them beside their bytes, and where received ones may be written."""

from __future__ import annotations

import hashlib
import os
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ferry_client.errors import LocalFileError, UsageError

_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""From which `mtime` is counted."""

_MAX_LINK_ATTEMPTS = 3
"""How often a symbolic link is made that another process deletes meanwhile."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local file to send."""

    path: Path
    """Where it is."""
    name: str
    """The name that it gets."""
    size: int
    """Bytes."""
    symlink_target: str | None = None
    """The target, where the link itself is sent; None for a file."""
    is_standard_input: bool = False
    """Whether standard input is sent; `path` then means nothing."""


def printable(text: str) -> str:
    """Return a path as it can be written anywhere, also one that is not UTF-8."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def is_unicode(text: str) -> bool:
    """Return whether a path is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def preserved_metadata(file: LocalFile) -> dict[str, str]:
    """Return the metadata that keeps modification time, mode and symbolic link of a file.

    A time outside of the years 1 to 9999 is left out.

    Raises:
        LocalFileError: the file cannot be read.
    """
    try:
        status = file.path.lstat() if file.symlink_target is not None else file.path.stat()
    except OSError as error:
        raise LocalFileError(f"{file.path} cannot be read: {error.strerror}.") from error
    metadata = {"mode": f"{status.st_mode & 0o7777:04o}"}
    with suppress(OverflowError):
        modified = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
        metadata["mtime"] = modified.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if file.symlink_target is not None:
        metadata["symlink"] = file.symlink_target
    return metadata


def restore_preserved(path: Path, metadata: Mapping[str, str]) -> None:
    """Give a received file its modification time and mode. What cannot be read or set is left."""
    mode, mtime = metadata.get("mode"), metadata.get("mtime")
    try:
        if mode:
            path.chmod(int(mode, 8) & 0o777)
        if mtime:
            modified_us = round(datetime.fromisoformat(mtime).timestamp() * 1_000_000)
            os.utime(path, ns=(modified_us * 1000, modified_us * 1000))
    except (ValueError, OverflowError, OSError):
        return


def restore_symlink(path: Path, target: str, folder: Path) -> None:
    """Make a symbolic link, in one step over an earlier one.

    Raises:
        LocalFileError: it would lead outside the folder, or cannot be made.
    """
    if not is_inside(path.parent.joinpath(target), folder):
        raise LocalFileError(f"its link leads to {target}, outside {folder}. It is not made.")
    try:
        if not path.is_symlink() or str(path.readlink()) != target:
            _replace_by_link(path, target)
    except OSError as error:
        raise LocalFileError(f"{path} cannot be made a link: {error.strerror}.") from error


def _replace_by_link(path: Path, target: str) -> None:
    """Make a symbolic link under a hidden name, and give it its own. Raises `OSError`.

    The hidden name follows from the link's, so that the next run deletes what a kill left. Another process that makes
    the same link may do that, too: then the link is made again.
    """
    temporary = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.ferry-link")
    for attempts_left in reversed(range(_MAX_LINK_ATTEMPTS)):
        _delete_link(temporary)
        try:
            temporary.symlink_to(target)
            temporary.replace(path)
            return
        except (FileExistsError, FileNotFoundError):
            if not attempts_left:
                raise
        except OSError:
            _delete_link(temporary)
            raise


def _delete_link(path: Path) -> None:
    """Delete a symbolic link; leave what is none."""
    with suppress(OSError):
        if path.is_symlink():
            path.unlink()


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, with its symbolic links followed, lies below a folder; False for links in a circle."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # Python before 3.13 raises RuntimeError for a circle.
        return False


class LocalTargets:
    """Where the files below a prefix are written. No path is outside the folder, and no two names have one path."""

    def __init__(self, folder: Path, *, replace_links: bool = False) -> None:
        self._folder = folder
        self._replace_links = replace_links
        self._taken: dict[str, str] = {}
        """The names by the path that a disk may not distinguish: in one letter case and one Unicode form."""
        self._folders: set[str] = set()

    def path_for(self, relative: str) -> Path:
        """Return where a name is written.

        Raises:
            UsageError: the disk cannot hold the name, or holds another one in its place.
        """
        segments = relative.split("/")
        for segment in segments:
            _check_segment(segment)
        key = disk_key(relative)
        parents = ["/".join(segments[:end]) for end in range(1, len(segments))]
        for parent in parents:
            if disk_key(parent) in self._taken:
                raise UsageError(
                    f"{parent} is a file here, so {relative} cannot be written. Fetch it to another place."
                )
        if key in self._folders:
            raise UsageError(f"{relative} is a folder here, so the file cannot be written. Fetch it to another place.")
        if key in self._taken:
            raise UsageError(f"the disk may not distinguish it from {self._taken[key]}. Fetch it to another place.")
        path = self._folder.joinpath(*segments)
        self._check_inside(path)
        self._taken[key] = relative
        self._folders.update(map(disk_key, parents))
        return path

    def _check_inside(self, path: Path) -> None:
        """Raise `UsageError` where a symbolic link on the way leads outside the folder."""
        if not is_inside(path.parent, self._folder):
            raise UsageError(f"a symbolic link leads outside {self._folder}. Remove it, or fetch to another folder.")
        if path.is_symlink() and not self._replace_links:
            raise UsageError(f"{path} is a symbolic link. Remove it, or fetch to another folder.")


def _check_segment(segment: str) -> None:
    """Raise `UsageError` for a segment that cannot be a file's name on this disk."""
    if segment in ("", ".", "..") or "\0" in segment or len(segment.encode()) > 255:
        raise UsageError(f"the disk cannot hold the name {segment!r}.")
    if sys.platform == "win32" and (
        any(letter in '<>:"\\|?*' or ord(letter) < 32 for letter in segment)
        or segment.rstrip(". ") != segment
        or segment.partition(".")[0].lower() in _WINDOWS_RESERVED
    ):
        raise UsageError(f"Windows cannot hold the name {segment!r}.")


def disk_key(relative: str) -> str:
    """Return what is equal for names that a disk may not distinguish."""
    return unicodedata.normalize("NFC", relative).casefold()
