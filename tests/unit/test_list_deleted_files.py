"""The list of files that can be restored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.errors import InvalidField
from ferry.files import list_deleted
from ferry.files.delete import delete_file
from ferry.files.list import ListQuery, list_files
from ferry.files.list_deleted import list_deleted_files
from ferry.model.files import DeletedFile
from ferry.rules.durations import DAY_MS
from tests.support.files import put_file
from tests.support.in_memory_service import NS, InMemoryService

names = st.sampled_from(["a", "a!", "a/b", "a0", "ab", "é", "\U0010ffff", "🚢/x"])


def delete(service: InMemoryService, name: str) -> DeletedFile:
    """Store a file and delete it."""
    file, now = put_file(service, name), service.clock()
    delete_file(service.services, NS, name)
    return DeletedFile(file, now, now + DAY_MS)


def collect_pages(service: InMemoryService, prefix: str = "", limit: int = 100) -> list[list[DeletedFile]]:
    """Return the files of each page."""
    pages, cursor = [], None
    while True:
        page = list_deleted_files(service.services, NS, ListQuery(prefix, cursor=cursor, limit=limit))
        pages.append(page.files)
        cursor = page.cursor
        if cursor is None:
            return pages


@given(st.lists(st.tuples(names, st.integers(0, 2)), max_size=12), st.sampled_from(["", "a", "a/", "z"]))
def test_deleted_files_are_listed_by_name_then_newest_first(deleted: list[tuple[str, int]], prefix: str) -> None:
    """Every deleted file is listed once, on full pages, by name and the last deleted first."""
    service = InMemoryService()
    files = []
    for name, wait_ms in deleted:
        service.clock.advance(wait_ms)
        files.append(delete(service, name))
    expected = sorted(
        (each for each in files if each.file.name.startswith(prefix)),
        key=lambda each: (each.file.name.encode(), -each.deleted_at, each.file.upload_id[-6:]),
    )
    for limit in (1, 3, 100):
        pages = collect_pages(service, prefix, limit)
        found = [(each.file.name, each.deleted_at) for page in pages for each in page]
        assert found == [(each.file.name, each.deleted_at) for each in expected]
        assert all(len(page) == limit for page in pages[:-1])


def test_expired_deleted_files_are_not_listed() -> None:
    """What can no longer be restored is not listed, although cleanup has not reached it."""
    service = InMemoryService()
    delete(service, "a")
    service.clock.advance(DAY_MS - 1)
    later = delete(service, "b")
    service.clock.advance(1)
    assert collect_pages(service, limit=1) == [[later]]


def test_deleted_files_of_longest_name_paginate() -> None:
    """A name of 1,000 bytes is a cursor of the list."""
    name = "/".join(["x" * 255] * 3 + ["y" * 232])
    service = InMemoryService()
    for _ in range(3):
        delete(service, name)
        service.clock.advance(1)
    assert [len(page) for page in collect_pages(service, name, limit=1)] == [1, 1, 1]


def test_deleted_files_cursor_of_other_listing_raises() -> None:
    """Cursors of files and of deleted files are not exchanged, and one of another namespace or prefix is rejected."""
    service = InMemoryService()
    for name in ("a1", "a2", "a1", "a2"):
        delete(service, name)
        service.clock.advance(1)
    for name in ("a1", "a2"):
        put_file(service, name)
    deleted_cursor = list_deleted_files(service.services, NS, ListQuery("a", limit=1)).cursor
    files_cursor = list_files(service.services, NS, ListQuery("a", limit=1)).cursor
    assert deleted_cursor is not None
    for ns, query in (
        (NS, ListQuery("a", cursor=files_cursor)),
        (NS, ListQuery("", cursor=deleted_cursor)),
        ("other", ListQuery("a", cursor=deleted_cursor)),
    ):
        with pytest.raises(InvalidField):
            list_deleted_files(service.services, ns, query)
    with pytest.raises(InvalidField):
        list_files(service.services, NS, ListQuery("a", cursor=deleted_cursor))


def test_deleted_files_byte_limit_ends_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of too many bytes ends early, with a cursor."""
    monkeypatch.setattr(list_deleted, "MAX_LISTING_BYTES", 100)
    service = InMemoryService()
    for name in "abc":
        delete(service, name)
    page = list_deleted_files(service.services, NS, ListQuery(), lambda _: 40)
    assert ([each.file.name for each in page.files], page.cursor is None) == (["a", "b"], False)
    rest = list_deleted_files(service.services, NS, ListQuery(cursor=page.cursor), lambda _: 40)
    assert ([each.file.name for each in rest.files], rest.cursor) == (["c"], None)


def test_prefix_with_the_separator_of_rows_finds_nothing() -> None:
    """A prefix with NUL, which no name contains, does not reach into the keys of rows."""
    service = InMemoryService()
    delete(service, "a")
    assert collect_pages(service, "a\0") == [[]]
