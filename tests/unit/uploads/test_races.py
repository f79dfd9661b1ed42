"""Two requests at once, interleaved call by call: somebody else acts just before a given call."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, FaultStep
from ferry.errors import (
    BackendUnavailable,
    ChecksumMismatch,
    ChunkConflict,
    CompletionInProgress,
    UploadCancelled,
    UploadInProgress,
)
from ferry.model.files import File
from ferry.model.uploads import UploadState
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import CHUNK_BYTES, Client, InMemoryService, seeded_bytes, swallow_crash

PART_BYTES = 2 * CHUNK_BYTES


def start_client(service: InMemoryService, size: int = PART_BYTES, **options: Any) -> Client:
    client = Client(service, seeded_bytes(size))
    client.start(**options)
    return client


def test_last_chunks_concurrent_assemble_part_once(service: InMemoryService) -> None:
    """Both are staged, and exactly the one recorded last puts the part together."""
    client = start_client(service)
    log = CallLog()
    client.send_chunk(1, services=service.new_services(FaultPlan({("put", 1): lambda: client.send_chunk(2)}), log))
    assert (log.count("upload_part"), service.log.count("upload_part")) == (1, 0)
    [upload] = service.object_store.multipart_uploads.values()
    assert upload.parts[1][1] == client.body
    assert isinstance(client.complete(), File)


def test_same_chunk_concurrent_counted_once(service: InMemoryService) -> None:
    """Both senders are told the same success."""
    client = start_client(service, 2 * PART_BYTES)
    log = CallLog()
    accepted = client.send_chunk(
        1, services=service.new_services(FaultPlan({("record_chunk", 1): lambda: client.send_chunk(1)}), log)
    )
    assert (accepted.received_bytes, log.count("record_chunk")) == (CHUNK_BYTES, 1)
    assert client.send_chunk(1) == accepted


def test_same_chunk_concurrent_different_bytes_one_wins(service: InMemoryService) -> None:
    """Whoever claims first wins; the loser is told, and nothing of it is stored."""
    client = start_client(service)
    with pytest.raises(ChunkConflict):
        client.send_chunk(
            1,
            body=seeded_bytes(CHUNK_BYTES, seed=9),
            services=service.new_services(FaultPlan({("put_chunk_digest", 1): lambda: client.send_chunk(1)})),
        )
    client.send_chunk(2)
    assert len(service.object_store.objects) == 1
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_starts_concurrent_share_one_multipart_upload(service: InMemoryService) -> None:
    """The one who comes second to open it removes what it has made."""
    client = Client(service, seeded_bytes(PART_BYTES))
    other = Client(service, client.body)
    client.start(services=service.new_services(FaultPlan({("create_multipart", 1): other.start})))
    assert client.upload_id == other.upload_id
    assert len(service.object_store.multipart_uploads) == 1


@pytest.mark.parametrize("before", ["create_upload", "create_multipart", "mark_open"])
def test_restarts_concurrent_one_rejected(service: InMemoryService, before: str) -> None:
    """Each cancels what it found, once; who then meets another's new upload is told of it and leaves it alone."""
    start_client(service)
    one, other = Client(service, seeded_bytes(PART_BYTES, seed=2)), Client(service, seeded_bytes(PART_BYTES, seed=3))
    services = service.new_services(FaultPlan({(before, 1): lambda: other.start(restart=True)}))
    with pytest.raises(UploadInProgress) as refused:
        one.start(services=services, restart=True)
    assert refused.value.extra["upload_id"] == other.upload_id
    other.send_chunks()
    assert isinstance(other.complete(), File)
    assert service.file_content() == other.body


def test_restart_resumed_by_other_keeps_own_upload(service: InMemoryService) -> None:
    """Somebody who resumes the new upload opens it first; both have the same."""
    start_client(service)
    one, other = Client(service, seeded_bytes(PART_BYTES)), Client(service, seeded_bytes(PART_BYTES))
    services = service.new_services(FaultPlan({("mark_open", 1): other.start}))
    one.start(services=services, restart=True)
    assert one.upload_id == other.upload_id
    assert len(service.object_store.multipart_uploads) == 1


def test_complete_chunk_before_lease_is_verified(service: InMemoryService) -> None:
    """It makes a part whole that had been put straight with other bytes: the acknowledged chunks are the file."""
    client = start_client(service)
    client.send_chunk(1)
    assert client.put_part(client.presign_part(1), seeded_bytes(PART_BYTES, seed=9)).status == 200

    def second() -> None:
        script = FaultPlan({("upload_part", 1): Fault.UNAVAILABLE})
        client.send_chunk(2, services=service.new_services(script))

    client.complete(services=service.new_services(FaultPlan({("acquire_lease", 1): second})))
    assert service.file_content() == client.body


def test_complete_part_overwritten_after_listing_reassembled(service: InMemoryService) -> None:
    """S3 refuses a part that changed since it was checked; it is mended and completed again."""
    client = start_client(service)
    late = client.presign_part(1)
    client.send_chunks()
    script = FaultPlan({("complete_multipart", 1): lambda: client.put_part(late, seeded_bytes(PART_BYTES, seed=9))})
    log = CallLog()
    assert isinstance(client.complete(services=service.new_services(script, log)), File)
    assert log.count("complete_multipart") == 2
    assert service.file_content() == client.body


