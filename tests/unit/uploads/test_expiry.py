"""How uploads and files end: by the clock, by cleanup, by being replaced or deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.cleanup import sweep_due_tasks
from ferry.errors import (
    ChecksumMismatch,
    ChunkConflict,
    FileExists,
    FileNotFound,
    UploadCancelled,
    UploadExpired,
    UploadIncomplete,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes
from tests.unit.uploads.situations import complete_after_other_file

PART_BYTES = 2 * CHUNK_BYTES


def start_client(service: InMemoryService, size: int = 3 * PART_BYTES + 1) -> Client:
    client = Client(service, seeded_bytes(size))
    client.start()
    return client


def test_upload_past_idle_timeout_expires(service: InMemoryService) -> None:
    """Activity postpones the expiry. An upload past it is rejected even if no cleanup has run."""
    client = start_client(service, PART_BYTES)
    service.clock.advance(DAY_MS - 1)
    client.send_chunk(1)
    service.clock.advance(DAY_MS - 1)
    client.presign_part(1)
    service.clock.advance(DAY_MS)
    for late in (lambda: client.send_chunk(2), lambda: client.presign_part(1), client.complete):
        with pytest.raises(UploadExpired):
            late()
    assert client.start().created
    assert service.upload_repository.rows.records[client.upload_id].state is UploadState.OPEN


def test_upload_past_idle_timeout_supersedes_no_other(service: InMemoryService) -> None:
    """An upload that has expired is not open, even if no cleanup has run: the state of another id answers."""
    first = start_client(service, PART_BYTES)
    cancel(service.services, NS, NAME)
    start_client(service, PART_BYTES)

    def send(upload_id: str) -> None:
        accept_chunk(service.services, NS, ChunkRequest(NAME, 1, first.chunk_body(1), upload_id))

    for upload_id in (first.upload_id, "unknown"):
        with pytest.raises(UploadSuperseded):
            send(upload_id)
    service.clock.advance(DAY_MS)
    with pytest.raises(UploadCancelled):
        send(first.upload_id)
    with pytest.raises(UploadCancelled):
        complete(service.services, NS, CompleteRequest(NAME, first.upload_id))
    with pytest.raises(UploadNotFound):
        send("unknown")


def complete_incomplete(client: Client) -> None:
    with pytest.raises(UploadIncomplete):
        client.complete()


def complete_with_wrong_checksum(client: Client) -> None:
    with pytest.raises(ChecksumMismatch):
        client.complete(crc32c=client.crc ^ 1)


def complete_over_other_file(client: Client) -> None:
    with pytest.raises(FileExists):
        client.complete()


ACTIVITIES: dict[str, tuple[str, Callable[[Client], object]]] = {
    "a resuming start": ("some chunks", lambda client: client.start(resume=True)),
    "a repeated chunk": ("some chunks", lambda client: client.send_chunk(1)),
    "a signing": ("some chunks", lambda client: client.presign_part(2)),
    "a completion without all chunks": ("some chunks", complete_incomplete),
    "a completion with a wrong checksum": ("all chunks", complete_with_wrong_checksum),
    "a completion over another file": ("all chunks, other file", complete_over_other_file),
}


def prepare_activity(service: InMemoryService, situation: str) -> Client:
    client = start_client(service)
    client.send_chunks([1, 3] if situation == "some chunks" else None)
    if situation == "all chunks, other file":
        other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, service.clock(), 1, 1)
        service.upload_repository.rows.files[NS, NAME] = other
        complete_over_other_file(client)
    return client


@pytest.mark.parametrize("what", ACTIVITIES)
def test_activity_just_before_idle_timeout_extends_it(service: InMemoryService, what: str) -> None:
    """Whatever carries the upload on in the last moment gives it its whole idle timeout again."""
    situation, act = ACTIVITIES[what]
    client = prepare_activity(service, situation)
    for _ in range(3):
        service.clock.advance(DAY_MS - 1)
        act(client)
        upload = service.upload_repository.get_upload(client.upload_id)
        assert upload is not None
        assert (upload.record.state, upload.expires_at) == (UploadState.OPEN, service.clock() + DAY_MS)
    service.clock.advance(DAY_MS - 1)
    service.sweep()
    assert client.state() is UploadState.OPEN
    service.clock.advance(1)
    service.sweep()
    assert client.state() is UploadState.EXPIRED


@pytest.mark.parametrize(("age_ms", "writes"), [(MINUTE_MS - 1, 0), (MINUTE_MS, 1)])
@pytest.mark.parametrize("what", [what for what in ACTIVITIES if "signing" not in what and "wrong" not in what])
def test_activity_is_not_written_again_within_a_minute(
    service: InMemoryService, what: str, age_ms: int, writes: int
) -> None:
    """A client that repeats itself causes one write a minute at most."""
    situation, act = ACTIVITIES[what]
    client = prepare_activity(service, situation)
    before = service.log.count("record_activity")
    service.clock.advance(age_ms)
    for _ in range(3):
        act(client)
    assert service.log.count("record_activity") - before == writes


def test_activity_interval_follows_short_idle_timeout(service: InMemoryService) -> None:
    """With an idle timeout of three seconds, activity after 30 ms is recorded."""
    services = replace(service.services, upload_idle_timeout_ms=3_000)
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start(services)
    client.send_chunk(1, services)
    for _ in range(10):
        service.clock.advance(2_999)
        client.send_chunk(1, services)


def test_chunk_rejected_is_no_activity(service: InMemoryService) -> None:
    """A chunk with other bytes does not carry the upload on."""
    client = start_client(service)
    client.send_chunk(1)
    service.clock.advance(DAY_MS - 1)
    with pytest.raises(ChunkConflict):
        client.send_chunk(1, body=seeded_bytes(CHUNK_BYTES, seed=9))
    service.clock.advance(1)
    with pytest.raises(UploadExpired):
        client.send_chunk(1)


@pytest.mark.parametrize("is_known", [False, True])
def test_chunk_whose_upload_expires_while_it_is_stored_is_rejected(service: InMemoryService, is_known: bool) -> None:
    """A chunk is not recorded in an upload that has expired since its request began."""
    client = start_client(service)
    client.send_chunk(1)
    service.clock.advance(DAY_MS - 1 if not is_known else DAY_MS - 30 * SECOND_MS)
    if is_known:
        upload = service.upload_repository.get_upload(client.upload_id)
        assert upload is not None
        service.services.open_upload_cache.put(upload, service.clock())
    plan = FaultPlan({("put_chunk_digest", 1): lambda: service.clock.advance(30 * SECOND_MS)})
    services = service.new_services(plan, CallLog(), warm=service.services if is_known else None)
    with pytest.raises(UploadExpired):
        client.send_chunk(2, services)
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    assert not upload.has_chunk(2)


def test_activity_concurrent_with_expiry_one_wins(service: InMemoryService) -> None:
    """A sweep that has decided to expire an upload leaves it if a repeated chunk comes just before it does."""
    client = start_client(service)
    client.send_chunk(1)
    service.clock.advance(DAY_MS - 1)
    sweeping = service.new_services(FaultPlan({("terminate", 1): lambda: client.send_chunk(1)}))
    # The sweep's clock is ahead of the client's.
    ahead = replace(sweeping, clock=lambda: service.clock() + MINUTE_MS)
    sweep_due_tasks(ahead, has_time=lambda: True)
    assert client.state() is UploadState.OPEN
    client.send_chunk(2)


def test_upload_past_max_age_expires(service: InMemoryService) -> None:
    """An upload past its maximum age is rejected however active it is."""
    client = start_client(service)
    for _ in range(13):
        service.clock.advance(12 * HOUR_MS)
        client.presign_part(1)
    service.clock.advance(12 * HOUR_MS)
    with pytest.raises(UploadExpired):
        client.presign_part(1)


def test_sweep_stale_and_active_expires_only_stale(service: InMemoryService) -> None:
    """A stale upload is deleted with all its bytes; an active one is examined again later."""
    stale = start_client(service)
    stale.send_chunks([1, 3])
    active = Client(service, seeded_bytes(PART_BYTES), name="active")
    active.start()
    service.clock.advance(20 * HOUR_MS)
    active.send_chunk(1)
    service.clock.advance(5 * HOUR_MS)
    report = service.sweep()
    assert (report.expired, report.bytes_reclaimed, report.errors) == (1, 2 * CHUNK_BYTES, 0)
    assert stale.state() is UploadState.EXPIRED
    active.send_chunk(2)
    assert isinstance(active.complete(), File)
    service.drain_cleanup()
    assert service.orphans() == []
    assert service.file_content("active") == active.body
    assert service.upload_repository.rows.task_due_times == {}


def test_object_replaced_or_deleted_retained_for_a_day(service: InMemoryService) -> None:
    """The object of a replaced or deleted file is kept for a day, then deleted, and no other object is."""
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    client.complete()
    first = client.upload_id
    client.body = seeded_bytes(PART_BYTES, seed=2)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    client.complete()
    service.clock.advance(DAY_MS - 1)
    service.sweep()
    assert service.object_store.get(f"o/{first}") == seeded_bytes(PART_BYTES)
    service.drain_cleanup()
    assert service.object_store.get(f"o/{first}") is None
    assert service.file_content() == client.body
    delete_file(service.services, NS, NAME)
    with pytest.raises(FileNotFound):
        delete_file(service.services, NS, NAME)
    service.drain_cleanup()
    assert service.object_store.objects == {}


@pytest.mark.parametrize("end", ["expires", "is cancelled"])
def test_object_of_rejected_completion_is_deleted_in_bounded_time(service: InMemoryService, end: str) -> None:
    """The object of an upload whose completion met another file goes with a cancellation. After an expiry it stays for
    the retention of orphans, because a restore of the metadata store may have lost its file.
    """
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    complete_after_other_file(client)
    key = f"o/{client.upload_id}"
    assert key in service.object_store.objects
    if end == "is cancelled":
        cancel(service.services, NS, NAME)
        assert key not in service.object_store.objects
        return
    service.clock.advance(DAY_MS)
    service.sweep()
    assert client.state() is UploadState.EXPIRED
    service.clock.advance(service.services.orphan_retention_ms - 1)
    service.sweep()
    assert key in service.object_store.objects
    service.clock.advance(1)
    service.sweep()
    assert service.object_store.objects == {}


def test_sweep_expired_lease_completes_upload(service: InMemoryService) -> None:
    """A completion whose process crashed is resumed, not aborted."""
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    with pytest.raises(ProcessCrashed):
        client.complete(services=service.new_services(FaultPlan({("complete_multipart", 1): Fault.CRASH_AFTER})))
    assert client.state() is UploadState.COMPLETING
    service.clock.advance(HOUR_MS)
    service.sweep()
    assert client.state() is UploadState.COMPLETE
    assert service.file_content() == client.body
    assert isinstance(complete(service.services, NS, CompleteRequest(NAME)), File)
