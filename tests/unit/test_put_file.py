"""Store a whole file in one request: its calls, its conditions in races, its dates, its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import BackendUnavailable, FileNotFound, InvalidField, PreconditionFailed, QuotaExceeded
from ferry.files.dates import MAX_DATE_WAIT_MS
from ferry.files.delete import delete_file
from ferry.files.delete_many import DeleteEntry, delete_files
from ferry.files.move import MoveRequest, move_file
from ferry.files.put import ANNOUNCED_OBJECT_RETENTION_MS, PutRequest, PutResult, put_file
from ferry.files.record import FileChange, change_record, get_record
from ferry.model.events import EventKind
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.rules.conditions import Conditions, format_http_date
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.services import QUOTA_CACHE_TTL_MS, Services
from tests.support.in_memory_service import NAME, NS, InMemoryService, swallow_crash

FAR_PAST = "Sun, 06 Nov 1994 08:49:37 GMT"
DYNAMODB = {"MemoryUploadRepository", "MemoryFileRepository", "MemoryCleanupRepository"}


@pytest.fixture
def service() -> InMemoryService:
    return InMemoryService(publish_events=True)


def put(service: InMemoryService, body: bytes = b"x", services: Services | None = None, **options: Any) -> PutResult:
    """Store a file whole. Conditions are given by their names."""
    names = ("if_match", "if_none_match", "if_unmodified_since")
    conditions = Conditions(**{name: options.pop(name) for name in names if name in options})
    return put_file(services or service.services, NS, PutRequest(NAME, body, conditions=conditions, **options))


def delete(services: Services) -> None:
    """Delete the file."""
    delete_file(services, NS, NAME)


def delete_among_others(services: Services) -> None:
    """Delete the file by a request for several."""
    assert delete_files(services, NS, [DeleteEntry("other"), DeleteEntry(NAME)]).deleted == [NAME]


def move_away(services: Services) -> None:
    """Move the file to another name."""
    move_file(services, NS, MoveRequest(NAME, "moved"))


def calls_of(log: CallLog, ports: set[str]) -> list[str]:
    return [call.method for call in log.calls if call.port in ports]


@pytest.mark.parametrize(
    ("exists", "condition", "before_publishing"),
    [
        (False, {}, ["announce_object", "put_file"]),
        (False, {"if_none_match": "*"}, ["announce_object", "put_file"]),
        (False, {"if_unmodified_since": FAR_PAST}, ["announce_object", "put_file"]),
        (True, {}, ["announce_object", "put_file", "put_file"]),
        (True, {"if_match": "*"}, ["get_file", "announce_object", "put_file"]),
        (True, {"if_none_match": '"x"'}, ["announce_object", "put_file", "put_file"]),
    ],
)
def test_put_stays_within_call_budget(
    service: InMemoryService, exists: bool, condition: dict[str, Any], before_publishing: list[str]
) -> None:
    """With a warm quota cache a new name takes one S3 and three DynamoDB calls, a replaced one four; one PutEvents."""
    if exists:
        put(service)
    log = CallLog()
    services = service.new_services(log=log)
    services.quota_cache.put(NS, None, service.clock())
    put(service, services=services, **condition)
    assert calls_of(log, {"MemoryObjectStore"}) == ["put"]
    assert calls_of(log, {"MemoryEventPublisher"}) == ["publish"]
    assert calls_of(log, DYNAMODB) == [*before_publishing, "clear_completion_event"]
    assert len(calls_of(log, DYNAMODB)) == (4 if exists else 3)


def test_put_without_events_has_no_call_for_them() -> None:
    """Without events a new name takes two calls to the metadata store, and its object is not due any more."""
    service, log = InMemoryService(), CallLog()
    services = service.new_services(log=log)
    services.quota_cache.put(NS, None, service.clock())
    put(service, services=services)
    assert log.methods == ["announce_object", "put", "put_file"]
    assert service.upload_repository.rows.task_due_times == {}


def test_put_reads_quota_again_after_a_while(service: InMemoryService) -> None:
    """An instance reads the quota of a namespace again within a minute."""
    assert QUOTA_CACHE_TTL_MS <= MINUTE_MS
    for pause_ms, reads in ((0, 1), (QUOTA_CACHE_TTL_MS - 1, 1), (1, 2)):
        service.clock.advance(pause_ms)
        put(service)
        assert service.log.count("get_quota") == reads


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("condition", ["if_none_match", "if_match"])
def test_of_two_conditional_puts_exactly_one_succeeds(service: InMemoryService, condition: str, number: int) -> None:
    """Two requests with the same condition race, with the same bytes: the second gets what the first has stored."""
    if condition == "if_match":
        put(service, b"old")
        value = service.file_repository.get_file(NS, NAME).etag  # type: ignore[union-attr]
    else:
        value = "*"
    results: list[object] = []

    def run(services: Services) -> None:
        try:
            results.append(put(service, b"new", services, **{condition: value}))
        except PreconditionFailed as error:
            results.append(error)

    plan = FaultPlan({number: partial(run, service.services)})
    run(service.new_services(plan, CallLog()))
    [won] = [result for result in results if isinstance(result, PutResult)]
    [lost] = [result for result in results if isinstance(result, PreconditionFailed)]
    assert won.file == service.file_repository.get_file(NS, NAME)
    assert lost.extra["current_file"] == won.file
    service.drain_cleanup()
    assert service.file_content() == b"new"
    service.assert_events_published()


@pytest.mark.parametrize("method", ["announce_object", "put", "put_file", "publish", "clear_completion_event"])
def test_two_puts_race_last_one_stays(service: InMemoryService, method: str) -> None:
    """Two unconditional requests both succeed; the one that commits last replaces the other."""
    plan = FaultPlan({(method, 1): lambda: put(service, b"first")})
    put(service, b"second", service.new_services(plan, CallLog()))
    is_last = method in ("announce_object", "put", "put_file")
    assert service.file_content() == (b"second" if is_last else b"first")
    service.drain_cleanup()
    service.assert_events_published()


def test_put_during_delete_and_delete_during_put(service: InMemoryService) -> None:
    """A file that is deleted while another replaces it is gone either way; the new one stays."""
    put(service, b"old")
    plan = FaultPlan({("put_file", 2): lambda: delete_file(service.services, NS, NAME)})
    result = put(service, b"new", service.new_services(plan, CallLog()))
    assert result.created
    assert service.file_content() == b"new"
    plan = FaultPlan({("delete_file", 1): lambda: put(service, b"newer")})
    delete_file(service.new_services(plan, CallLog()), NS, NAME)
    assert service.file_content() is None
    service.drain_cleanup()
    service.assert_events_published()


def test_crash_between_calls_leaves_old_file(service: InMemoryService) -> None:
    """After a crash at any call before the switch the name has its old file, and cleanup deletes the new object."""
    put(service, b"old")
    for method in ("announce_object", "put", "put_file"):
        for fault in (Fault.CRASH_BEFORE, Fault.UNAVAILABLE):
            services = service.new_services(FaultPlan({(method, 1): fault}), CallLog())
            swallow_crash(partial(put, service, b"new", services))
            assert service.file_content() == b"old"
            service.clock.advance(ANNOUNCED_OBJECT_RETENTION_MS + 1)
            service.sweep()
            assert service.orphans() == []


def test_cleanup_that_takes_the_object_ends_the_request(service: InMemoryService) -> None:
    """A request that commits after cleanup has taken its object fails, and the old file stays."""
    put(service, b"old")

    def sweep_late() -> None:
        service.clock.advance(ANNOUNCED_OBJECT_RETENTION_MS + 1)
        service.sweep()

    services = service.new_services(FaultPlan({("put_file", 1): sweep_late}), CallLog())
    with pytest.raises(BackendUnavailable):
        put(service, b"new", services)
    assert service.file_content() == b"old"
    service.drain_cleanup()
    assert service.file_content() == b"old"


def test_dates_never_go_back(service: InMemoryService) -> None:
    """Files that follow one another within a second have different dates, and none is taken for an older one."""
    dates = [put(service, bytes([number])).file.last_modified_seconds for number in range(4)]
    assert dates == list(range(dates[0], dates[0] + 4))
    for date in dates[:-1]:
        with pytest.raises(PreconditionFailed):
            put(service, b"x", if_unmodified_since=format_http_date(date))
    service.clock.advance(10 * SECOND_MS)
    last = put(service, b"x", if_unmodified_since=format_http_date(dates[-1])).file
    assert (last.last_modified_seconds, last.object_date_seconds) == (service.clock() // SECOND_MS, None)


@pytest.mark.parametrize("leaves_name", [delete, delete_among_others, move_away])
def test_dates_never_go_back_after_name_was_free(
    service: InMemoryService, leaves_name: Callable[[Services], object]
) -> None:
    """A file leaves its name when its date has passed: files that followed one another quickly ran it ahead."""
    dates = [put(service).file.last_modified_seconds for _ in range(4)]
    leaves_name(service.services)
    assert service.clock() // SECOND_MS == dates[-1]
    assert put(service).file.last_modified_seconds >= dates[-1] == dates[0] + 3


def test_wait_for_date_has_a_limit(service: InMemoryService) -> None:
    """A date far ahead of the clock delays a deletion by `MAX_DATE_WAIT_MS`."""
    for _ in range(20):
        put(service)
    started_at = service.clock()
    delete(service.services)
    assert service.clock() - started_at == MAX_DATE_WAIT_MS


def test_quota_counts_the_difference() -> None:
    """A full namespace takes a file in place of a larger one; the limit in the cache may be a minute old."""
    service = InMemoryService(publish_events=True, quota=Quota(max_bytes=10, max_uploads=0))
    put(service, b"x" * 10)
    with pytest.raises(QuotaExceeded) as raised:
        put(service, b"x" * 11)
    assert {name: raised.value.extra[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "bytes",
        "limit": 10,
        "used": 0,
        "requested": 11,
    }
    put(service, b"x" * 9)
    with pytest.raises(QuotaExceeded) as raised:
        put_file(service.services, NS, PutRequest("other", b"xx"))
    assert {name: raised.value.extra[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "bytes",
        "limit": 10,
        "used": 9,
        "requested": 2,
    }
    put_file(service.services, NS, PutRequest("other", b"x"))
    service.assert_quota_usage()
    assert len(service.object_store.objects) == 4 - 1
    service.drain_cleanup()
    assert service.orphans() == []


def test_completed_event_names_replaced_upload(service: InMemoryService) -> None:
    """Each file is published once as completed, with the one that it replaced."""
    old, new = put(service, b"old").file, put(service, b"new").file
    events = [event for event in service.event_publisher.published if event.kind is EventKind.COMPLETED]
    assert [(event.file, event.replaced_upload_id) for event in events] == [(old, None), (new, old.upload_id)]
    service.drain_cleanup()
    service.assert_events_published()


@pytest.mark.parametrize("then", ["nothing", "replace", "delete", "change"])
def test_bus_down_cleanup_publishes(service: InMemoryService, then: str) -> None:
    """A completion that could not be published is published by cleanup, as it was, whatever becomes of the file."""
    plan = FaultPlan({("publish", 1): Fault.UNAVAILABLE})
    file = put(service, b"old", service.new_services(plan, CallLog())).file
    actions: dict[str, Callable[[], object]] = {
        "replace": lambda: put(service, b"new"),
        "delete": lambda: delete_file(service.services, NS, NAME),
        "change": lambda: change_record(service.services, NS, NAME, FileChange(content_type="a/b"), Conditions()),
    }
    actions.get(then, lambda: None)()
    service.clock.advance(2 * MINUTE_MS)
    service.sweep()
    events = [event for event in service.event_publisher.published if event.upload_id == file.upload_id]
    assert [event.file for event in events if event.kind is EventKind.COMPLETED] == [file]
    service.drain_cleanup()
    assert service.orphans() == []
    service.assert_events_published()


def test_record_changes_with_its_own_tag(service: InMemoryService) -> None:
    """Each change gives the record another entity tag; that of the content stays."""
    file = put(service, metadata={"a": "1", "b": "2"}).file
    change = partial(change_record, service.services, NS, NAME)
    changed = change(FileChange(metadata={"a": None, "c": "3"}), Conditions(if_match=file.record_etag))
    assert (changed.metadata, changed.content_type) == ({"b": "2", "c": "3"}, file.content_type)
    assert (changed.etag, changed.last_modified_seconds) == (file.etag, file.last_modified_seconds)
    assert changed.record_etag != file.record_etag
    with pytest.raises(PreconditionFailed) as raised:
        change(FileChange(content_type="a/b"), Conditions(if_match=file.record_etag))
    assert raised.value.extra["current_file"] == changed
    typed = change(FileChange(content_type="a/b", clears_metadata=True), Conditions(if_match=file.etag))
    assert (typed.content_type, typed.metadata) == ("a/b", {})
    assert get_record(service.services, NS, NAME, Conditions()).file == typed
    with pytest.raises(InvalidField):
        change(FileChange(metadata={"a": "b" * 2_048}), Conditions())
    with pytest.raises(FileNotFound):
        change_record(service.services, NS, "other", FileChange(), Conditions())


def test_changes_race_none_is_lost(service: InMemoryService) -> None:
    """Two changes of different names both count; the record's tag counts them."""
    file = put(service).file
    plan = FaultPlan(
        {
            ("change_file", 1): lambda: change_record(
                service.services, NS, NAME, FileChange(metadata={"a": "1"}), Conditions()
            )
        }
    )
    changed = change_record(
        service.new_services(plan, CallLog()), NS, NAME, FileChange(metadata={"b": "2"}), Conditions()
    )
    assert changed == replace(file, metadata={"a": "1", "b": "2"}, revision=3)


def test_get_record_compares_record_tag(service: InMemoryService) -> None:
    """If-None-Match takes the record's tag only; If-Match takes either."""
    file: File = put(service).file
    read = partial(get_record, service.services, NS, NAME)
    assert read(Conditions(if_none_match=file.record_etag)).not_modified
    assert not read(Conditions(if_none_match=file.etag)).not_modified
    assert not read(Conditions(if_modified_since=format_http_date(file.last_modified_seconds))).not_modified
    for etag in (file.etag, file.record_etag, "*"):
        assert read(Conditions(if_match=etag)).file == file
    with pytest.raises(PreconditionFailed):
        read(Conditions(if_match='"other"'))


def test_puts_under_one_tag_of_content_let_one_succeed(service: InMemoryService) -> None:
    """If-Match with the content's tag replaces the file that it named, also where the new bytes have the same tag."""
    file = put(service, b"base").file
    plan = FaultPlan({("put_file", 1): lambda: put(service, b"base", if_match=file.etag)})
    with pytest.raises(PreconditionFailed) as caught:
        put(service, b"base", service.new_services(plan, CallLog()), if_match=file.etag)
    assert caught.value.extra["current_file"].upload_id != file.upload_id
