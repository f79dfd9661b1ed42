"""The listing of open uploads in memory: sequential ones first, then those that `start` began, each by name."""

from __future__ import annotations

from dev.fakes.metadata_rows import Rows
from ferry.aws import cursors
from ferry.model.uploads import CurrentUpload

_BEGINNING = ("S#", "", "")


def open_uploads(rows: Rows, ns: str) -> list[CurrentUpload]:
    """Return the namespace's uploads in progress, in the order of the listing."""
    uploads = [upload for upload in rows.current_uploads.values() if upload.ns == ns and upload.in_progress]
    uploads += [
        CurrentUpload(ns, name, upload_id, in_progress=True, is_sequential=True)
        for (row_ns, name), upload_ids in rows.sequential_ids.items()
        if row_ns == ns
        for upload_id in upload_ids
    ]
    return sorted(uploads, key=position_of)


def position_of(current_upload: CurrentUpload) -> tuple[str, str, str]:
    """Return what an upload is ordered by."""
    if current_upload.is_sequential:
        return "S#", current_upload.name, current_upload.upload_id
    return "U#", current_upload.name, "~"


def position_from_cursor(cursor: str | None, ns: str) -> tuple[str, str, str]:
    """Return where the previous page ended; the beginning without a cursor."""
    if cursor is None:
        return _BEGINNING
    prefix, name, upload_id = map(str, cursors.decode(cursor, ("open_uploads", ns), "sss"))
    if prefix not in ("S#", "U#") or not name or not upload_id:
        raise cursors.invalid_cursor()
    return prefix, name, upload_id
