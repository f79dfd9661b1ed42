"""Deletions of several files in one request."""

from __future__ import annotations

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import BackendUnavailable
from ferry.files.delete import delete_file
from ferry.files.delete_many import DELETE_MANY_BUDGET_MS, DeleteEntry, DeleteResults, delete_files
from ferry.model.quotas import Quota
from ferry.services import Services
from tests.support.files import file_at, put_file, rows_of
from tests.support.in_memory_service import NS, InMemoryService


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


def delete(service: InMemoryService, *entries: str | DeleteEntry, services: Services | None = None) -> DeleteResults:
    """Delete names, some of them with an entity tag."""
    requested = [entry if isinstance(entry, DeleteEntry) else DeleteEntry(entry) for entry in entries]
    return delete_files(services or service.services, NS, requested)


def test_delete_files_reports_each_name(service: InMemoryService) -> None:
    """Names are deleted, missing or errors, in the order of the request."""
    files = {name: put_file(service, name, name.encode()) for name in "abcde"}
    results = delete(
        service,
        "e",
        "x",
        DeleteEntry("a", files["a"].etag),
        DeleteEntry("b", '"other"'),
        DeleteEntry("c", files["c"].record_etag),
        "../up",
        "y",
    )
    assert results == DeleteResults(
        ["e", "a", "c"], ["x", "y"], [("../up", "invalid_filename"), ("b", "precondition_failed")]
    )
    assert [name for name in "abcde" if file_at(service, name)] == ["b", "d"]
    assert sorted(each.file.name for each in rows_of(service).deleted_files.values()) == ["a", "c", "e"]


def test_delete_files_name_twice_counts_once(service: InMemoryService) -> None:
    """A name that is sent twice, in any normal form, is one entry, under all of its entity tags."""
    for name in ("é", "b"):
        put_file(service, name)
    other = DeleteEntry("b", '"other"')
    results = delete(service, "é", "e\u0301", "b", other, "x", "x", "", "")
    assert results == DeleteResults(["é"], ["x"], [("", "invalid_filename"), ("b", "precondition_failed")])


def test_delete_files_gives_quota_back_once() -> None:
    """The bytes of each file leave the usage once, also when the request is repeated."""
    service = InMemoryService(quota=Quota(max_bytes=100))
    for name in "abc":
        put_file(service, name, b"12345", counted_in_quota=True)
    assert delete(service, "a", "b", "a").deleted == ["a", "b"]
    assert delete(service, "a", "b") == DeleteResults([], ["a", "b"], [])
    assert rows_of(service).quotas[NS].used_bytes == 5
    service.assert_quota_usage()


def test_delete_files_publishes_all_events(service: InMemoryService) -> None:
    """A hundred deletions are published in ten calls, and leave no entry in the outbox."""
    names = [f"{number:03}" for number in range(100)]
    for name in names:
        put_file(service, name)
    log = CallLog()
    assert delete(service, *names, services=service.new_services(log=log)).deleted == names
    assert (log.count("get_files"), log.count("delete_file")) == (1, 100)
    assert (log.count("publish"), log.count("delete_tasks"), len(log.calls)) == (10, 1, 112)
    assert [event.name for event in service.event_publisher.published] == names
    assert rows_of(service).file_events == {}


def test_delete_files_with_failing_bus_keeps_events(service: InMemoryService) -> None:
    """Events that the bus does not take stay pending, and cleanup publishes them."""
    for name in "ab":
        put_file(service, name)
    plan = FaultPlan({("publish", 1): Fault.UNAVAILABLE})
    assert delete(service, "a", "b", services=service.new_services(plan)).deleted == ["a", "b"]
    assert len(rows_of(service).file_events) == 2
    service.drain_cleanup()
    assert sorted(event.name for event in service.event_publisher.published) == ["a", "b"]


def test_delete_files_replaced_meanwhile_deletes_the_new_one(service: InMemoryService) -> None:
    """A file that changes between read and write is read again; with an entity tag it is then another one."""
    for name in "ab":
        put_file(service, name, b"old")
    old = file_at(service, "b")
    assert old is not None
    plan = FaultPlan(
        {
            ("delete_file", 1): lambda: put_file(service, "a", b"new"),
            ("delete_file", 3): lambda: put_file(service, "b", b"new"),
        }
    )
    results = delete(service, "a", DeleteEntry("b", old.etag), services=service.new_services(plan))
    assert results == DeleteResults(["a"], [], [("b", "precondition_failed")])
    assert service.file_content("b") == b"new"


def test_delete_files_deleted_meanwhile_is_missing(service: InMemoryService) -> None:
    """A file that another request deletes first is missing, and its bytes are given back once."""
    put_file(service, "a")
    plan = FaultPlan({("delete_file", 1): lambda: delete_file(service.services, NS, "a")})
    assert delete(service, "a", services=service.new_services(plan)) == DeleteResults([], ["a"], [])


def test_delete_files_with_failing_backend_reports_the_rest(service: InMemoryService) -> None:
    """After a failure the names that are left are errors, and what was deleted is reported."""
    for name in "abc":
        put_file(service, name)
    plan = FaultPlan({("delete_file", 2): Fault.UNAVAILABLE})
    results = delete(service, "a", "b", "c", services=service.new_services(plan))
    assert results == DeleteResults(["a"], [], [("b", "backend_unavailable"), ("c", "backend_unavailable")])
    assert [name for name in "abc" if file_at(service, name)] == ["b", "c"]


def test_delete_files_without_time_reports_the_rest(service: InMemoryService) -> None:
    """When the time is up, the names that are left are errors."""
    for name in "abc":
        put_file(service, name)
    plan = FaultPlan({("delete_file", 1): lambda: service.clock.advance(DELETE_MANY_BUDGET_MS)})
    results = delete(service, "a", "b", "c", services=service.new_services(plan))
    assert (results.deleted, [name for name, _ in results.errors]) == (["a"], ["b", "c"])


def test_delete_files_that_cannot_be_read_raises(service: InMemoryService) -> None:
    """If the files cannot be read, nothing is deleted and the request fails."""
    put_file(service, "a")
    with pytest.raises(BackendUnavailable):
        delete(service, "a", services=service.new_services(FaultPlan({("get_files", 1): Fault.UNAVAILABLE})))
    assert file_at(service, "a") is not None
