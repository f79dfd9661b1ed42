"""The bytes of a page of files."""

from __future__ import annotations

import json

from ferry.files.list import FileListing
from ferry.http.file_listings import MAX_TEXT_BODY_BYTES, listing_response, measure
from ferry.model.files import File
from tests.support.files import put_file
from tests.support.in_memory_service import InMemoryService


def file_with(metadata: dict[str, str]) -> File:
    """Return a file with this metadata."""
    return put_file(InMemoryService(), 'a "name" \u00e9', metadata=metadata)


def test_measure_counts_bytes_of_entries() -> None:
    """The measure of a page is that of its JSON: quotes with their escapes, other characters in UTF-8."""
    files = [file_with({}), file_with({'"': "\u05e9" * 100})]
    body = listing_response(FileListing(files, ["\u00e4/"])).body
    assert body is not None
    overhead = len(json.dumps({"files": [], "prefixes": []}, separators=(",", ":"))) - 2
    entries: list[File | str] = [*files, "\u00e4/"]
    assert len(body.encode() if isinstance(body, str) else body) == sum(map(measure, entries)) + overhead


def test_listing_response_large_page_is_bytes() -> None:
    """A large page is passed on in base64, which does not escape its quotes again."""
    file = file_with({'"' * 1_000: '"' * 1_000})
    small, large = listing_response(FileListing([file])), listing_response(FileListing([file] * 500))
    assert isinstance(small.body, str)
    assert isinstance(large.body, bytes)
    assert len(large.body) > MAX_TEXT_BODY_BYTES
    assert len(json.loads(large.body)["files"]) == 500
    assert large.headers == small.headers
