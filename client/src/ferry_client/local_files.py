"""Local files and folders: which ones are sent under which names, and where received ones may be written."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from ferry_client.errors import LocalFileError, UsageError

_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)


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
    data: bytes | None = None
    """The content, where it is no file on disk."""


def walk(
    folder: Path, prefix: str, include: Sequence[str] = (), exclude: Sequence[str] = (), symlinks: str = "skip"
) -> Iterator[LocalFile]:
    """Yield the files below a folder, ordered by name.

    Args:
        folder: the folder.
        prefix: what precedes each path below the folder, in the files' names.
        include: patterns of the paths below the folder or of their last parts; empty takes all.
        exclude: patterns of what is left out.
        symlinks: `skip`, `follow` or `keep`.

    Raises:
        LocalFileError: a folder cannot be read.
    """

    def on_error(error: OSError) -> None:
        raise LocalFileError(f"{error.filename} cannot be read: {error.strerror}.")

    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=symlinks == "follow"):
        folders.sort()
        links = [name for name in folders if symlinks == "keep" and (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if not is_chosen(relative, include, exclude):
                continue
            file = _local_file(path, unicodedata.normalize("NFC", prefix + relative), symlinks)
            if file is not None:
                yield file


def is_chosen(relative: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether the patterns choose a path below the folder. A pattern matches the path or its last part."""
    last = relative.rpartition("/")[2]

    def matches(patterns: Sequence[str]) -> bool:
        return any(fnmatch(relative, pattern) or fnmatch(last, pattern) for pattern in patterns)

    return (not include or matches(include)) and not matches(exclude)


def _local_file(path: Path, name: str, symlinks: str) -> LocalFile | None:
    if path.is_symlink() and symlinks != "follow":
        return LocalFile(path, name, 0, symlink_target=str(path.readlink())) if symlinks == "keep" else None
    return LocalFile(path, name, path.stat().st_size) if path.is_file() else None


def preserved_metadata(file: LocalFile) -> dict[str, str]:
    """Return the metadata that keeps modification time, mode and symbolic link of a file."""
    status = file.path.lstat() if file.symlink_target is not None else file.path.stat()
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1_000_000, UTC)
    metadata = {"mtime": modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "mode": f"{status.st_mode & 0o7777:04o}"}
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
    except (ValueError, OSError):
        return


class LocalTargets:
    """Where the files below a prefix are written. Never outside the folder, never two names to one place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        key = _disk_key(relative)
        parents = ["/".join(segments[:end]) for end in range(1, len(segments))]
        for parent in parents:
            if _disk_key(parent) in self._taken:
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
        self._folders.update(map(_disk_key, parents))
        return path

    def _check_inside(self, path: Path) -> None:
        """Raise `UsageError` where a symbolic link on the way leads outside the folder."""
        folder = self._folder.resolve()
        if not path.parent.resolve().is_relative_to(folder):
            raise UsageError(f"a symbolic link leads outside {self._folder}. Remove it, or fetch to another folder.")
        if path.is_symlink():
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


def _disk_key(relative: str) -> str:
    return unicodedata.normalize("NFC", relative).casefold()
