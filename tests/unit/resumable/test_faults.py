"""The fault matrix of sequential uploads: each call of each operation fails in each way, then the client goes on.

The client knows the protocol alone: after a failure it asks for the offset and sends the rest from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import FerryError, OffsetMismatch, UploadNotFound
from ferry.model.quotas import Quota
from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadState
from ferry.resumable.append import AppendResult
from ferry.resumable.concatenate import create_final
from ferry.resumable.create import CreateRequest
from ferry.services import Services
from tests.support.in_memory_service import (
    CHUNK_BYTES,
    LEASE_MS,
    NAME,
    NS,
    InMemoryService,
    seeded_bytes,
    swallow_crash,
)
from tests.support.sequential_client import SequentialClient
from tests.unit.resumable.conftest import PART_BYTES
from tests.unit.uploads.fault_cases import calls_to_break, faults

pytestmark = pytest.mark.slow

BODY = seeded_bytes(2 * PART_BYTES + 100)

CountCases = Callable[[str, int], None]


@dataclass(frozen=True)
class Operation:
    """An operation of a client in one situation."""

    name: str
    """How the matrix names it."""
    sent: int
    """Bytes that the upload has before."""
    run: Callable[[SequentialClient, Services], object]
    """Runs it, as the process that breaks."""
    deferred: bool = False
    """Whether the length is not declared at the creation."""
    protocol: Protocol = Protocol.TUS
    """The protocol."""


def append_piece(client: SequentialClient, services: Services) -> object:
    return client.append(client.offset(), 1_000, services)


def append_part(client: SequentialClient, services: Services) -> object:
    return client.append(client.offset(), CHUNK_BYTES + 50, services)


def append_last(client: SequentialClient, services: Services) -> object:
    return client.append(client.offset(), len(BODY), services)


def end_draft(client: SequentialClient, services: Services) -> object:
    return client.append(client.offset(), len(BODY), services, is_last=True)


def create(client: SequentialClient, services: Services) -> object:
    return client.create(services, length=None if client.protocol is Protocol.DRAFT else len(BODY))


def delete(client: SequentialClient, services: Services) -> object:
    return client.delete(services)


OPERATIONS = [
    Operation("create", -1, create),
    Operation("append a piece", 5, append_piece),
    Operation("append a piece of unknown length", 5, append_piece, deferred=True),
    Operation("append the first part", CHUNK_BYTES, append_part),
    Operation("append a further part", PART_BYTES + CHUNK_BYTES, append_part),
    Operation("append the last bytes", 2 * PART_BYTES, append_last),
    Operation("append all bytes of a small file", 0, append_last),
    Operation("end an upload of the draft", 2 * PART_BYTES, end_draft, deferred=True, protocol=Protocol.DRAFT),
    Operation("delete", PART_BYTES + 10, delete),
]


def service_with_quota() -> InMemoryService:
    return InMemoryService(publish_events=True, quota=Quota(max_bytes=10**9, max_uploads=100))


def prepare(operation: Operation, service: InMemoryService) -> SequentialClient:
    """Return a client whose upload has what the operation needs."""
    small = operation.name.endswith("small file")
    client = SequentialClient(service, BODY[:CHUNK_BYTES] if small else BODY, operation.protocol)
    if operation.sent < 0:
        return client
    client.create(length=None if operation.deferred else len(client.body))
    for offset in range(0, operation.sent, CHUNK_BYTES):
        is_last = False if operation.protocol is Protocol.DRAFT else None
        client.append(offset, min(CHUNK_BYTES, operation.sent - offset), is_last=is_last)
    return client


def calls_of(operation: Operation) -> list[str]:
    """Return the calls that the operation makes when nothing fails."""
    service, log = service_with_quota(), CallLog()
    client = prepare(operation, service)
    operation.run(client, service.new_services(log=log))
    return log.methods


def go_on(client: SequentialClient) -> None:
    """Send the rest, as a client that asks for the offset after each failure."""
    for _ in range(20):
        if client.state() is UploadState.COMPLETE:
            return
        offset = client.offset()
        rest = len(client.body) - offset
        size = rest if rest <= CHUNK_BYTES + 200 else CHUNK_BYTES
        last: dict[str, Any] = {"is_last": size == rest} if client.protocol is Protocol.DRAFT else {}
        if client.protocol is Protocol.TUS and client.upload().record.sequential.length is None:  # type: ignore[union-attr]
            last = {"length": len(client.body)}
        try:
            result = client.append(offset, size, **last)
        except (OffsetMismatch, FerryError):
            client.service.clock.advance(LEASE_MS + 1)
            continue
        if result.pending is not None:
            client.service.clock.advance(LEASE_MS + 1)
    raise AssertionError("never completed")


def assert_drained(service: InMemoryService, content: bytes | None) -> None:
    """Check that in the end only the file is left: no object, no multipart upload, nothing due."""
    service.drain_cleanup()
    assert service.orphans() == []
    assert service.upload_repository.rows.task_due_times == {}
    assert service.file_content() == content
    assert not any(record.state.in_progress for record in service.upload_repository.rows.records.values())
    assert not any(service.upload_repository.rows.sequential_ids.values())
    service.assert_events_published()
    service.assert_quota_usage()


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_client_finishes(operation: Operation, fault: Fault, matrix: CountCases) -> None:
    """After any failure the client finishes its file: no acknowledged byte is lost, no offset falls."""
    for number in calls_to_break(calls_of(operation), fault):
        service = service_with_quota()
        client, plan = prepare(operation, service), FaultPlan({number: fault})
        before = client.offset() if client.upload_id else 0
        result = swallow_crash(partial(run_quietly, operation, client, service.new_services(plan)))
        if operation.run is delete:
            plan.apply_in_flight()
            finish_deletion(client)
            assert_drained(service, None)
            continue
        if operation.run is create and result is None:
            client.create()
        acknowledged = before
        if isinstance(result, AppendResult) and result.pending is None:
            acknowledged = client.offset()
        assert client.offset() >= acknowledged >= before
        plan.apply_in_flight()
        go_on(client)
        assert service.file_content(client.upload().record.owner[1]) == client.body, f"call {number}"
        if operation.run is not create:
            assert_drained(service, client.body)
        matrix(f"sequential, {operation.name}", 1)


def run_quietly(operation: Operation, client: SequentialClient, services: Services) -> object:
    """Run the operation. A conflict with its own repeated write is an error of the protocol, which the client knows."""
    try:
        return operation.run(client, services)
    except (OffsetMismatch, UploadNotFound):
        return None


def finish_deletion(client: SequentialClient) -> None:
    try:
        client.delete()
    except UploadNotFound:
        return


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_cleanup_recovers(operation: Operation, fault: Fault, matrix: CountCases) -> None:
    """If the client never comes back, cleanup leaves the whole file or none, and nothing else."""
    for number in calls_to_break(calls_of(operation), fault):
        service = service_with_quota()
        client, plan = prepare(operation, service), FaultPlan({number: fault})
        swallow_crash(partial(run_quietly, operation, client, service.new_services(plan)))
        service.sweep()
        plan.apply_in_flight()
        service.drain_cleanup()
        content = service.file_content()
        assert content in (None, client.body), f"call {number}"
        assert_drained(service, content)
        matrix(f"sequential, {operation.name}, abandoned", 1)


@pytest.mark.parametrize("fault", faults())
def test_concatenation_any_call_fails_leaves_the_file_or_none(fault: Fault, matrix: CountCases) -> None:
    """A final upload whose creation fails becomes a whole file, or leaves nothing; its partials are untouched."""

    def partials(service: InMemoryService) -> list[SequentialClient]:
        clients = [SequentialClient(service, body) for body in (BODY[:10], BODY, BODY[10:30])]
        for client in clients:
            client.create(is_partial=True)
            client.send(CHUNK_BYTES)
        return clients

    def concatenate(clients: list[SequentialClient], services: Services) -> AppendResult:
        request = CreateRequest(Protocol.TUS, name=NAME)
        return create_final(services, NS, request, [client.upload_id for client in clients])

    expected = BODY[:10] + BODY + BODY[10:30]
    service, log = service_with_quota(), CallLog()
    concatenate(partials(service), service.new_services(log=log))
    assert service.file_content() == expected
    for number in calls_to_break(log.methods, fault):
        service, plan = service_with_quota(), FaultPlan({number: fault})
        clients = partials(service)
        swallow_crash(partial(concatenate, clients, service.new_services(plan)))
        plan.apply_in_flight()
        for client in clients:
            client.delete()
        service.drain_cleanup()
        content = service.file_content()
        assert content in (None, expected), f"call {number}"
        assert_drained(service, content)
        matrix("sequential, concatenation", 1)
