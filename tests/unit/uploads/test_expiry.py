"""How uploads and files end: by the clock, by cleanup, by being replaced or deleted."""

from __future__ import annotations

import pytest

from dev.fakes.faults import Fault, FaultPlan, ProcessCrashed
from ferry.errors import FileNotFound, UploadExpired
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS
from ferry.uploads.complete import CompleteRequest, complete
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

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
