"""Listings of a namespace's open uploads, page by page, ordered by the UTF-8 bytes of the name."""

from __future__ import annotations

from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws.dynamo import Table
from ferry.model.uploads import CurrentUpload
from ferry.ports.types import Page


def list_open_uploads(table: Table, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
    """Return the uploads in progress among the next `limit` current uploads."""
    listing = _open_uploads_listing(ns)
    after_name = _name_from_cursor(cursor, listing)
    pk = rows.names_pk(ns)
    found, next_key = table.query(
        "#pk = :pk AND begins_with(#sk, :prefix)",
        {"pk": pk, "prefix": rows.CURRENT_UPLOAD_PREFIX},
        limit=limit,
        start_key=None if after_name is None else {"pk": pk, "sk": rows.CURRENT_UPLOAD_PREFIX + after_name},
        filter_expression="attribute_exists(#in_progress)",
    )
    uploads = [rows.current_upload_from_row(row) for row in found]
    last_name = next_key["sk"].removeprefix(rows.CURRENT_UPLOAD_PREFIX) if next_key else None
    return Page(uploads, cursors.encode(listing, [last_name]) if last_name else None)


def cursor_after(current_upload: CurrentUpload) -> str:
    """Return the cursor of `list_open_uploads` that continues after an item."""
    return cursors.encode(_open_uploads_listing(current_upload.ns), [current_upload.name])


def _open_uploads_listing(ns: str) -> tuple[str, str]:
    return "open_uploads", ns


def _name_from_cursor(cursor: str | None, listing: tuple[str, ...]) -> str | None:
    """Return the last name of the previous page; None without a cursor."""
    if cursor is None:
        return None
    (value,) = cursors.decode(cursor, listing, "s")
    name = str(value)
    if not name or len(name.encode()) > cursors.MAX_KEY_TEXT_BYTES:
        raise cursors.invalid_cursor()
    return name
