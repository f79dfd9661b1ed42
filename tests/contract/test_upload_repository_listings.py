"""The repository's contract: listings by name, the index of what is due, and their cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from dev.fakes.clock import START
from ferry.errors import InvalidField
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.uploads import UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Page
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    NS,
    TTL_EPOCH_SECONDS,
    commit_upload,
    create_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
)

T = TypeVar("T")

NAMES = ["#", "%2e%2e", "F#", "Z", "a", "a b", "aa", "a\U0001f600", "partial", "ä", "שלום", "\uffee", "\U0001f600"]
"""By the bytes of their UTF-8, which is not the order of UTF-16."""


def id_factory() -> Callable[[], str]:
    numbers = iter(range(1, 1_000))
    return lambda: f"{next(numbers):032x}"


def collect_pages(page_at: Callable[[str | None], Page[T]]) -> list[list[T]]:
    """All pages' items."""
    pages = []
    cursor = None
    while True:
        page = page_at(cursor)
        pages.append(list(page.items))
        cursor = page.cursor
        if cursor is None:
            return pages


def test_list_files_sorts_by_utf8_bytes(repository: UploadRepository) -> None:
    """Files come by the bytes of their names, whole, and from their own namespace only."""
    next_id = id_factory()
    for name in reversed(NAMES):
        commit_upload(repository, next_id(), name=name)
    assert [file.name for file in repository.list_files(NS, "", None, 100).items] == NAMES
    first = repository.list_files(NS, "", None, 100).items[0]
    assert first == make_file(first.upload_id, name="#")
    assert repository.list_files("ns2", "", None, 100) == Page([])
    assert repository.list_files("n", "", None, 100) == Page([])


@pytest.mark.parametrize("limit", [1, 2, 3, 12, 13, 14])
def test_list_files_paginates_full_pages(repository: UploadRepository, limit: int) -> None:
    """Pages are full but the last, and no empty one follows."""
    next_id = id_factory()
    for name in NAMES:
        commit_upload(repository, next_id(), name=name)
    pages = collect_pages(lambda cursor: repository.list_files(NS, "", cursor, limit))
    assert [file.name for page in pages for file in page] == NAMES
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_list_files_with_prefix_filters(repository: UploadRepository) -> None:
    """A prefix is one of the name as it is, and may be longer than any."""
    next_id = id_factory()
    for name in NAMES:
        commit_upload(repository, next_id(), name=name)
    assert [file.name for file in repository.list_files(NS, "a", None, 100).items] == ["a", "a b", "aa", "a\U0001f600"]
    pages = collect_pages(lambda cursor: repository.list_files(NS, "a", cursor, 3))
    assert [[file.name for file in page] for page in pages] == [["a", "a b", "aa"], ["a\U0001f600"]]
    assert repository.list_files(NS, "b", None, 100) == Page([])
    assert repository.list_files(NS, "a" * 3_000, None, 100) == Page([])


def test_list_files_cursor_of_deleted_file_continues(repository: UploadRepository) -> None:
    """The file a page ended with may be deleted before the next page is asked for."""
    next_id = id_factory()
    for name in "abc":
        commit_upload(repository, next_id(), name=name)
    page = repository.list_files(NS, "", None, 2)
    repository.delete_file(page.items[1], object_due_at=START, now=START)
    assert [file.name for file in repository.list_files(NS, "", page.cursor, 2).items] == ["c"]


def test_list_open_uploads_skips_finished(repository: UploadRepository) -> None:
    """Slots in progress, by name; pages may be short or empty as long as they say so."""
    next_id = id_factory()
    for number in range(9):
        name = f"name {number}"
        if number % 3:
            commit_upload(repository, next_id(), name=name)
        else:
            open_upload(repository, next_id(), name=name)
    for limit in (1, 2, 9, 100):
        pages = collect_pages(partial(repository.list_open_uploads, NS, limit=limit))
        assert [slot.name for page in pages for slot in page] == ["name 0", "name 3", "name 6"]
        assert all(slot.in_progress for page in pages for slot in page)
    assert collect_pages(lambda cursor: repository.list_open_uploads("ns2", cursor, 10)) == [[]]


