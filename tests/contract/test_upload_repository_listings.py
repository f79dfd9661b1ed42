"""The contract of the repositories: listings and their cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial

import pytest

from dev.fakes.clock import START
from ferry.errors import InvalidField
from ferry.model.files import File
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.file_repository import FileRepository
from ferry.ports.types import Page
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    FAR_FUTURE,
    NS,
    collect_pages,
    commit_upload,
    id_factory,
    make_file,
    open_upload,
)

NAMES = ["#", "%2e%2e", "F#", "Z", "a", "a b", "aa", "a\U0001f600", "partial", "ä", "שלום", "\uffee", "\U0001f600"]
"""In the order of their UTF-8 bytes, which is not the order of UTF-16."""


def test_list_files_sorts_by_utf8_bytes(repository: UploadRepository, file_repository: FileRepository) -> None:
    """Files are listed by the UTF-8 bytes of their names, with every field, from one namespace."""
    next_id = id_factory()
    for name in reversed(NAMES):
        commit_upload(repository, next_id(), name=name)
    assert [file.name for file in file_repository.list_files(NS, "", None, 100).items] == NAMES
    first = file_repository.list_files(NS, "", None, 100).items[0]
    assert first == make_file(first.upload_id, name="#")
    assert file_repository.list_files("ns2", "", None, 100) == Page([])
    assert file_repository.list_files("n", "", None, 100) == Page([])


def test_list_files_paginates_full_pages(repository: UploadRepository, file_repository: FileRepository) -> None:
    """With any limit every page but the last is full, and no empty page follows."""
    next_id = id_factory()
    for name in NAMES:
        commit_upload(repository, next_id(), name=name)
    for limit in (1, 2, 3, 12, 13, 14):
        pages = collect_pages(partial(file_repository.list_files, NS, "", limit=limit))
        assert [file.name for page in pages for file in page] == NAMES
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert pages[-1]


def test_list_files_with_prefix_filters(repository: UploadRepository, file_repository: FileRepository) -> None:
    """A prefix selects names that begin with it; it may be longer than any name."""
    next_id = id_factory()
    for name in NAMES:
        commit_upload(repository, next_id(), name=name)
    assert [file.name for file in file_repository.list_files(NS, "a", None, 100).items] == [
        "a",
        "a b",
        "aa",
        "a\U0001f600",
    ]
    pages = collect_pages(lambda cursor: file_repository.list_files(NS, "a", cursor, 3))
    assert [[file.name for file in page] for page in pages] == [["a", "a b", "aa"], ["a\U0001f600"]]
    assert file_repository.list_files(NS, "b", None, 100) == Page([])
    assert file_repository.list_files(NS, "a" * 3_000, None, 100) == Page([])


def test_list_files_cursor_of_deleted_file_continues(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A listing continues after a file that was deleted meanwhile."""
    next_id = id_factory()
    for name in "abc":
        commit_upload(repository, next_id(), name=name)
    page = file_repository.list_files(NS, "", None, 2)
    file_repository.delete_file(page.items[1], object_due_at=START, now=START)
    assert [file.name for file in file_repository.list_files(NS, "", page.cursor, 2).items] == ["c"]


def test_list_open_uploads_skips_finished(repository: UploadRepository) -> None:
    """Uploads in progress are listed by name; a page may be short or empty and have a cursor."""
    next_id = id_factory()
    for number in range(9):
        name = f"name {number}"
        if number % 3:
            commit_upload(repository, next_id(), name=name)
        else:
            open_upload(repository, next_id(), name=name)
    for limit in (1, 2, 9, 100):
        pages = collect_pages(partial(repository.list_open_uploads, NS, limit=limit))
        assert [upload.name for page in pages for upload in page] == ["name 0", "name 3", "name 6"]
        assert all(upload.in_progress for page in pages for upload in page)
    assert collect_pages(lambda cursor: repository.list_open_uploads("ns2", cursor, 10)) == [[]]


