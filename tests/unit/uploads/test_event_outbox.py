"""Events: when each is published, what happens if the bus fails, and how many calls they take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.files.delete import delete_file
from ferry.model.events import EventKind
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from ferry.services import Services
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

BODY = seeded_bytes(2 * CHUNK_BYTES + 5)


@pytest.fixture
def service(service: InMemoryService) -> InMemoryService:  # The other fixture makes parts small.
    """Return a service with events on."""
    return InMemoryService(publish_events=True)


@pytest.fixture
def client(service: InMemoryService) -> Client:
    return Client(service, BODY)


def with_failing_bus(service: InMemoryService, log: CallLog | None = None) -> Services:
    """Return a process whose event bus always fails."""
    return service.new_services(FaultPlan({("publish", n): Fault.UNAVAILABLE for n in range(1, 100)}), log)


def upload_file(client: Client, services: Services) -> None:
    client.start(services)
    client.send_chunks()
    assert isinstance(client.complete(services), File)


def test_events_without_failure_published_once(service: InMemoryService, client: Client) -> None:
    """Each event is published before its operation returns; the sweep adds none."""
    upload_file(client, service.services)
    delete_file(service.services, NS, NAME)
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "completed", "deleted"]
    service.drain_cleanup()
    assert len(service.event_publisher.published) == 3


def test_completed_event_names_replaced_upload(service: InMemoryService, client: Client) -> None:
    """A replaced file has no event of its own: the event of the new one names its upload."""
    upload_file(client, service.services)
    second = Client(service, BODY[1:])
    second.start(if_exists=IfExists.REPLACE)
    second.send_chunks()
    second.complete()
    event = service.event_publisher.published[-1]
    assert (event.kind, event.replaced_upload_id) == (EventKind.COMPLETED, client.upload_id)
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "completed"]


@pytest.mark.parametrize("end", ["complete", "cancel", "delete"])
def test_bus_down_operation_succeeds_and_sweep_publishes(service: InMemoryService, client: Client, end: str) -> None:
    """Operations succeed without the bus; the next sweep publishes what is pending, once."""
    services = with_failing_bus(service)
    if end == "cancel":
        client.start(services)
        client.cancel(services)
    else:
        upload_file(client, services)
        delete_file(services, NS, NAME) if end == "delete" else None
    assert service.event_publisher.published == []
    service.clock.advance(MINUTE_MS)
    service.sweep()
    service.assert_events_published()
    published_count = len(service.event_publisher.published)
    service.drain_cleanup()
    assert len(service.event_publisher.published) == published_count


def test_started_event_pending_published_by_sweep(service: InMemoryService, client: Client) -> None:
    """The sweep publishes a pending start, and the upload expires when it would have anyway."""
    client.start(with_failing_bus(service))
    service.clock.advance(MINUTE_MS)
    service.sweep()
    assert service.event_publisher.kinds_for(client.upload_id) == ["started"]
    service.clock.advance(DAY_MS - MINUTE_MS - 1)
    service.sweep()
    assert client.state() is UploadState.OPEN
    service.clock.advance(1)
    service.sweep()
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "expired"]


def test_started_event_pending_published_with_completion(service: InMemoryService, client: Client) -> None:
    """A completion publishes the pending start first, then its own event."""
    client.start(with_failing_bus(service))
    client.send_chunks()
    log = CallLog()
    client.complete(service.new_services(log=log))
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "completed"]
    assert log.count("publish") == 1


def test_crash_before_publish_sweep_publishes(service: InMemoryService, client: Client) -> None:
    """If a process crashes after the commit, a sweep publishes its event a minute later."""
    client.start()
    client.send_chunks()
    with pytest.raises(ProcessCrashed):
        client.complete(service.new_services(FaultPlan({("publish", 1): Fault.CRASH_BEFORE})))
    service.clock.advance(MINUTE_MS - 1)
    service.sweep()
    assert service.event_publisher.kinds_for(client.upload_id) == ["started"]
    service.clock.advance(1)
    service.sweep()
    assert service.event_publisher.kinds_for(client.upload_id)[-1] == "completed"


def test_pending_events_bus_stays_down_kept(service: InMemoryService, client: Client) -> None:
    """While the bus is down, each sweep counts an error and rows stay; once it is up, everything is published."""
    services = with_failing_bus(service)
    upload_file(client, services)
    delete_file(services, NS, NAME)
    kept, service.services = service.services, with_failing_bus(service)
    for _ in range(30):
        service.clock.advance(DAY_MS)
        assert service.sweep().errors >= 1
    assert (client.upload_id,) not in service.upload_repository.rows.ttls
    service.services = kept
    service.clock.advance(HOUR_MS)
    service.sweep()
    service.assert_events_published()
    assert (client.upload_id,) in service.upload_repository.rows.ttls


def test_pending_events_events_disabled_dropped(service: InMemoryService, client: Client) -> None:
    """If events are turned off, pending ones are dropped, and nothing stays due."""
    upload_file(client, with_failing_bus(service))
    delete_file(with_failing_bus(service), NS, NAME)
    service.publish_events = False
    service.services = service.new_services()
    service.drain_cleanup()
    assert service.event_publisher.published == []
    assert service.upload_repository.rows.task_due_times == {}
    assert service.upload_repository.rows.deleted_files == {}


def test_cancelled_event_published_before_deletion(service: InMemoryService, client: Client) -> None:
    """The end is published before storage is deleted; each sweep that it takes repeats it under the same event id."""
    client.start()
    client.cancel(service.new_services(FaultPlan({("abort_multipart", 1): Fault.UNAVAILABLE})))
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "cancelled"]
    service.sweep()
    assert service.event_publisher.kinds_for(client.upload_id) == ["started", "cancelled", "cancelled"]
    assert len({event.id for event in service.event_publisher.published}) == 2


def start_and_cancel(client: Client, services: Services) -> None:
    client.start(services)
    client.cancel(services)


def complete_and_delete(client: Client, services: Services) -> None:
    upload_file(client, services)
    delete_file(services, NS, NAME)


@pytest.mark.parametrize(
    ("operation", "events", "writes"), [(start_and_cancel, 2, 0), (upload_file, 2, 1), (complete_and_delete, 3, 2)]
)
def test_events_stay_within_call_budget(
    service: InMemoryService, client: Client, operation: Callable[[Client, Services], None], events: int, writes: int
) -> None:
    """Each event takes one call, and a completion or deletion one more write. Nothing else is added."""
    without_events, with_events = CallLog(), CallLog()
    quiet = InMemoryService()
    operation(Client(quiet, BODY), quiet.new_services(log=without_events))
    operation(client, service.new_services(log=with_events))
    assert with_events.count("publish") == events
    assert with_events.count("clear_pending_event") + with_events.count("delete_task") == writes
    assert len(with_events.calls) == len(without_events.calls) + events + writes


def test_events_disabled_nothing_pending(service: InMemoryService) -> None:
    """With events off, no event is pending and none is scheduled."""
    quiet = InMemoryService()
    client = Client(quiet, BODY)
    complete_and_delete(client, quiet.services)
    repository: UploadRepository = quiet.upload_repository
    upload = repository.get_upload(client.upload_id)
    assert upload is not None
    assert not upload.record.event_pending
    assert {kind.value for kind, _ in quiet.upload_repository.rows.task_due_times} == {"staged_chunks", "object"}
    quiet.clock.advance(HOUR_MS)
    assert quiet.sweep().errors == 0