def test_complete_part_keeps_changing_rejected(service: InMemoryService) -> None:
    """Whoever keeps overwriting a part is told to stop; the upload stays open."""
    client = start_client(service)
    late = client.presign_part(1)
    client.send_chunks()
    bodies = iter(range(100, 200))
    steps: dict[int | tuple[str, int], FaultStep] = {
        ("complete_multipart", n): lambda: client.put_part(late, seeded_bytes(PART_BYTES, seed=next(bodies)))
        for n in range(1, 20)
    }
    with pytest.raises(BackendUnavailable):
        client.complete(services=service.new_services(FaultPlan(steps)))
    assert client.state() is UploadState.OPEN
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_completions_concurrent_return_same_file(service: InMemoryService) -> None:
    """The second waits for the first."""
    client = start_client(service)
    client.send_chunks()
    seen: list[object] = []

    def second() -> None:
        seen.append(client.complete())

    first = client.complete(services=service.new_services(FaultPlan({("complete_multipart", 1): second})))
    assert isinstance(first, File)
    assert [type(result) for result in seen] == [CompletionAccepted]
    assert client.complete() == first


@pytest.mark.parametrize("before", ["get_upload", "get_file", "acquire_lease"])
def test_complete_after_other_completion_returns_same_file(service: InMemoryService, before: str) -> None:
    """The file that it finds under the name is its own upload's, and no reason to refuse."""
    client = start_client(service, replace_existing=True)
    client.send_chunks()
    seen: list[object] = []
    services = service.new_services(FaultPlan({(before, 1): lambda: seen.append(client.complete())}))
    assert [client.complete(services=services, replace_existing=False)] == seen
    assert isinstance(seen[0], File)


def test_complete_lease_taken_over_returns_same_file(service: InMemoryService) -> None:
    """The first one's lease lapses just before it would have switched the pointer."""
    client = start_client(service)
    client.send_chunks()
    results: list[object] = []

    def take_over() -> None:
        service.clock.advance(service.services.lease_duration_ms + 1)
        results.append(client.complete())

    first = client.complete(services=service.new_services(FaultPlan({("commit_file", 1): take_over})))
    assert results == [first]
    assert isinstance(first, File)
    service.drain_cleanup()
    assert service.file_content() == client.body
    assert service.orphans() == []


def test_commit_file_already_committed_returns_it(service: InMemoryService) -> None:
    """Whoever lost the lease, and then finds the file of its own upload under the name, is given that file."""
    client = start_client(service)
    client.send_chunks()
    results: list[object] = []

    def lose_the_lease() -> None:
        service.clock.advance(service.services.lease_duration_ms + 1)
        with suppress(BackendUnavailable):
            client.complete(services=service.new_services(FaultPlan({("commit_file", 1): Fault.UNAVAILABLE})))

    steps: dict[int | tuple[str, int], FaultStep] = {
        ("commit_file", 1): lose_the_lease,
        ("get_file", 1): lambda: results.append(client.complete()),
    }
    log = CallLog()
    assert [client.complete(services=service.new_services(FaultPlan(steps), log))] == results
    assert log.count("commit_file") == 1
    assert service.file_content() == client.body


@pytest.mark.parametrize("before", ["acquire_lease", "complete_multipart", "commit_file"])
def test_cancel_concurrent_with_complete_one_wins(service: InMemoryService, before: str) -> None:
    """Before the lease the cancel wins, after it the completion; the loser is told."""
    client = start_client(service)
    client.send_chunks()
    told: list[type[Exception]] = []

    def meanwhile() -> None:
        try:
            client.cancel()
        except CompletionInProgress as refused:
            told.append(type(refused))

    services = service.new_services(FaultPlan({(before, 1): meanwhile}))
    if before == "acquire_lease":
        with pytest.raises(UploadCancelled):
            client.complete(services=services)
        assert (service.file_content(), told) == (None, [])
    else:
        assert isinstance(client.complete(services=services), File)
        assert (service.file_content(), told) == (client.body, [CompletionInProgress])
    service.drain_cleanup()
    assert service.orphans() == []


@pytest.mark.parametrize("before", ["put_chunk_digest", "put", "record_chunk"])
def test_cancel_concurrent_with_chunk_leaves_nothing(service: InMemoryService, before: str) -> None:
    """A chunk in flight is refused, or was acknowledged before; its stage goes in the end."""
    client = start_client(service)
    with pytest.raises(UploadCancelled):
        client.send_chunk(1, services=service.new_services(FaultPlan({(before, 1): client.cancel})))
    service.drain_cleanup()
    assert service.orphans() == []


def test_compaction_concurrent_chunks_counted_once(service: InMemoryService) -> None:
    """Several hundred chunks, each resent, with folds between a recorder's read and its write."""
    client = start_client(service, 300 * CHUNK_BYTES)
    for index in range(1, 301, 2):
        before = FaultPlan({("record_chunk", 1): partial(client.send_chunk, index)})
        client.send_chunk(index + 1, services=service.new_services(before))
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    assert upload.shards[0].epoch > 2
    for index in (1, 150, 300):
        assert client.send_chunk(index).received_bytes == len(client.body)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_cancel_crashed_keeps_completion_options(service: InMemoryService) -> None:
    """It took over a lapsed lease and got no further: who goes on with the completion has it as it was asked for."""
    client = start_client(service)
    client.send_chunks()
    for act in (partial(client.complete, crc32c=client.crc ^ 1), client.cancel):
        swallow_crash(partial(act, services=service.new_services(FaultPlan({("acquire_lease", 1): Fault.CRASH_AFTER}))))
        service.clock.advance(service.services.lease_duration_ms + 1)
    service.sweep()
    assert (client.state(), service.file_content()) == (UploadState.OPEN, None)
    with pytest.raises(ChecksumMismatch):
        client.complete(crc32c=client.crc ^ 1)
    assert isinstance(client.complete(crc32c=client.crc), File)
