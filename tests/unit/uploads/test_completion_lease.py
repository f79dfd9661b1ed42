"""What an attempt to complete leaves behind when it fails: the lease, the object and the chunks on record."""

from __future__ import annotations

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import BackendUnavailable, ChecksumMismatch, CompletionFailed, UploadIncomplete
from ferry.model.files import File
from ferry.model.uploads import UploadRecord, UploadState
from tests.support.in_memory_service import CHUNK_BYTES, Client, InMemoryService, seeded_bytes

PART_BYTES = 2 * CHUNK_BYTES


@pytest.fixture
def client(service: InMemoryService) -> Client:
    """Return an upload of one part, started."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    return client


def record_of(client: Client) -> UploadRecord:
    return client.service.upload_repository.rows.records[client.upload_id]


def test_complete_staged_chunk_lost_requires_it_again(service: InMemoryService, client: Client) -> None:
    """If a recorded chunk's bytes are gone, the upload opens again without that chunk, and takes it again."""
    client.presign_part(1)
    client.send_chunk(1)
    client.send_chunk(2, services=service.new_services(FaultPlan({("upload_part", 1): Fault.UNAVAILABLE})))
    [lost_key] = [key for key in service.object_store.objects if "/2-" in key]
    del service.object_store.objects[lost_key]
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete()
    assert rejected.value.extra["missing"] == [(2, 2)]
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    assert (upload.record.state, upload.chunk_indexes(), upload.recorded_chunk_bytes) == (
        UploadState.OPEN,
        [1],
        CHUNK_BYTES,
    )
    client.send_chunk(2)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_complete_commit_fails_records_object(service: InMemoryService, client: Client) -> None:
    """If the commit fails, the object is on record: the upload takes repeated chunks alone and can be completed."""
    client.send_chunks()
    with pytest.raises(BackendUnavailable):
        client.complete(services=service.new_services(FaultPlan({("commit_file", 1): Fault.UNAVAILABLE})))
    assert record_of(client).stored_object is not None
    client.send_chunk(1)
    with pytest.raises(CompletionFailed):
        client.presign_part(1)
    log = CallLog()
    assert isinstance(client.complete(services=service.new_services(log=log)), File)
    assert log.count("complete_multipart") == 0


def test_complete_lease_response_lost_opens_upload_at_once(service: InMemoryService, client: Client) -> None:
    """If the lease was acquired but its response was lost, the lease is released, and a retry need not wait."""
    client.send_chunks()
    with pytest.raises(BackendUnavailable):
        client.complete(services=service.new_services(FaultPlan({("acquire_lease", 1): Fault.LOST_RESPONSE})))
    assert record_of(client).state is UploadState.OPEN
    assert isinstance(client.complete(), File)


def test_complete_existing_object_has_other_checksum_records_object(service: InMemoryService, client: Client) -> None:
    """If the object of an earlier attempt has a different checksum, it is recorded, and the upload stays open."""
    client.send_chunks()
    lost_response = FaultPlan({("complete_multipart", 1): Fault.LOST_RESPONSE})
    with pytest.raises(BackendUnavailable):
        client.complete(services=service.new_services(lost_response))
    with pytest.raises(ChecksumMismatch):
        client.complete(crc32c=client.crc ^ 1)
    record = record_of(client)
    assert (record.state, record.stored_object is not None) == (UploadState.OPEN, True)
    assert isinstance(client.complete(crc32c=client.crc), File)
    assert service.file_content() == client.body
