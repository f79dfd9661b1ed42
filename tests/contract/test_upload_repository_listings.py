"""The contract of the repositories: listings of uploads and tasks, and their cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial

import pytest

from dev.fakes.clock import START_MS
from ferry.errors import InvalidField
from ferry.model.uploads import CurrentUpload
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.types import Page
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    FAR_FUTURE,
    NS,
    collect_pages,
    commit_upload,
    id_factory,
    open_upload,
)


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
    forge_cursor("open_uploads"),
    forge_cursor("open_uploads", NS),
    forge_cursor("open_uploads", NS, "a", "b"),
    forge_cursor("open_uploads", NS, 5),
    forge_cursor("open_uploads", NS, None),
    forge_cursor("open_uploads", NS, ["p"]),
    forge_cursor("open_uploads", NS, "p\ud800"),
    forge_cursor("open_uploads", NS, "p" * 1_023),
    forge_cursor("open_uploads", NS, "p" * 100_000),
    forge_cursor("open_uploads", NS, "p1", "p2"),
    "W" * 3_000,
]


@pytest.mark.parametrize("cursor", INVALID_CURSORS, ids=range(len(INVALID_CURSORS)))
def test_listing_with_invalid_cursor_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository, cursor: str
) -> None:
    """A cursor that no listing returned is rejected as the client's error."""
    calls: list[Callable[[], object]] = [
        lambda: repository.list_open_uploads(NS, cursor, 10),
        lambda: cleanup_repository.list_due_tasks(START_MS, cursor, 10),
    ]
    for call in calls:
        with pytest.raises(InvalidField) as rejected:
            call()
        assert rejected.value.extra["errors"][0]["loc"] == ["cursor"]


def test_listing_with_foreign_cursor_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A cursor of another namespace or listing is rejected."""
    next_id = id_factory()
    for name in ("pa", "pb"):
        open_upload(repository, next_id(), name=name)
    uploads_cursor = repository.list_open_uploads(NS, None, 1).cursor
    tasks_cursor = cleanup_repository.list_due_tasks(FAR_FUTURE, None, 1).cursor
    assert None not in (uploads_cursor, tasks_cursor)
    calls: list[Callable[[], object]] = [
        lambda: repository.list_open_uploads("ns2", uploads_cursor, 1),
        lambda: repository.list_open_uploads(NS, tasks_cursor, 1),
        lambda: cleanup_repository.list_due_tasks(FAR_FUTURE, uploads_cursor, 1),
    ]
    for call in calls:
        with pytest.raises(InvalidField):
            call()


LONG_PREFIX = "/".join(['"' * 255] * 3) + "/"
LONGEST_NAMES = [LONG_PREFIX + "a" * 232, LONG_PREFIX + '"' * 231 + "b", LONG_PREFIX + "z" * 232]
"""Names of 1,000 bytes, most of them quotes, which JSON escapes."""


def test_list_open_uploads_with_longest_names_paginates(repository: UploadRepository) -> None:
    """Names of 1,000 bytes are keys and cursors; a cursor stays below 4,096 characters."""
    next_id = id_factory()
    for name in LONGEST_NAMES:
        open_upload(repository, next_id(), name=name)

    def list_one(cursor: str | None) -> Page[CurrentUpload]:
        assert len(cursor or "") < 4_096
        return repository.list_open_uploads(NS, cursor, 1)

    pages = collect_pages(list_one)
    assert [upload.name for page in pages for upload in page] == sorted(LONGEST_NAMES)