def forge_cursor(*values: object) -> str:
    """A cursor as somebody might make one."""
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
    forge_cursor("files", NS, "p", "other prefix"),
    forge_cursor("files", NS, "p", ""),
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
    repository: UploadRepository, cleanup_repository: CleanupRepository, cursor: str
) -> None:
    """What this listing has not given is refused as the client's mistake, whichever listing it is shown to."""
    asked: list[Callable[[], object]] = [
        lambda: repository.list_files(NS, "p", cursor, 10),
        lambda: repository.list_open_uploads(NS, cursor, 10),
        lambda: cleanup_repository.list_due_tasks(START, cursor, 10),
    ]
    for ask in asked:
        with pytest.raises(InvalidField) as refused:
            ask()
        assert refused.value.extra["errors"][0]["loc"] == ["cursor"]


def test_listing_with_foreign_cursor_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A cursor of another namespace, prefix or listing is refused."""
    next_id = id_factory()
    for name in ("pa", "pb", "pc"):
        commit_upload(repository, next_id(), name=name)
    open_upload(repository, next_id(), name="pd")
    files = repository.list_files(NS, "p", None, 1).cursor
    slots = repository.list_open_uploads(NS, None, 1).cursor
    due = cleanup_repository.list_due_tasks(10**13, None, 1).cursor
    assert None not in (files, slots, due)
    asked: list[Callable[[], object]] = [
        lambda: repository.list_files("ns2", "p", files, 1),
        lambda: repository.list_files(NS, "", files, 1),
        lambda: repository.list_files(NS, "p", slots, 1),
        lambda: repository.list_open_uploads("ns2", slots, 1),
        lambda: repository.list_open_uploads(NS, files, 1),
        lambda: repository.list_open_uploads(NS, due, 1),
        lambda: cleanup_repository.list_due_tasks(10**13, files, 1),
    ]
    for ask in asked:
        with pytest.raises(InvalidField):
            ask()


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31, 100])
def test_list_due_tasks_paginates_each_once(
    repository: UploadRepository, cleanup_repository: CleanupRepository, limit: int
) -> None:
    """Every entry whose time has come, once; none whose time has not."""
    next_id = id_factory()
    expected = set()
    for number in range(40):
        upload_id = next_id()
        begun_due = START + number
        repository.create_upload(make_record(upload_id, name=f"name {number}"), expected=None, due_at=begun_due)
        if number < 30:
            expected.add(CleanupTask(CleanupTaskKind.UPLOAD, upload_id, begun_due))
    pages = collect_pages(lambda cursor: cleanup_repository.list_due_tasks(START + 29, cursor, limit))
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    entries = [entry for page in pages for entry in page]
    assert set(entries) == expected
    assert len(entries) == 30


def test_reschedule_task_with_stale_time_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A row is looked at again at another time, if it has the time that was seen."""
    upload_id = "a" * 32
    commit_upload(repository, "b" * 32, name="other")
    create_upload(repository, upload_id)
    session = CleanupTask(CleanupTaskKind.UPLOAD, upload_id, START + 1)
    stages = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, "b" * 32, START + 20)
    assert set(cleanup_repository.list_due_tasks(START + 20, None, 10).items) == {session, stages}
    before = read_upload(repository, upload_id)
    for entry in (session, stages):
        cleanup_repository.reschedule_task(entry, START + 1_000)
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.reschedule_task(entry, START + 2_000)
    assert cleanup_repository.list_due_tasks(START + 999, None, 10).items == []
    assert {entry.due_at for entry in cleanup_repository.list_due_tasks(START + 1_000, None, 10).items} == {
        START + 1_000
    }
    assert read_upload(repository, upload_id) == before
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.reschedule_task(CleanupTask(CleanupTaskKind.OBJECT, upload_id, START), START + 1)


def test_delete_task_is_idempotent(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A tomb whose work is done is gone, and gone once more; a session is none."""
    upload_id = "a" * 32
    repository.terminate(
        open_upload(repository, upload_id), UploadState.CANCELLED, now=START, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    with pytest.raises(ValueError, match="TTL"):
        cleanup_repository.delete_task(CleanupTask(CleanupTaskKind.UPLOAD, upload_id, START))
    cleanup_repository.mark_purged(upload_id, staged_chunks_due_at=START + 5, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    entry = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, START + 5)
    assert cleanup_repository.list_due_tasks(START + 5, None, 10).items == [entry]
    for _ in range(2):
        cleanup_repository.delete_task(entry)
        assert cleanup_repository.list_due_tasks(START + 5, None, 10).items == []
    assert read_upload(repository, upload_id).record.purged
