"""Cleanup within its time budget: what is left stays due, and the next run finds it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.cleanup import clean_namespace, sweep_due_tasks
from ferry.errors import InvalidField
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.uploads import UploadState
from ferry.ports.object_store import DeleteResult
from ferry.rules.durations import DAY_MS
from ferry.status.snapshot import list_uploads
from tests.support.in_memory_service import CHUNK_BYTES, NS, Client, InMemoryService, seeded_bytes


def create_stale_uploads(service: InMemoryService, count: int) -> None:
    for number in range(count):
        client = Client(service, seeded_bytes(CHUNK_BYTES, seed=number), name=f"{number:02}")
        client.start()
    for number in range(count):
        Client(service, seeded_bytes(2 * CHUNK_BYTES), name=f"staged {number:02}").start()
    service.clock.advance(DAY_MS)


def budget(calls: int) -> Callable[[], bool]:
    """Return a time check that is true `calls` times."""
    left = iter([True] * calls)
    return lambda: next(left, False)


def test_clean_namespace_out_of_time_returns_cursor(service: InMemoryService) -> None:
    """The pages together expire every stale upload once; the next sweep deletes the bytes they had no time for."""
    create_stale_uploads(service, 13)
    cursor, expired, pages = None, 0, 0
    while True:
        report = clean_namespace(service.services, NS, has_time=budget(4), cursor=cursor)
        expired, pages, cursor = expired + report.expired, pages + 1, report.cursor
        assert report.complete == (cursor is None)
        assert 1 <= report.examined <= 3
        if cursor is None:
            break
    assert (expired, pages) == (26, 9)
    assert 0 < len(service.object_store.multipart_uploads) < 26
    service.sweep()
    assert service.object_store.multipart_uploads == {}


def test_clean_namespace_and_list_of_uploads_reject_cursors_of_each_other(service: InMemoryService) -> None:
    """Both go through the same uploads, and each takes its own cursors only."""
    for name in "ab":
        Client(service, seeded_bytes(CHUNK_BYTES), name=name).start()
    listed = list_uploads(service.services, NS, None, 1).cursor
    cleaned = clean_namespace(service.services, NS, has_time=budget(0)).cursor
    assert listed is not None
    assert cleaned is not None
    with pytest.raises(InvalidField):
        clean_namespace(service.services, NS, has_time=budget(1), cursor=listed)
    with pytest.raises(InvalidField):
        list_uploads(service.services, NS, cleaned, 1)


def test_clean_namespace_one_failure_processes_others(service: InMemoryService) -> None:
    """One upload that fails is counted as an error, and the others expire."""
    create_stale_uploads(service, 3)
    services = service.new_services(FaultPlan({("get_upload", 2): Fault.UNAVAILABLE}))
    report = clean_namespace(services, NS, has_time=lambda: True)
    assert (report.examined, report.expired, report.errors, report.complete) == (6, 5, 1, True)


def test_sweep_without_time_leaves_tasks_due(service: InMemoryService) -> None:
    """A sweep without time reports that it is not complete, and the next one does the work."""
    create_stale_uploads(service, 3)
    report = sweep_due_tasks(service.services, has_time=lambda: False)
    assert (report.expired, report.complete) == (0, False)
    assert service.sweep().expired == 6


def test_sweep_staged_chunks_remaining_keeps_task_due(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled upload stays due while staged chunks are left."""
    client = Client(service, seeded_bytes(2 * CHUNK_BYTES))
    client.start()
    client.send_chunk(1)
    with monkeypatch.context() as slow:
        slow.setattr(service.object_store, "delete_prefix", lambda prefix, *, deadline: DeleteResult(0, done=False))
        client.cancel()
        assert client.state() is UploadState.CANCELLED
        service.sweep()
        assert (CleanupTaskKind.UPLOAD, client.upload_id) in service.upload_repository.rows.task_due_times
    service.sweep()
    assert service.orphans() == []
    assert (CleanupTaskKind.UPLOAD, client.upload_id) not in service.upload_repository.rows.task_due_times
