"""The modification date of a file: S3's date of its object, and different for each file of a name."""

from __future__ import annotations

import pytest

from dev.fakes.clock import START_MS
from dev.fakes.faults import Fault, FaultPlan
from ferry.errors import BackendUnavailable
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.rules.durations import SECOND_MS
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes


def store_file(client: Client, *, if_exists: IfExists = IfExists.FAIL) -> File:
    client.start(if_exists=if_exists)
    client.send_chunks()
    file = client.complete()
    assert isinstance(file, File)
    return file


def object_last_modified(service: InMemoryService, file: File) -> int | None:
    found = service.object_store.head(f"o/{file.upload_id}")
    return None if found is None else found.last_modified_seconds


@pytest.mark.parametrize("size", [0, CHUNK_BYTES + 1])
def test_last_modified_new_file_equals_object_date(service: InMemoryService, size: int) -> None:
    """S3 dates an object by the start of its multipart upload; an empty one by its completion."""
    client = Client(service, seeded_bytes(size))
    client.start()
    service.clock.advance(3_600 * SECOND_MS)
    client.send_chunks()
    file = client.complete()
    assert isinstance(file, File)
    assert (
        file.last_modified_seconds
        == object_last_modified(service, file)
        == (START_MS // SECOND_MS if size else file.uploaded_at // SECOND_MS)
    )
    assert file.uploaded_at == START_MS + 3_600 * SECOND_MS


@pytest.mark.parametrize("into_second", [0, 1, 999])
def test_replace_within_same_second_waits_for_next(service: InMemoryService, into_second: int) -> None:
    """A replacement in the same second waits for the next, so that its date differs and is still S3's."""
    service.clock.advance(into_second - START_MS % SECOND_MS)
    old = store_file(Client(service, b"old"))
    new = store_file(Client(service, b"new"), if_exists=IfExists.REPLACE)
    assert new.last_modified_seconds == old.last_modified_seconds + 1 == object_last_modified(service, new)
    assert service.clock() < (old.last_modified_seconds + 2) * SECOND_MS


def test_replace_older_file_does_not_wait(service: InMemoryService) -> None:
    """A replacement in a later second does not wait."""
    store_file(Client(service, b"old"))
    service.clock.advance(SECOND_MS)
    before = service.clock()
    store_file(Client(service, b"new"), if_exists=IfExists.REPLACE)
    assert service.clock() == before


def test_replace_store_clock_ahead_waits_at_most_one_second(service: InMemoryService) -> None:
    """If S3's clock is ahead, a replacement waits a second at most, and its date is still later."""
    service.clock.advance(3_600 * SECOND_MS)
    old = store_file(Client(service, b"old"))
    service.clock.advance(-3_600 * SECOND_MS)
    before = service.clock()
    new = store_file(Client(service, b"new"), if_exists=IfExists.REPLACE)
    assert service.clock() - before == SECOND_MS
    assert new.last_modified_seconds == old.last_modified_seconds + 1


def test_upload_after_delete_does_not_wait(service: InMemoryService) -> None:
    """After a delete there is no file to replace, so a new upload does not wait."""
    store_file(Client(service, b"old"))
    delete_file(service.services, NS, NAME)
    before = service.clock()
    store_file(Client(service, b"new"))
    assert service.clock() == before


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_RESPONSE])
def test_complete_head_fails_retry_finds_object(service: InMemoryService, fault: Fault) -> None:
    """If the date cannot be read, the completion fails; the next one finds the object and its date."""
    client = Client(service, seeded_bytes(CHUNK_BYTES))
    client.start()
    client.send_chunks()
    service.clock.advance(60 * SECOND_MS)
    with pytest.raises(BackendUnavailable):
        client.complete(services=service.new_services(FaultPlan({("head", 1): fault})))
    assert service.file_content() is None
    file = client.complete()
    assert not isinstance(file, CompletionAccepted)
    assert file.last_modified_seconds == START_MS // SECOND_MS
    assert service.log.count("complete_multipart") == 1
    assert service.file_content() == client.body
