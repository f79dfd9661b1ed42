"""Situations that lead up to an operation: uploads of one file, half done, done, broken or restored."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import FileExists
from ferry.model.files import File, IfExists
from ferry.model.quotas import Quota
from ferry.rules.durations import HOUR_MS
from ferry.services import Services
from tests.support.in_memory_service import (
    CHUNK_BYTES,
    LEASE_MS,
    NAME,
    NS,
    Client,
    InMemoryService,
    seeded_bytes,
    swallow_crash,
)

PART_BYTES = 2 * CHUNK_BYTES
FILE_BYTES = PART_BYTES + 5
BODY = seeded_bytes(FILE_BYTES)
NEW_BODY = seeded_bytes(FILE_BYTES, seed=2)


def service_with_quota() -> InMemoryService:
    """Return a service with events on and with a quota."""
    return InMemoryService(publish_events=True, quota=Quota(max_bytes=10**9, max_uploads=100))


def service_without_quota() -> InMemoryService:
    """Return a service with events on. It stores the digest and the bytes of a chunk at the same time."""
    return InMemoryService(publish_events=True)


def service_with_bytes_first() -> InMemoryService:
    """Return such a service, in which the bytes are stored before the digest."""
    return InMemoryService(publish_events=True, second_before_first=True)


def new_client(service: InMemoryService) -> Client:
    return Client(service, BODY)


def started(*chunks: int) -> Callable[[InMemoryService], Client]:
    def prepare(service: InMemoryService) -> Client:
        client = new_client(service)
        client.start()
        client.send_chunks(list(chunks)) if chunks else None
        return client

    return prepare


def known_but_changed(
    change: Callable[[Client, Services], object],
) -> Callable[[InMemoryService], Client]:
    """Send the first chunk, after which `service.services` knows the upload, then change it in another process."""

    def prepare(service: InMemoryService) -> Client:
        client = started(1)(service)
        change(client, service.new_services(log=CallLog()))
        return client

    return prepare


def dead_request(index: int, *chunks: int) -> Callable[[InMemoryService], Client]:
    """Send chunks, then other bytes for chunk `index` in a request that dies before it records the chunk."""

    def prepare(service: InMemoryService) -> Client:
        client = started(*chunks)(service)
        services = service.new_services(FaultPlan({("record_chunk", 1): Fault.CRASH_BEFORE}))
        swallow_crash(lambda: client.send_chunk(index, services, seeded_bytes(CHUNK_BYTES, seed=9)))
        service.clock.advance(LEASE_MS)
        return client

    return prepare


def with_stale_part(service: InMemoryService) -> Client:
    """Send all chunks, with a late part of a dead request over part 1."""
    client = started(1)(service)
    plan = FaultPlan({("upload_part", 1): Fault.DELAYED_EFFECT})
    swallow_crash(lambda: client.send_chunk(2, service.new_services(plan), seeded_bytes(CHUNK_BYTES, seed=9)))
    client.send_chunks([2, 3])
    plan.apply_in_flight()
    return client


def idle(*chunks: int) -> Callable[[InMemoryService], Client]:
    """Send chunks, then nothing for an hour."""

    def prepare(service: InMemoryService) -> Client:
        client = started(*chunks)(service)
        service.clock.advance(HOUR_MS)
        return client

    return prepare


def joined(service: InMemoryService) -> Client:
    """Start twice without proof, then send the first chunk."""
    client = started()(service)
    client.start()
    client.send_chunk(1)
    return client


def mixed_paths(service: InMemoryService) -> Client:
    """Complete part 1 by chunks, overwrite it through a URL that was signed before, send part 2 straight to S3."""
    client = new_client(service)
    client.start()
    late = client.presign_part(1)
    client.send_chunks([1, 2])
    assert client.put_part(late, seeded_bytes(PART_BYTES, seed=9)).status == 200
    assert client.put_part(client.presign_part(2), client.part_body(2)).status == 200
    return client


def presigned(service: InMemoryService) -> Client:
    """Send both parts straight to S3."""
    client = new_client(service)
    client.start()
    for number in (1, 2):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200
    return client


def unassembled_parts(service: InMemoryService, *failing_chunks: int) -> Client:
    """Stage all chunks of part 1, and of part 2 with `failing_chunks`, with both assemblies left to the completion."""
    client = started(1)(service)
    plan = FaultPlan({("record_chunk", 1): lambda: None, ("upload_part", 1): Fault.UNAVAILABLE})
    swallow_crash(lambda: client.presign_part(1))
    client.send_chunk(2, services=service.new_services(plan))
    for index in range(3, client.chunk_count + 1):
        plan = FaultPlan({("upload_part", 1): Fault.UNAVAILABLE} if index in failing_chunks else {})
        client.send_chunk(index, services=service.new_services(plan))
    return client


def slow_assembly(service: InMemoryService) -> Client:
    """Leave both parts to the completion, and let each assembly take longer than the budget of a request."""
    client = unassembled_parts(service, 3)
    service.object_store.on_upload_part = lambda: service.clock.advance(service.services.assembly_budget_ms + 1)
    return client


def slow_multipart_completion(service: InMemoryService) -> Client:
    """Let S3 take longer than the budget of a request to build the object, once."""
    client = started(1, 2, 3)(service)

    def take_long() -> None:
        service.clock.advance(service.services.assembly_budget_ms + LEASE_MS // 2)
        service.object_store.on_complete_multipart = lambda: None

    service.object_store.on_complete_multipart = take_long
    return client


def completed(service: InMemoryService) -> Client:
    client = started(1, 2, 3)(service)
    client.complete()
    return client


def with_existing_file(service: InMemoryService) -> Client:
    """Finish a file, and return a client with another one for its name."""
    completed(service)
    return Client(service, NEW_BODY)


def with_replacement_uploaded(service: InMemoryService) -> Client:
    """Finish a file, and send all bytes of the one that replaces it."""
    client = with_existing_file(service)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    return client


def crashed_completion(method: str) -> Callable[[InMemoryService], Client]:
    """Crash a completion just before that call, and let its lease expire."""

    def prepare(service: InMemoryService) -> Client:
        client = started(1, 2, 3)(service)
        swallow_crash(lambda: client.complete(service.new_services(FaultPlan({(method, 1): Fault.CRASH_BEFORE}))))
        service.clock.advance(LEASE_MS + 1)
        return client

    return prepare


def complete_after_other_file(client: Client) -> File:
    """Let a completion be rejected because a file of the name appears after the object is built. Return that file."""
    service = client.service
    other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, service.clock(), 1, 1)
    plan = FaultPlan(
        {("complete_multipart", 1): lambda: service.upload_repository.rows.files.update({(NS, NAME): other})}
    )
    with pytest.raises(FileExists):
        client.complete(service.new_services(plan, CallLog()))
    return other


def rejected_at_commit(service: InMemoryService) -> Client:
    """Reject a completion because a file of the name appears after the object is built; then remove that file."""
    client = started(1, 2, 3)(service)
    complete_after_other_file(client)
    del service.upload_repository.rows.files[NS, NAME]
    return client


def restored(
    prepare_backup: Callable[[InMemoryService], Client], lost_operation: Callable[[Client], object]
) -> Callable[[InMemoryService], Client]:
    """Restore the metadata store to before `lost_operation`; S3 stays as it was after it."""

    def prepare(service: InMemoryService) -> Client:
        client = prepare_backup(service)
        backup = service.upload_repository.snapshot()
        lost_operation(client)
        service.restore_metadata(backup)
        return client

    return prepare
