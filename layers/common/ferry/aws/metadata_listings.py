"""Listings of a namespace's open uploads, page by page.

Sequential uploads come first, then those that `start` began; each kind is ordered by the UTF-8 bytes of the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws.file_listings import last_sort_key
from ferry.model.uploads import CurrentUpload
from ferry.ports.types import Page

if TYPE_CHECKING:
    from ferry.aws.dynamo import Table
    from ferry.aws.expressions import Row

_Position = tuple[str, str]
"""Sort key and upload id of the last item: the listing continues behind it."""

_AFTER_EVERY_ID = "~"
"""An id behind every upload id, for a position behind a whole row."""

_BEGINNING: _Position = (rows.SEQUENTIAL_PREFIX, "")


def list_open_uploads(table: Table, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
    """Return the uploads in progress among the next `limit` rows, at most `limit` uploads. One query.

    No other rows lie between those of the two kinds. The query begins with the row of the position, which may have
    further uploads.
    """
    listing = _open_uploads_listing(ns)
    position = _position_from_cursor(cursor, listing)
    found, next_key = table.query(
        "#pk = :pk AND #sk BETWEEN :first AND :last",
        {"pk": rows.names_pk(ns), "first": position[0], "last": last_sort_key(rows.CURRENT_UPLOAD_PREFIX)},
        limit=limit + 1,
        filter_expression="attribute_exists(#in_progress) OR attribute_exists(#upload_ids)",
    )
    uploads = [upload for row in found for upload in _uploads_from_row(row) if _position_of(upload) > position]
    if len(uploads) > limit:
        return Page(uploads[:limit], _encode(listing, _position_of(uploads[limit - 1])))
    return Page(uploads, _encode(listing, (next_key["sk"], _AFTER_EVERY_ID)) if next_key else None)


def cursor_after(current_upload: CurrentUpload) -> str:
    """Return the cursor of `list_open_uploads` that continues after an item."""
    return _encode(_open_uploads_listing(current_upload.ns), _position_of(current_upload))


def _uploads_from_row(row: Row) -> list[CurrentUpload]:
    """Return the uploads that a row names, by id."""
    if not row["sk"].startswith(rows.SEQUENTIAL_PREFIX):
        return [rows.current_upload_from_row(row)]
    ns, name = row["pk"].removeprefix(rows.NAMESPACE_PREFIX), row["sk"].removeprefix(rows.SEQUENTIAL_PREFIX)
    return [
        CurrentUpload(ns, name, upload_id, in_progress=True, is_sequential=True)
        for upload_id in sorted(row["upload_ids"])
    ]


def _position_of(current_upload: CurrentUpload) -> _Position:
    prefix = rows.SEQUENTIAL_PREFIX if current_upload.is_sequential else rows.CURRENT_UPLOAD_PREFIX
    return prefix + current_upload.name, current_upload.upload_id if current_upload.is_sequential else _AFTER_EVERY_ID


def _open_uploads_listing(ns: str) -> tuple[str, str]:
    return "open_uploads", ns


def _encode(listing: tuple[str, ...], position: _Position) -> str:
    prefix_length = len(rows.CURRENT_UPLOAD_PREFIX)
    return cursors.encode(listing, [position[0][:prefix_length], position[0][prefix_length:], position[1]])


def _position_from_cursor(cursor: str | None, listing: tuple[str, ...]) -> _Position:
    """Return where the previous page ended; the beginning without a cursor."""
    if cursor is None:
        return _BEGINNING
    prefix, name, upload_id = map(str, cursors.decode(cursor, listing, "sss"))
    if prefix not in (rows.SEQUENTIAL_PREFIX, rows.CURRENT_UPLOAD_PREFIX) or not name or not upload_id:
        raise cursors.invalid_cursor()
    return prefix + name, upload_id