def forge_cursor(*values: object) -> str:
    """Return a cursor as a client could invent it."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


INVALID_CURSORS = [
    "",
    "x",
    "no base64!",
    "é",
    "AAAA",
    forge_cursor(),
    forge_cursor("files"),
    forge_cursor("files", NS, "p"),
    forge_cursor("files", NS, "p", "x" * 1_000),
    forge_cursor("files", NS, "p", "a", "b"),
    forge_cursor("files", NS, "p", 5),
    forge_cursor("files", NS, "p", None),
    forge_cursor("files", NS, "p", ["p"]),
    forge_cursor("files", NS, "p", "p\ud800"),
    forge_cursor("files", NS, "p", "p" * 1_023),
    forge_cursor("files", NS, "p", "p" * 100_000),
    forge_cursor("files", NS, "p", "p1", "p2"),
    "W" * 3_000,
]


@pytest.mark.parametrize("cursor", INVALID_CURSORS, ids=range(len(INVALID_CURSORS)))
def test_listing_with_invalid_cursor_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository, cursor: str, file_repository: FileRepository
) -> None:
    """A cursor that no listing returned is rejected as the client's error."""
    calls: list[Callable[[], object]] = [
        lambda: file_repository.list_files(NS, "p", cursor, 10),
        lambda: repository.list_open_uploads(NS, cursor, 10),
        lambda: cleanup_repository.list_due_tasks(START, cursor, 10),
    ]
    for call in calls:
        with pytest.raises(InvalidField) as rejected:
            call()
        assert rejected.value.extra["errors"][0]["loc"] == ["cursor"]


def test_listing_with_foreign_cursor_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A cursor of another namespace, prefix or listing is rejected."""
    next_id = id_factory()
    for name in ("pa", "pb", "pc"):
        commit_upload(repository, next_id(), name=name)
    open_upload(repository, next_id(), name="pd")
    files_cursor = file_repository.list_files(NS, "p", None, 1).cursor
    uploads_cursor = repository.list_open_uploads(NS, None, 1).cursor
    tasks_cursor = cleanup_repository.list_due_tasks(FAR_FUTURE, None, 1).cursor
    assert None not in (files_cursor, uploads_cursor, tasks_cursor)
    calls: list[Callable[[], object]] = [
        lambda: file_repository.list_files("ns2", "p", files_cursor, 1),
        lambda: file_repository.list_files(NS, "", files_cursor, 1),
        lambda: file_repository.list_files(NS, "p", uploads_cursor, 1),
        lambda: repository.list_open_uploads("ns2", uploads_cursor, 1),
        lambda: repository.list_open_uploads(NS, files_cursor, 1),
        lambda: repository.list_open_uploads(NS, tasks_cursor, 1),
        lambda: cleanup_repository.list_due_tasks(FAR_FUTURE, files_cursor, 1),
    ]
    for call in calls:
        with pytest.raises(InvalidField):
            call()


LONG_PREFIX = "/".join(['"' * 255] * 3) + "/"
LONGEST_NAMES = [LONG_PREFIX + "a" * 232, LONG_PREFIX + '"' * 231 + "b", LONG_PREFIX + "z" * 232]
"""Names of 1,000 bytes, most of them quotes, which JSON escapes."""


def test_listings_with_longest_names_paginate(repository: UploadRepository, file_repository: FileRepository) -> None:
    """Names of 1,000 bytes are keys and cursors, with a prefix of any length; a cursor stays below 4,096 characters."""
    next_id = id_factory()
    expected = sorted(LONGEST_NAMES)
    for name in LONGEST_NAMES:
        commit_upload(repository, next_id(), name=name)
    for prefix in ("", '"', LONG_PREFIX):
        assert [
            file.name for page in collect_pages(partial(list_one_file, file_repository, prefix)) for file in page
        ] == expected
    assert [file.name for file in file_repository.list_files(NS, expected[1], None, 1).items] == expected[1:2]
    for name in LONGEST_NAMES:
        open_upload(repository, next_id(), name=name)
    pages = collect_pages(lambda cursor: repository.list_open_uploads(NS, cursor, 1))
    assert [upload.name for page in pages for upload in page] == expected


def list_one_file(repository: FileRepository, prefix: str, cursor: str | None) -> Page[File]:
    """Return a page of one file."""
    assert len(cursor or "") < 4_096
    return repository.list_files(NS, prefix, cursor, 1)


def test_list_files_continues_after_name_equal_to_prefix(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A prefix that is a name itself is listed first, and its cursor continues behind it."""
    next_id = id_factory()
    for name in ("a", "a/b"):
        commit_upload(repository, next_id(), name=name)
    assert collect_pages(lambda cursor: file_repository.list_files(NS, "a", cursor, 1)) == [
        [make_file_of(repository, "a")],
        [make_file_of(repository, "a/b")],
    ]


def make_file_of(repository: UploadRepository, name: str) -> File:
    """Return the committed file of a name."""
    file, _, _ = repository.get_name(NS, name)
    assert file is not None
    return file
