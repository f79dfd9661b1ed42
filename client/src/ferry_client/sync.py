"""Compare a local folder with a prefix of the service, and return the steps that make one like the other.

Files differ if their size or CRC32C does; times are not compared. Two files can share a CRC32C, so a file counts as
unchanged only if its content has the ETag, too: by the local cache, or by the MD5 that the ETag contains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ferry_client.client import Ferry
from ferry_client.errors import FerryError, LocalFileError, SourceChangedError, UsageError
from ferry_client.etags import is_md5
from ferry_client.file_cache import FileCache, FileIdentity
from ferry_client.folder_walk import SkippedPaths, WalkRules, walk
from ferry_client.local_files import LocalFile, LocalTargets, disk_key
from ferry_client.models import FileRecord
from ferry_client.part_file import is_part_file


class SyncAction(StrEnum):
    """What is to be done with a file."""

    UPLOAD = "upload"
    """Send it: it is new or differs."""
    DOWNLOAD = "download"
    """Fetch it: it is new or differs."""
    MOVE = "move"
    """Rename it on the service: the local file was renamed."""
    DELETE = "delete"
    """Delete it where it has no counterpart."""
    REJECT = "reject"
    """Do nothing: it cannot be read, named or written."""


@dataclass(frozen=True, slots=True)
class SyncStep:
    """A difference, and what to do about it."""

    action: SyncAction
    """What to do."""
    name: str
    """The file on the service; the new name of a move."""
    path: Path | None = None
    """The local file."""
    size: int = 0
    """Bytes to transfer."""
    record: FileRecord | None = None
    """The file on the service, where there is one; of a move, under the old name."""
    local_file: LocalFile | None = None
    """The local file to send."""
    reason: str = ""
    """Why it is rejected."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What is compared, and what is done about it."""

    include: Sequence[str] = ()
    """Patterns of files to consider; empty: all."""
    exclude: Sequence[str] = ()
    """Patterns of files to leave out, here and there."""
    delete: bool = False
    """Whether files without a counterpart are deleted."""
    symlinks: str = "skip"
    """What is sent of symbolic links: `skip`, `follow` or `keep`."""
    preserve: bool = False
    """Whether a received file that stands for a symbolic link is compared as one."""


def plan_upload(
    ferry: Ferry,
    cache: FileCache,
    folder: Path,
    prefix: str,
    options: SyncOptions = SyncOptions(),
    *,
    skipped: SkippedPaths | None = None,
) -> list[SyncStep]:
    """Return what makes the prefix like the folder. What cannot be read or named is a `REJECT` step.

    Args:
        ferry: the service.
        cache: checksums of local files.
        folder: the local folder.
        prefix: the prefix; it is empty or ends with `/`.
        options: what is compared.
        skipped: gets what is not sent without being a problem.
    """
    remote = {record.name: record for record in ferry.list(prefix)}
    problems: dict[str, str] = {}
    skipped = skipped or SkippedPaths()
    rules = WalkRules(options.include, options.exclude, options.symlinks)
    walked = walk(folder, prefix, rules, on_problem=problems.__setitem__, skipped=skipped)
    local = {file.name: file for file in walked}
    movable = {name: record for name, record in remote.items() if name not in local}
    steps: list[SyncStep] = []
    for file in local.values():
        try:
            step = _upload_step(cache, file, remote.get(file.name), movable)
        except LocalFileError as error:
            problems[file.name] = str(error)
        else:
            steps += [step] if step is not None else []
    steps[:0] = [SyncStep(SyncAction.REJECT, path, reason=text) for path, text in problems.items()]
    if options.delete and not problems:  # What could not be read may be the counterpart.
        steps += [
            SyncStep(SyncAction.DELETE, name, record=record)
            for name, record in movable.items()
            if rules.is_chosen(name.removeprefix(prefix)) and not skipped.covers(name)
        ]
    return steps


def _upload_step(
    cache: FileCache, file: LocalFile, record: FileRecord | None, movable: dict[str, FileRecord]
) -> SyncStep | None:
    """Return what is to be done with a local file; None if the service has it. A move takes its file of `movable`.

    Raises:
        LocalFileError: the file cannot be read.
    """
    renamed = None
    try:
        if record is not None and _is_sent(cache, file, record):
            return None
        if record is None and file.symlink_target is None:
            renamed = _find_renamed(cache, file, movable)
    except SourceChangedError:  # It is sent as it is then.
        renamed = None
    if renamed is None:
        return SyncStep(SyncAction.UPLOAD, file.name, file.path, file.size, record, file)
    del movable[renamed.name]
    return SyncStep(SyncAction.MOVE, file.name, file.path, record=renamed, local_file=file)


