"""List finished files: by name in UTF-8 byte order, with folders as one entry each where the client asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ferry.model.files import File
from ferry.rules.durations import SECOND_MS
from ferry.rules.filenames import MAX_FILENAME_BYTES
from ferry.rules.listing import DELIMITER, after_folder, after_name, decode_cursor, encode_cursor, folder_of
from ferry.services import Services

MAX_LISTING_BYTES = 4_000_000
"""JSON of the entries of one page at most. In base64 it fits into the 6 MB of a function's response."""

LISTING_BUDGET_MS = 8 * SECOND_MS
"""How long one page reads. A page of 1,000 folders takes 1,000 reads, one after another."""

MIN_FOLDER_READ_ROWS = 8
"""Rows of the smallest read, after a folder that filled the read before. DynamoDB charges them like one row."""

FIRST_FOLDER_READ_ROWS = 32
"""Rows of the first read of a listing with folders: the first folder may have any number of files."""

READ_GROWTH = 4
"""Factor by which the next read is larger or smaller. Folders of more rows than this, on average, count as large."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a client asks for."""

    prefix: str = ""
    """What the names begin with, in form C."""
    by_folder: bool = False
    """Whether names with a `/` after the prefix are listed once, as their folder."""
    cursor: str | None = None
    """Where the previous page ended; None: at the beginning."""
    limit: int = 100
    """Entries of the page at most."""


@dataclass(slots=True)
class FileListing:
    """One page of files and folders. The order runs across both."""

    files: list[File] = field(default_factory=list)
    """The files, by name."""
    prefixes: list[str] = field(default_factory=list)
    """The folders, each up to and including its `/`."""
    cursor: str | None = None
    """Where the next page begins; None: this is the last one."""


Measure = Callable[[File | str], int]
"""Returns the bytes of an entry in the response."""


def list_files(services: Services, ns: str, query: ListQuery, measure: Measure = lambda _: 0) -> FileListing:
    """Return one page. It is full unless it is the last, or its bytes or the time for it end it earlier.

    A name that exists throughout a listing is in exactly one of its pages, alone or as its folder, whatever other names
    are created, moved and deleted meanwhile.

    Raises:
        InvalidField: the cursor belongs to another namespace or query.
    """
    listing = ("files", ns, query.prefix, DELIMITER if query.by_folder else "")
    position = decode_cursor(query.cursor, listing, query.prefix)
    if len(query.prefix.encode()) > MAX_FILENAME_BYTES:
        return FileListing()
    page, read_size = _PageBuilder(query, measure), _ReadSize(query)
    deadline = services.clock() + LISTING_BUDGET_MS
    while True:
        limit = read_size.rows(page.remaining)
        found = services.file_repository.list_files(ns, query.prefix, start=position, limit=limit)
        added = page.add(found.items)
        if page.is_full or (found.has_more and services.clock() >= deadline):
            return page.build(encode_cursor(listing, page.position))
        if not found.has_more:
            return page.build(None)
        position = page.position
        read_size.adapt(added, len(found.items))


class _ReadSize:
    """How many rows the next read asks for: enough for the page, and few where folders are large."""

    def __init__(self, query: ListQuery) -> None:
        self._max_rows = FIRST_FOLDER_READ_ROWS if query.by_folder else query.limit + 1
        self._rows_per_entry = 1

    def rows(self, remaining: int) -> int:
        """Return the rows to read for a page with room for `remaining` entries: one more shows whether it ends."""
        return min(self._max_rows, max((remaining + 1) * self._rows_per_entry, MIN_FOLDER_READ_ROWS))

    def adapt(self, added: int, read: int) -> None:
        """Read more next time if small folders or files filled the read, and fewer if a large folder did."""
        self._rows_per_entry = min(-(-read // max(added, 1)), READ_GROWTH)
        if added * READ_GROWTH >= read:
            self._max_rows *= READ_GROWTH
        else:
            self._max_rows = max(self._max_rows // READ_GROWTH, MIN_FOLDER_READ_ROWS)


class _PageBuilder:
    """Collects the entries of a page until it is full."""

    def __init__(self, query: ListQuery, measure: Measure) -> None:
        self._query = query
        self._measure = measure
        self._page = FileListing()
        self._bytes = 0
        self._folder: str | None = None
        self.remaining = query.limit
        """Entries that still fit."""
        self.position = ""
        """The position behind the last entry."""
        self.is_full = False
        """Whether an entry was found that does not fit."""

    def add(self, files: Sequence[File]) -> int:
        """Add files in order, or the folders that stand for them, until one does not fit. Return how many were new."""
        added = 0
        for file in files:
            if self._folder is not None and file.name.startswith(self._folder):
                continue
            folder = folder_of(file.name, self._query.prefix) if self._query.by_folder else None
            if not self._has_room(file if folder is None else folder):
                self.is_full = True
                break
            added += 1
            self._folder = folder
            if folder is None:
                self._page.files.append(file)
                self.position = after_name(file.name)
            else:
                self._page.prefixes.append(folder)
                self.position = after_folder(folder)
        return added

    def _has_room(self, entry: File | str) -> bool:
        """Return whether the entry fits, and count it if it does. The first always fits."""
        size = self._measure(entry)
        if not self.remaining or (self.position and self._bytes + size > MAX_LISTING_BYTES):
            return False
        self._bytes += size
        self.remaining -= 1
        return True

    def build(self, cursor: str | None) -> FileListing:
        self._page.cursor = cursor
        return self._page
