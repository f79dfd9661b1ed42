"""Final uploads whose partial uploads were left half done, or are gone."""

from __future__ import annotations

from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import BackendUnavailable, InvalidPartial, UploadExpired
from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadState
from ferry.resumable.append import AppendResult
from ferry.resumable.concatenate import create_final
from ferry.resumable.create import CreateRequest
from ferry.services import Services
from ferry.uploads.async_completion import resume_expired
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

BODIES = [seeded_bytes(10), seeded_bytes(2 * PART_BYTES + 100, seed=2)]


def send_partials(service: InMemoryService) -> list[SequentialClient]:
    clients = [SequentialClient(service, body) for body in BODIES]
    for client in clients:
        client.create(is_partial=True)
        client.send(CHUNK_BYTES)
    return clients


def concatenate(clients: list[SequentialClient], services: Services) -> AppendResult:
    request = CreateRequest(Protocol.TUS, name=NAME)
    return create_final(services, NS, request, [client.upload_id for client in clients])


@pytest.mark.parametrize("call", ["upload_part", "complete_multipart", "release_lease"])
def test_final_of_partial_whose_last_append_died_makes_the_file(service: InMemoryService, call: str) -> None:
    """The offset of such a partial is its length, so its client goes on. It gets a 503, then the file."""
    client = SequentialClient(service, BODIES[1])
    client.create(is_partial=True)
    for offset in range(0, 2 * PART_BYTES, CHUNK_BYTES):
        client.append(offset, CHUNK_BYTES)
    dying = service.new_services(FaultPlan({(call, 1): Fault.CRASH_BEFORE}), CallLog())
    assert swallow_crash(partial(client.append, 2 * PART_BYTES, 100, dying)) is None
    assert client.offset() == len(client.body)
    with pytest.raises(BackendUnavailable, match="Repeat the request"):
        concatenate([client], service.services)
    service.clock.advance(LEASE_MS + 1)
    assert concatenate([client], service.services).file is not None
    assert service.file_content() == client.body


def test_final_of_partial_that_lacks_bytes_is_rejected(service: InMemoryService) -> None:
    """A partial upload without all its bytes is the client's mistake."""
    client = SequentialClient(service, BODIES[1])
    client.create(is_partial=True)
    client.append(0, CHUNK_BYTES)
    with pytest.raises(InvalidPartial):
        concatenate([client], service.services)


def test_final_whose_partial_is_gone_expires(service: InMemoryService) -> None:
    """Cleanup finds the final without the bytes of a partial: it ends, and is not tried again for ever."""
    clients = send_partials(service)
    dying = service.new_services(FaultPlan({("copy_part", 1): Fault.CRASH_BEFORE}), CallLog())
    swallow_crash(partial(concatenate, clients, dying))
    [final_id] = service.sequential_repository.get_sequential_ids(NS, NAME)
    for client in clients:
        client.delete()
        del service.object_store.objects[f"o/{client.upload_id}"]
    service.clock.advance(LEASE_MS + 1)
    final = service.upload_repository.get_upload(final_id)
    assert final is not None
    with pytest.raises(UploadExpired, match="partial upload are gone"):
        resume_expired(service.services, final)
    final = service.upload_repository.get_upload(final_id)
    assert final is not None
    assert final.record.state is UploadState.EXPIRED
    service.drain_cleanup()
    assert service.orphans() == []
