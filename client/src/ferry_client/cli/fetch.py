"""Fetch one file, with what `--preserve` keeps. `ferry get` and `ferry sync` share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ferry_client.client import Ferry
from ferry_client.errors import LocalFileError
from ferry_client.local_files import restore_preserved, restore_symlink
from ferry_client.models import DownloadResult, FileRecord, TransferProgress
from ferry_client.part_file import make_parents


def fetch(
    ferry: Ferry,
    record: FileRecord,
    path: Path,
    folder: Path,
    *,
    preserve: bool,
    on_progress: Callable[[TransferProgress], None],
    on_note: Callable[[str], None],
) -> DownloadResult:
    """Fetch a file to a path, or make the symbolic link that it stands for.

    Args:
        ferry: the service.
        record: the file.
        path: where it appears.
        folder: a link that leads outside of it is not made.
        preserve: whether modification time, mode and links are restored.
        on_progress: called with the bytes on the disk.
        on_note: called with what people should know.

    Raises:
        LocalFileError: the path cannot be written, or its link leads outside the folder.
        FerryError: as `Ferry.download` raises it.
    """
    make_parents(path)
    target = record.metadata.get("symlink")
    if preserve and target is not None:
        restore_symlink(path, target, folder)
        return DownloadResult(record, 0, 0)
    if path.is_symlink():
        raise LocalFileError(f"{path} is a symbolic link here. Remove it, or fetch to another folder.")
    if path.is_dir():
        raise LocalFileError(f"{path} is a folder here. Remove it, or fetch to another place.")
    result = ferry.download(record.name, path, file=record, on_progress=on_progress, on_note=on_note)
    if preserve:
        restore_preserved(path, record.metadata)
    return result
