"""List the files that can be restored: by name, and within a name the last deleted first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.files.list import LISTING_BUDGET_MS, MAX_LISTING_BYTES, ListQuery
from ferry.model.files import DeletedFile
from ferry.rules.filenames import MAX_FILENAME_BYTES
from ferry.rules.listing import (
    FIRST_CHARACTER,
    MAX_DELETED_FILE_SUFFIX_BYTES,
    after_deleted_file,
    decode_cursor,
    encode_cursor,
)
from ferry.services import Services


@dataclass(slots=True)
class DeletedListing:
    """One page of files that can be restored."""

    files: list[DeletedFile] = field(default_factory=list)
    """The files."""
    cursor: str | None = None
    """Where the next page begins; None: this is the last one."""


def list_deleted_files(
    services: Services, ns: str, query: ListQuery, measure: Callable[[DeletedFile], int] = lambda _: 0
) -> DeletedListing:
    """Return one page. It is full unless it is the last, or its bytes or the time for it end it earlier.

    Raises:
        InvalidField: the cursor belongs to another namespace or query.
    """
    listing = ("deleted", ns, query.prefix)
    position = decode_cursor(query.cursor, listing, query.prefix, max_suffix_bytes=MAX_DELETED_FILE_SUFFIX_BYTES)
    page, page_bytes = DeletedListing(), 0
    if len(query.prefix.encode()) > MAX_FILENAME_BYTES or FIRST_CHARACTER in query.prefix:
        return page
    now = services.clock()
    while True:
        limit = query.limit + 1 - len(page.files)
        found = services.file_repository.list_deleted_files(ns, query.prefix, start=position, limit=limit)
        for deleted_file in found.items:
            # What cleanup has not reached yet cannot be restored any more.
            if deleted_file.restorable_until > now:
                page_bytes += measure(deleted_file)
                if len(page.files) == query.limit or (page.files and page_bytes > MAX_LISTING_BYTES):
                    page.cursor = encode_cursor(listing, position)
                    return page
                page.files.append(deleted_file)
            file = deleted_file.file
            position = after_deleted_file(file.name, file.upload_id, deleted_file.deleted_at)
        if not found.has_more:
            return page
        if services.clock() >= now + LISTING_BUDGET_MS:
            page.cursor = encode_cursor(listing, position)
            return page
