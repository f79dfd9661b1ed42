"""Local files and folders: which ones are sent under which names, and where received ones may be written."""

from __future__ import annotations

import hashlib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

from ferry_client.errors import LocalFileError, UsageError

_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


OnProblem = Callable[[str, str], None]
"""Receives a path that cannot be sent, and why."""


class LeftOut:
    """What a walk leaves out although nothing excludes it."""

    _ADVICE: Mapping[str, str] = {
        "symbolic link": "--symlinks follow sends what it leads to, --symlinks keep the link itself.",
        "symbolic link to nothing": "--symlinks keep sends the link itself.",
        "pipe, socket or device": "Only files are sent.",
    }

    def __init__(self) -> None:
        self._paths: dict[str, list[str]] = {kind: [] for kind in self._ADVICE}
        self._names: set[str] = set()

    def add(self, path: Path, name: str) -> None:
        """Record a path that is neither a file nor a folder, or a symbolic link that is not followed.

        Args:
            path: the path.
            name: the name that its file would have.
        """
        self._names.add(name)
        kind = "pipe, socket or device"
        if path.is_symlink():
            kind = "symbolic link" if path.exists() else "symbolic link to nothing"
        self._paths[kind].append(printable(str(path)))

    def concerns(self, name: str) -> bool:
        """Return whether a name is that of a path that is left out, or lies below it."""
        segments = name.split("/")
        return any("/".join(segments[:end]) in self._names for end in range(1, len(segments) + 1))

    def describe(self) -> Iterator[str]:
        """Yield a sentence for people about each kind."""
        for kind, paths in self._paths.items():
            if paths:
                others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                yield f"Left out: {paths[0]}{others} ({kind}). {self._ADVICE[kind]}"


def walk(
    folder: Path,
    prefix: str,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    symlinks: str = "skip",
    on_problem: OnProblem | None = None,
    left_out: LeftOut | None = None,
) -> Iterator[LocalFile]:
    """Yield the files below a folder: those of a folder in order, then those of the folders in it.

    Args:
        folder: the folder.
        prefix: what precedes each path below the folder, in the files' names.
        include: patterns of the paths below the folder, as `is_chosen` compares them; empty takes all.
        exclude: patterns of what is left out.
        symlinks: `skip`, `follow` or `keep`. A folder that contains itself by a link is entered once.
        on_problem: called with what cannot be read or has no valid name, which is left out; None raises.
        left_out: gets what is not sent without being a problem.

    Raises:
        LocalFileError: without `on_problem`, a folder cannot be read, or a file has no valid name.
    """

    def report(path: str, text: str) -> None:
        if on_problem is None:
            raise LocalFileError(f"{printable(path)} {text}.")
        on_problem(printable(path), text)

    def on_error(error: OSError) -> None:
        report(str(error.filename), f"cannot be read: {error.strerror}")

    names_taken: set[str] = set()
    ancestors: dict[str, frozenset[tuple[int, int]]] = {}
    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=symlinks == "follow"):
        if symlinks == "follow":
            _leave_out_circles(parent, folders, ancestors)
        folders[:] = sorted(_entered(Path(parent).relative_to(folder), folders, exclude))
        links = [name for name in folders if symlinks != "follow" and (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if not is_chosen(relative, include, exclude):
                continue
            file = _local_file(path, unicodedata.normalize("NFC", prefix + relative), symlinks, report, left_out)
            if file is None:
                continue
            if file.name in names_taken:
                report(str(path), f"would get the name {file.name}, which another file gets. Rename it")
                continue
            names_taken.add(file.name)
            yield file


def _leave_out_circles(parent: str, folders: list[str], ancestors: dict[str, frozenset[tuple[int, int]]]) -> None:
    """Remove the folders that are `parent` itself or lie above it."""
    above = ancestors.pop(parent, frozenset()) | {_identity(parent)}
    for name in list(folders):
        path = os.path.join(parent, name)  # noqa: PTH118 - as os.walk joins them
        if _identity(path) in above:
            folders.remove(name)
        else:
            ancestors[path] = above


def _entered(parent: Path, names: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """Yield the folders that are not left out with all that is in them."""
    for name in names:
        relative = (parent / name).as_posix()
        folder_patterns = [pattern.removesuffix("/") for pattern in exclude]
        if not any(fnmatch(text, pattern) for text in (relative, name) for pattern in folder_patterns):
            yield name


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - of a path that os.walk made
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


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


def is_chosen(relative: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether the patterns choose a path below the folder.

    A pattern matches the path of a file, its name, or a folder that it is in; with `/` at its end, folders alone.
    """
    if not include and not exclude:
        return True
    segments = relative.split("/")
    folders = {text for end in range(1, len(segments)) for text in ("/".join(segments[:end]), segments[end - 1])}

    def matches(patterns: Sequence[str]) -> bool:
        return any(
            any(fnmatch(folder, pattern.removesuffix("/")) for folder in folders)
            or fnmatch(relative, pattern)
            or fnmatch(segments[-1], pattern)
            for pattern in patterns
        )

    return (not include or matches(include)) and not matches(exclude)


def _local_file(path: Path, name: str, symlinks: str, report: OnProblem, left_out: LeftOut | None) -> LocalFile | None:
    if not is_unicode(name):
        report(str(path), "has a name that is not UTF-8. Rename it")
        return None
    try:
        if path.is_symlink() and symlinks == "keep":
            target = str(path.readlink())
            if is_unicode(target):
                return LocalFile(path, name, 0, symlink_target=target)
            report(str(path), "leads to a name that is not UTF-8. Rename that")
            return None
        if path.is_file() and (symlinks == "follow" or not path.is_symlink()):
            return LocalFile(path, name, path.stat().st_size)
        if left_out is not None:
            left_out.add(path, name)
    except OSError as error:
        report(str(path), f"cannot be read: {error.strerror}")
    return None


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
    temporary = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.ferry-link")
    try:
        if path.is_symlink() and str(path.readlink()) == target:
            return
        _delete_link(temporary)  # A kill may have left it.
        temporary.symlink_to(target)
        temporary.replace(path)
    except OSError as error:
        _delete_link(temporary)
        raise LocalFileError(f"{path} cannot be made a link: {error.strerror}.") from error


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
    """Where the files below a prefix are written. Never outside the folder, never two names to one place."""

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
