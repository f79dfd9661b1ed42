"""Listings of a namespace's files and open uploads, page by page, ordered by the UTF-8 bytes of the name."""

from __future__ import annotations

from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws.dynamo import Table
from ferry.aws.expressions import Row
from ferry.model.files import File
from ferry.model.uploads import CurrentUpload
from ferry.ports.types import Page


def list_files(table: Table, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
    listing = ("files", ns, prefix)
    after_name = _name_from_cursor(cursor, listing, prefix)
    if len(prefix.encode()) > cursors.MAX_KEY_TEXT_BYTES:
        return Page([])
    # One row more than the page shows whether another page follows.
    found, next_key = _query_names(
        table,
        ns,
        rows.FILE_PREFIX + prefix,
        after=None if after_name is None else rows.FILE_PREFIX + after_name,
        limit=limit + 1,
    )
    files = [rows.file_from_row(row) for row in found[:limit]]
    has_more = len(found) > limit or next_key is not None
    return Page(files, cursors.encode(listing, [files[-1].name.removeprefix(prefix)]) if has_more else None)


def list_open_uploads(table: Table, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
    """Return the uploads in progress among the next `limit` current uploads."""
    listing = _open_uploads_listing(ns)
    after_name = _name_from_cursor(cursor, listing)
    found, next_key = _query_names(
        table,
        ns,
        rows.CURRENT_UPLOAD_PREFIX,
        after=None if after_name is None else rows.CURRENT_UPLOAD_PREFIX + after_name,
        limit=limit,
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


def _query_names(
    table: Table, ns: str, prefix: str, *, after: str | None, limit: int, filter_expression: str = ""
) -> tuple[list[Row], Row | None]:
    """Return rows whose sort key has the prefix and comes after `after`, and the key to continue from."""
    pk = rows.names_pk(ns)
    return table.query(
        "#pk = :pk AND begins_with(#sk, :prefix)",
        {"pk": pk, "prefix": prefix},
        limit=limit,
        start_key=None if after is None else {"pk": pk, "sk": after},
        filter_expression=filter_expression,
    )


def _name_from_cursor(cursor: str | None, listing: tuple[str, ...], prefix: str = "") -> str | None:
    """Return the last name of the previous page; None without a cursor.

    The cursor has the prefix once, as part of its listing: with the longest prefix and name it still fits a request.
    """
    if cursor is None:
        return None
    (rest,) = cursors.decode(cursor, listing, "s")
    name = f"{prefix}{rest}"
    if not name or len(name.encode()) > cursors.MAX_KEY_TEXT_BYTES:
        raise cursors.invalid_cursor()
    return name
