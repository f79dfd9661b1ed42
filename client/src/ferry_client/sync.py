"""Compare a local folder with a prefix of the service, and say what makes them alike.

Files differ when size or CRC32C do; times alone decide nothing. Two files can share a CRC32C, so a file is left alone
only if its content is that of the ETag, too: by the local cache, or by the MD5 that the ETag contains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ferry_client.client import Ferry
from ferry_client.errors import FerryError, UsageError
from ferry_client.etags import is_md5
from ferry_client.file_cache import FileCache, FileIdentity
from ferry_client.local_files import LeftOut, LocalFile, LocalTargets, is_chosen, walk
from ferry_client.models import FileRecord


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
    """Nothing: the disk cannot hold it."""


@dataclass(frozen=True, slots=True)
class SyncStep:
    """One difference."""

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


def plan_upload(
    ferry: Ferry,
    cache: FileCache,
    folder: Path,
    prefix: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    symlinks: str = "skip",
    delete: bool = False,
    left_out: LeftOut | None = None,
) -> list[SyncStep]:
    """Return what makes the prefix like the folder. What cannot be read or named is a `REJECT` step.

    Args:
        ferry: the service.
        cache: checksums of local files.
        folder: the local folder.
        prefix: the prefix; it is empty or ends with `/`.
        include: patterns of files to consider; empty: all.
        exclude: patterns of files to leave out, here and there.
        symlinks: `skip`, `follow` or `keep`.
        delete: whether files without a local counterpart are deleted.
        left_out: gets what is not sent without being a problem.

    Raises:
        LocalFileError: a local file cannot be read.
    """
    remote = {record.name: record for record in ferry.list(prefix)}
    problems: dict[str, str] = {}
    local = {
        file.name: file
        for file in walk(
            folder,
            prefix,
            include,
            exclude,
            symlinks=symlinks,
            on_problem=problems.__setitem__,
            left_out=left_out,
        )
    }
    movable = {name: record for name, record in remote.items() if name not in local}
    steps = [SyncStep(SyncAction.REJECT, path, reason=text) for path, text in problems.items()]
    for name, file in local.items():
        record = remote.get(name)
        if record is not None and _is_sent(cache, file, record):
            continue
        renamed = _find_renamed(cache, file, movable) if record is None and file.symlink_target is None else None
        if renamed is not None:
            del movable[renamed.name]
            steps.append(SyncStep(SyncAction.MOVE, name, file.path, record=renamed, local_file=file))
        else:
            steps.append(SyncStep(SyncAction.UPLOAD, name, file.path, file.size, record, file))
    if delete and not problems:  # What could not be read may be the counterpart.
        steps += [
            SyncStep(SyncAction.DELETE, name, record=record)
            for name, record in movable.items()
            if is_chosen(name.removeprefix(prefix), include, exclude)
        ]
    return steps


def plan_download(
    ferry: Ferry,
    cache: FileCache,
    prefix: str,
    folder: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    delete: bool = False,
    preserve: bool = False,
) -> list[SyncStep]:
    """Return what makes the folder like the prefix. The arguments are those of `plan_upload`.

    With `preserve`, a file that stands for a symbolic link is compared as one.
    """
    targets = LocalTargets(folder, replace_links=preserve)
    steps: list[SyncStep] = []
    wanted: set[Path] = set()
    for record in ferry.list(prefix):
        relative = record.name.removeprefix(prefix)
        if not is_chosen(relative, include, exclude):
            continue
        try:
            path = targets.path_for(relative)
        except UsageError as error:
            steps.append(SyncStep(SyncAction.REJECT, record.name, reason=str(error)))
            continue
        wanted.add(path)
        if not _is_received(cache, path, record, preserve=preserve):
            steps.append(SyncStep(SyncAction.DOWNLOAD, record.name, path, record.size, record))
    if delete:
        steps += [
            SyncStep(SyncAction.DELETE, file.name, file.path)
            for file in _walk_existing(folder, include, exclude)
            if file.path not in wanted and not file.path.name.endswith((".ferry-part", ".ferry-part.json"))
        ]
    return steps


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


def _walk_existing(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> Iterator[LocalFile]:
    return walk(folder, "", include, exclude) if folder.is_dir() else iter(())


def _is_sent(cache: FileCache, file: LocalFile, record: FileRecord) -> bool:
    """Return whether the service has a local file as it is now, and remember that."""
    if file.symlink_target is not None:
        return record.metadata.get("symlink") == file.symlink_target
    if "symlink" in record.metadata or not _is_alike(cache, file.path, record):
        return False
    cache.record_synced(record.name, FileIdentity.of(file.path), record.etag)
    return True


def _is_received(cache: FileCache, path: Path, record: FileRecord, *, preserve: bool) -> bool:
    target = record.metadata.get("symlink") if preserve else None
    if path.is_symlink() or target is not None:
        return path.is_symlink() and str(path.readlink()) == target
    return path.is_file() and _is_alike(cache, path, record)


def _is_alike(cache: FileCache, path: Path, record: FileRecord) -> bool:
    if path.stat().st_size != record.size or record.crc32c is None:
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
