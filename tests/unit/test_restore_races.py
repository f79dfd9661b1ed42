"""Restores while another request, a cleanup or a crash comes between any two calls."""

from __future__ import annotations

from contextlib import suppress

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.cleanup import sweep_due_tasks
from ferry.errors import FileExists, FileNotFound
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.events import EventKind
from ferry.model.files import File, IfExists
from ferry.rules.durations import DAY_MS
from tests.support.deleted_files import put_and_delete, restore
from tests.support.files import put_file, rows_of
from tests.support.in_memory_service import NS, InMemoryService, swallow_crash


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


CLEANUP_CALLS = ("get_object", "delete_deleted_file", "get_file", "delete", "delete_task")


@pytest.mark.parametrize("before", CLEANUP_CALLS)
def test_restore_during_cleanup_has_the_bytes_or_is_not_found(service: InMemoryService, before: str) -> None:
    """A restore before any call of the cleanup that ends the file either restores all of it or finds nothing."""
    put_and_delete(service)
    restored: list[File] = []

    def restore_meanwhile() -> None:
        # The clock of the process that restores is a little behind.
        service.clock.advance(-2)
        with suppress(FileNotFound):
            restored.append(restore(service))
        service.clock.advance(2)

    service.clock.advance(DAY_MS - 1)
    plan = FaultPlan({(before, 1): restore_meanwhile})
    sweep_due_tasks(service.new_services(plan), has_time=lambda: True)
    service.drain_cleanup()
    assert service.file_content("a") == (b"bytes" if restored else None)
    assert bool(restored) == (before in CLEANUP_CALLS[:2])
    assert service.orphans() == []


@pytest.mark.parametrize("method", CLEANUP_CALLS)
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_RESPONSE])
def test_cleanup_that_crashed_ends_the_file_later(service: InMemoryService, method: str, fault: Fault) -> None:
    """After a crash between any two calls, the next cleanup deletes the object and the rows."""
    put_and_delete(service)
    service.clock.advance(DAY_MS)
    services = service.new_services(FaultPlan({(method, 1): fault}))
    swallow_crash(lambda: sweep_due_tasks(services, has_time=lambda: True))
    service.drain_cleanup()
    assert (rows_of(service).deleted_files, rows_of(service).object_owners, service.orphans()) == ({}, {}, [])


@pytest.mark.parametrize("before", ["find_deleted_file", "get_name", "get_object", "restore_file"])
def test_restores_at_once_restore_once(service: InMemoryService, before: str) -> None:
    """Of two restores of one file, both get it, and it is restored once."""
    put_and_delete(service)
    others: list[File] = []
    plan = FaultPlan({(before, 1): lambda: others.append(restore(service))})
    assert [restore_file(service.new_services(plan), NS, RestoreRequest("a"))] == others
    assert rows_of(service).deleted_files == {}
    assert [event.kind for event in service.event_publisher.published].count(EventKind.RESTORED) == 1


@pytest.mark.parametrize("before", ["find_deleted_file", "get_name", "get_object", "restore_file"])
def test_restore_with_new_file_of_the_name_is_rejected(service: InMemoryService, before: str) -> None:
    """A file that takes the name meanwhile stays; the deleted one can still be restored."""
    put_and_delete(service)
    plan = FaultPlan({(before, 1): lambda: put_file(service, "a", b"new")})
    with pytest.raises(FileExists):
        restore_file(service.new_services(plan), NS, RestoreRequest("a"))
    assert service.file_content("a") == b"new"
    assert len(rows_of(service).deleted_files) == 1


def test_restore_renaming_name_taken_meanwhile_takes_next(service: InMemoryService) -> None:
    """If the chosen name is taken before the write, the next free one is used."""
    put_and_delete(service)
    put_file(service, "a")
    plan = FaultPlan({("restore_file", 1): lambda: put_file(service, "a (2)")})
    restored = restore_file(service.new_services(plan), NS, RestoreRequest("a", if_exists=IfExists.RENAME))
    assert restored.name == "a (3)"
