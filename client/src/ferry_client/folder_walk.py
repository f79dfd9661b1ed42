"""Find the files below a folder: which ones are sent, and under which names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ferry_client.errors import LocalFileError
from ferry_client.local_files import LocalFile, is_unicode, printable

OnProblem = Callable[[str, str], None]
"""Receives a path that cannot be sent, and why."""


@dataclass(frozen=True, slots=True)
class WalkRules:
    """Which files are sent.

    A pattern matches the path of a file below the folder, its name, or a folder that it is in; with `/` at its end,
    folders alone.
    """

    include: Sequence[str] = ()
    """Patterns of the files to send; empty: all."""
    exclude: Sequence[str] = ()
    """Patterns of what is left out."""
    symlinks: str = "skip"
    """What is sent of symbolic links: `skip`, `follow` or `keep`."""

    def is_chosen(self, relative: str) -> bool:
        """Return whether the patterns choose a path below the folder."""
        if not self.include and not self.exclude:
            return True
        segments = relative.split("/")
        folders = {text for end in range(1, len(segments)) for text in ("/".join(segments[:end]), segments[end - 1])}

        def matches(pattern: str) -> bool:
            return (
                any(fnmatch(folder, pattern.removesuffix("/")) for folder in folders)
                or fnmatch(relative, pattern)
                or fnmatch(segments[-1], pattern)
            )

        return (not self.include or any(map(matches, self.include))) and not any(map(matches, self.exclude))

    def enters(self, relative: str) -> bool:
        """Return whether a folder is not left out with all that is in it."""
        texts = (relative, relative.rpartition("/")[2])
        return not any(fnmatch(text, pattern.removesuffix("/")) for text in texts for pattern in self.exclude)


class SkippedPaths:
    """What a walk leaves out although no pattern excludes it."""

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

    def covers(self, name: str) -> bool:
        """Return whether a name is that of a skipped path, or lies below it."""
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
    rules: WalkRules = WalkRules(),
    *,
    on_problem: OnProblem | None = None,
    skipped: SkippedPaths | None = None,
) -> Iterator[LocalFile]:
    """Yield the files below a folder: those of a folder in order, then those of the folders in it.

    A folder that contains itself by a link is entered once.

    Args:
        folder: the folder.
        prefix: what precedes each path below the folder, in the files' names.
        rules: which files are sent.
        on_problem: called with what cannot be read or has no valid name, which is left out; None raises.
        skipped: gets what is not sent without being a problem.

    Raises:
        LocalFileError: without `on_problem`, a folder cannot be read, or a file has no valid name.
    """
    return _Walk(folder, rules, on_problem, skipped or SkippedPaths()).files(prefix)


class _Walk:
    """One walk through a folder."""

    def __init__(self, folder: Path, rules: WalkRules, on_problem: OnProblem | None, skipped: SkippedPaths) -> None:
        self._folder = folder
        self._rules = rules
        self._on_problem = on_problem
        self._skipped = skipped

    def files(self, prefix: str) -> Iterator[LocalFile]:
        """Yield the files, each with a name of its own."""
        names: set[str] = set()
        for path in self._paths():
            relative = path.relative_to(self._folder).as_posix()
            if not self._rules.is_chosen(relative):
                continue
            file = self._local_file(path, unicodedata.normalize("NFC", prefix + relative))
            if file is None:
                continue
            if file.name in names:
                self._report(str(path), f"would get the name {file.name}, which another file gets. Rename it")
                continue
            names.add(file.name)
            yield file

    def _paths(self) -> Iterator[Path]:
        """Yield what is below the folder and is no folder that is entered."""
        follows = self._rules.symlinks == "follow"
        ancestors: dict[str, frozenset[tuple[int, int]]] = {}
        for parent, folders, names in os.walk(self._folder, onerror=self._report_error, followlinks=follows):
            if follows:
                _remove_circles(parent, folders, ancestors)
            relative = Path(parent).relative_to(self._folder)
            folders[:] = sorted(name for name in folders if self._rules.enters((relative / name).as_posix()))
            links = [name for name in folders if not follows and (Path(parent) / name).is_symlink()]
            yield from (Path(parent) / name for name in sorted([*names, *links]))

    def _local_file(self, path: Path, name: str) -> LocalFile | None:
        """Return what is sent of a path; None if it is skipped or was reported."""
        symlinks = self._rules.symlinks
        if not is_unicode(name):
            self._report(str(path), "has a name that is not UTF-8. Rename it")
            return None
        try:
            if path.is_symlink() and symlinks == "keep":
                target = str(path.readlink())
                if is_unicode(target):
                    return LocalFile(path, name, 0, symlink_target=target)
                self._report(str(path), "leads to a name that is not UTF-8. Rename that")
                return None
            if path.is_file() and (symlinks == "follow" or not path.is_symlink()):
                return LocalFile(path, name, path.stat().st_size)
            self._skipped.add(path, name)
        except OSError as error:
            self._report(str(path), f"cannot be read: {error.strerror}")
        return None

    def _report(self, path: str, text: str) -> None:
        """Report a path that cannot be sent. Raises `LocalFileError` without `on_problem`."""
        if self._on_problem is None:
            raise LocalFileError(f"{printable(path)} {text}.")
        self._on_problem(printable(path), text)

    def _report_error(self, error: OSError) -> None:
        self._report(str(error.filename), f"cannot be read: {error.strerror}")


def _remove_circles(parent: str, folders: list[str], ancestors: dict[str, frozenset[tuple[int, int]]]) -> None:
    """Remove the folders that are `parent` itself or lie above it."""
    above = ancestors.pop(parent, frozenset()) | {_identity(parent)}
    for name in list(folders):
        path = os.path.join(parent, name)  # noqa: PTH118 - as os.walk joins them
        if _identity(path) in above:
            folders.remove(name)
        else:
            ancestors[path] = above


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - of a path that os.walk made
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino
