"""The file that `ferry doctor` sends. It is deleted at the end; what a kill leaves is deleted by the next run."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ferry_client.client import Ferry
from ferry_client.errors import FerryError, LocalFileError
from ferry_client.file_locks import open_if_unused
from ferry_client.part_file import open_part

_NAME_PREFIX = "ferry-doctor-"
"""Begins the names of the files that are sent, and those of their notes."""

DIRECT_SUFFIX = "-2"
"""Ends the name of the upload that goes straight to S3 and is cancelled."""


@contextmanager
def probe_file(ferry: Ferry, folder: Path) -> Iterator[str]:
    """Yield a name for the file that is sent, and delete that file at the end.

    A note in the state folder, locked while this process runs, has the name until the file is deleted.

    Args:
        ferry: the service.
        folder: the state folder. If it cannot be written, there is no note.
    """
    notes = folder / "doctor-files"
    _delete_leftovers(ferry, notes)
    name = f"{_NAME_PREFIX}{secrets.token_hex(8)}"
    descriptor = _write_note(ferry, notes / name)
    is_deleted = False
    try:
        yield name
    finally:  # also after Ctrl-C
        with suppress(FerryError):
            _delete_from_service(ferry, name)
            is_deleted = True
        if descriptor is not None:
            os.close(descriptor)
        if is_deleted:
            with suppress(OSError):
                (notes / name).unlink(missing_ok=True)


def _write_note(ferry: Ferry, path: Path) -> int | None:
    """Write the note of a file, and return its descriptor; None if it cannot be written."""
    with suppress(OSError, LocalFileError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = open_part(path)
        with suppress(OSError):  # on a full disk
            os.write(descriptor, json.dumps(_owner(ferry)).encode())
        return descriptor
    return None


def _delete_leftovers(ferry: Ferry, notes: Path) -> None:
    """Delete the files of runs that were killed, or that could not delete them."""
    with suppress(OSError):
        for note in list(notes.glob(f"{_NAME_PREFIX}*")):
            with suppress(OSError, FerryError):
                _delete_leftover(ferry, note)


def _delete_leftover(ferry: Ferry, note: Path) -> None:
    """Delete a file that a note names, unless its doctor still runs. Raises `OSError`, `FerryError`."""
    descriptor = open_if_unused(note)
    if descriptor is None:
        return
    try:
        text = os.read(descriptor, 4096)
        is_own = text == json.dumps(_owner(ferry)).encode()
        if is_own:
            _delete_from_service(ferry, note.name)
    finally:
        os.close(descriptor)
    if is_own or not text:
        note.unlink()


def _owner(ferry: Ferry) -> dict[str, str]:
    """Return service and client: another client sees other files."""
    return {"url": ferry.api.url, "client_id": ferry.api.client_id}


def _delete_from_service(ferry: Ferry, name: str) -> None:
    """Delete a file, with uploads of it that are in progress. Raises `FerryError`."""
    for route, target in (("/upload", name), ("/upload", f"{name}{DIRECT_SUFFIX}"), ("/files", name)):
        path = ferry.api.file_path(route, target)
        ferry.api.request("DELETE", path, accept=(204, 404, 409, 410), max_attempts=2)