def plan_download(
    ferry: Ferry,
    cache: FileCache,
    prefix: str,
    folder: Path,
    options: SyncOptions = SyncOptions(),
) -> list[SyncStep]:
    """Return what makes the folder like the prefix. The arguments are those of `plan_upload`."""
    targets = LocalTargets(folder, replace_links=options.preserve)
    rules = WalkRules(options.include, options.exclude)
    steps: list[SyncStep] = []
    expected: dict[str, Path] = {}
    has_problem = False
    for record in ferry.list(prefix):
        relative = record.name.removeprefix(prefix)
        if not rules.is_chosen(relative):
            continue
        try:
            path = targets.path_for(relative)
            is_received = _is_received(cache, path, record, preserve=options.preserve)
        except (UsageError, OSError) as error:
            text = str(error) if isinstance(error, UsageError) else f"{error.filename} cannot be read: {error.strerror}"
            steps.append(SyncStep(SyncAction.REJECT, record.name, reason=text))
            has_problem = True
            continue
        expected[disk_key(relative)] = path
        if not is_received:
            steps.append(SyncStep(SyncAction.DOWNLOAD, record.name, path, record.size, record))
    if options.delete and not has_problem:  # What is rejected may be there from before.
        steps += _local_deletions(folder, expected, rules)
    return steps


def _local_deletions(folder: Path, expected: Mapping[str, Path], rules: WalkRules) -> list[SyncStep]:
    """Return the deletions of the local files that are not `expected`.

    If a file cannot be read, return the rejections of such files alone.
    """
    if not folder.is_dir():
        return []
    problems: dict[str, str] = {}
    steps = [
        SyncStep(SyncAction.DELETE, file.name, file.path)
        for file in walk(folder, "", rules, on_problem=problems.__setitem__)
        if not _is_same_file(file.path, expected.get(disk_key(file.name))) and not is_part_file(file.path.name)
    ]
    return [SyncStep(SyncAction.REJECT, path, reason=text) for path, text in problems.items()] or steps


def _is_same_file(path: Path, other: Path | None) -> bool:
    """Return whether two paths lead to one file: a disk may not distinguish letter case or Unicode forms."""
    if other is None or path == other:
        return other is not None
    try:
        return path.samefile(other)
    except OSError:
        return False


def change_service(ferry: Ferry, cache: FileCache, step: SyncStep) -> None:
    """Move or delete a file on the service, if it still is the one that was compared.

    Raises:
        ConflictError: the file was replaced meanwhile, or the new name is taken.
        NotFoundError: the file is gone.
    """
    if step.action is SyncAction.MOVE:
        assert step.record is not None
        assert step.path is not None
        moved = ferry.move(step.record.name, step.name, etag=step.record.etag)
        cache.forget_synced(step.record.name)
        cache.record_synced(step.name, FileIdentity.of(step.path), moved.etag)
    elif step.action is SyncAction.DELETE:
        assert step.record is not None
        ferry.delete(step.name, etag=step.record.etag)
        cache.forget_synced(step.name)
    else:
        raise FerryError(f"{step.action} is no step on the service.")


def _is_sent(cache: FileCache, file: LocalFile, record: FileRecord) -> bool:
    """Return whether the service has a local file as it is now, and remember that."""
    if file.symlink_target is not None:
        return record.metadata.get("symlink") == file.symlink_target
    if "symlink" in record.metadata or not _has_same_content(cache, file.path, record):
        return False
    cache.record_synced(record.name, FileIdentity.of(file.path), record.etag)
    return True


def _is_received(cache: FileCache, path: Path, record: FileRecord, *, preserve: bool) -> bool:
    """Return whether a path is as a record says; False also for a file that cannot be read. Raises `OSError`."""
    target = record.metadata.get("symlink") if preserve else None
    if path.is_symlink() or target is not None:
        return path.is_symlink() and str(path.readlink()) == target
    try:
        return path.is_file() and _has_same_content(cache, path, record)
    except (LocalFileError, SourceChangedError):
        return False


def _has_same_content(cache: FileCache, path: Path, record: FileRecord) -> bool:
    """Return whether size, CRC32C and ETag of a local file are those of a record."""
    if FileIdentity.of(path).size != record.size or record.crc32c is None:
        return False
    return cache.crc32c(path) == record.crc32c and cache.has_content(path, record.etag)


def _find_renamed(cache: FileCache, file: LocalFile, movable: Mapping[str, FileRecord]) -> FileRecord | None:
    """Return the file on the service that the same local file became under an earlier name, if it is still that one.

    A new file can have the inode, size and time of one that is gone, so the content is compared, too.
    """
    for name, etag in cache.earlier_names(FileIdentity.of(file.path)):
        record = movable.get(name)
        if record is not None and record.etag == etag and cache.crc32c(file.path) == record.crc32c:
            return record if not is_md5(etag) or cache.has_content(file.path, etag) else None
    return None
