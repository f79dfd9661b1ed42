"""The arguments of `ferry put`: what is sent, and which names the files get."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferry_client.cli.output import Output
from ferry_client.errors import UsageError
from ferry_client.folder_walk import SkippedPaths, WalkRules, walk
from ferry_client.local_files import LocalFile, is_unicode, printable

_ROOTS = (".", "./", "/")
"""Targets that mean no prefix."""

_MAX_SHOWN_SOURCES = 3
"""Sources that an error repeats in the line to type."""


def split_target(paths: Sequence[str], output: Output) -> tuple[list[str], str | None]:
    """Return the sources, and the name or prefix that they get; None: their own names.

    A last argument that ends with `/` is a prefix. Else the second of two arguments is a name. What is here decides
    nothing, so that a command means the same in every folder.

    Raises:
        UsageError: the arguments can mean two things. The error says what to type.
    """
    if len(paths) == 1:
        return _check_standard_input(list(paths), None)
    *sources, target = paths
    if target in _ROOTS:
        return _check_standard_input(sources, "")
    if not target.endswith("/"):
        _raise_if_unclear(sources, target, paths)
    if _is_other_file(sources[0], target):
        output.note(f"{sources[0]} is sent as {target}. To send both files: {_command(paths, '/')}")
    return _check_standard_input(sources, target)


def _raise_if_unclear(sources: Sequence[str], target: str, paths: Sequence[str]) -> None:
    """Raise `UsageError` if a target that does not end with `/` can mean two things."""
    if target == "-":
        raise UsageError(f"- is standard input, and the second argument is a name: {_command(sources, 'NAME')}")
    if len(sources) > 1:
        if Path(target).is_file() or not is_short(target):
            text = f"{_command(paths, 'PREFIX/')} sends them below a prefix, {_command(paths, '/')} below none"
        else:
            text = _command(sources, f"{target}/")
        raise UsageError(f"Several files need a prefix, which ends with /: {text}.")
    if sources == ["-"]:
        return
    if Path(sources[0]).is_dir():
        raise UsageError(
            f"{sources[0]} is a folder: its target must end with /, as in {_command(sources, f'{target}/')}"
        )
    if is_short(target) and Path(target).is_dir():
        raise UsageError(
            f"{target} is a folder here. To send below this prefix: {_command(sources, f'{target}/')}. "
            f"To send as a file of this name: {_command(['-'], target)} < {shlex.quote(sources[0])}"
        )


def is_short(name: str) -> bool:
    """Return whether a disk can be asked for a name: longer ones are errors there."""
    return all(len(segment.encode("utf-8", "surrogateescape")) <= 255 for segment in name.split("/"))


def _is_other_file(source: str, target: str) -> bool:
    if source == "-" or target.endswith("/") or not is_short(target):
        return False
    first, second = Path(source), Path(target)
    return first.is_file() and second.is_file() and not first.samefile(second)


def _check_standard_input(sources: list[str], target: str | None) -> tuple[list[str], str | None]:
    """Raise `UsageError` where standard input has no name, or is one of several sources."""
    if "-" not in sources:
        return sources, target
    if len(sources) > 1:
        raise UsageError("Standard input is sent alone: ferry put - NAME")
    if not target or target.endswith("/"):
        raise UsageError(f"Standard input needs a name: {_command(['-'], (target or '') + 'NAME')}")
    return sources, target


def _command(sources: Sequence[str], target: str) -> str:
    """Return a command line that can be typed."""
    names = [shlex.quote(printable(source)) for source in sources[:_MAX_SHOWN_SOURCES]]
    if len(sources) > _MAX_SHOWN_SOURCES:
        names[-1] = "..."
    return f"ferry put {' '.join(names)} {shlex.quote(target)}"


def expand(
    sources: Sequence[str],
    target: str | None,
    options: dict[str, Any],
    problems: list[tuple[str, str]],
    skipped: SkippedPaths,
) -> list[LocalFile]:
    """Return the files to send with their names.

    Args:
        sources: files and folders.
        target: as `split_target` returns it.
        options: of the command.
        problems: gets what cannot be sent, and why.
        skipped: gets what is not sent without being a problem.

    Raises:
        UsageError: a source is missing or no file, or two files would get one name.
    """
    is_prefix = not target or target.endswith("/")
    rules = WalkRules(options["include"], options["exclude"], options["symlinks"])
    files: list[LocalFile] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            base = "" if source.endswith("/.") or source == "." else f"{path.resolve().name}/"
            files += walk(
                path,
                f"{target or ''}{base}",
                rules,
                on_problem=lambda path, text: problems.append((path, text)),
                skipped=skipped,
            )
        else:
            name = f"{target or ''}{path.name}" if is_prefix else str(target)
            files.append(_single_file(source, name, options))
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"Two files would get the name {repeated}. Send them to folders of their own (PREFIX/).")
    return files


def _single_file(source: str, name: str, options: dict[str, Any]) -> LocalFile:
    """Return a file that the command line names. Raises `UsageError` for what is no file."""
    path, shown = Path(source), printable(source)
    name = unicodedata.normalize("NFC", name)
    if options["symlinks"] == "keep" and path.is_symlink():
        if not is_unicode(str(path.readlink())):
            raise UsageError(f"{shown} leads to a name that is not UTF-8. Rename that.")
        return LocalFile(path, name, 0, symlink_target=str(path.readlink()))
    if not path.exists():
        what = "is a symbolic link to nothing" if path.is_symlink() else "does not exist"
        raise UsageError(f"{shown} {what}.")
    if not path.is_file():
        raise UsageError(f"{shown} is no regular file. Send what it yields by a pipe: ferry put - NAME < {shown}")
    if source.endswith("/"):
        raise UsageError(f"{shown.rstrip('/')} is a file. Write it without the / at its end.")
    if not is_unicode(name):
        raise UsageError(f"The name of {shown} is not UTF-8. Give it another one: ferry put FILE NAME")
    return LocalFile(path, name, path.stat().st_size)
