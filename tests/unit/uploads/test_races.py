"""Two requests at once: the second runs just before a given call of the first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
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
from ferry.model.files import File, IfExists
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadState
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import CHUNK_BYTES, Client, InMemoryService, seeded_bytes, swallow_crash

PART_BYTES = 2 * CHUNK_BYTES


def start_client(service: InMemoryService, size: int = PART_BYTES, **options: Any) -> Client:
    client = Client(service, seeded_bytes(size))
    client.start(**options)
    return client


def test_last_chunks_concurrent_assemble_part_once(service: InMemoryService) -> None:
    """Both chunks are staged, and only the one recorded last assembles the part."""
    client = start_client(service)
    log = CallLog()
    client.send_chunk(1, services=service.new_services(FaultPlan({("put", 1): lambda: client.send_chunk(2)}), log))
    assert (log.count("upload_part"), service.log.count("upload_part")) == (1, 0)
    [upload] = service.object_store.multipart_uploads.values()
    assert upload.parts[1][1] == client.body
    assert isinstance(client.complete(), File)


def test_same_chunk_concurrent_counted_once(service: InMemoryService) -> None:
    """Two senders of the same chunk get the same success, and it counts once."""
    client = start_client(service, 2 * PART_BYTES)
    log = CallLog()
    accepted = client.send_chunk(
        1, services=service.new_services(FaultPlan({("record_chunk", 1): lambda: client.send_chunk(1)}), log)
    )
    assert (accepted.received_bytes, log.count("record_chunk")) == (CHUNK_BYTES, 1)
    assert client.send_chunk(1) == accepted


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("quota", [None, Quota(max_bytes=10**9)])
def test_same_chunk_concurrent_different_bytes_one_wins(quota: Quota | None) -> None:
    """Of two different bodies for a chunk, the first wins; the second is a conflict, and not stored under a quota."""
    service = InMemoryService(quota=quota)
    client = start_client(service)
    with pytest.raises(ChunkConflict):
        client.send_chunk(
            1,
            body=seeded_bytes(CHUNK_BYTES, seed=9),
            services=service.new_services(FaultPlan({("put_chunk_digest", 1): lambda: client.send_chunk(1)})),
        )
    client.send_chunk(2)
    assert len(service.object_store.objects) == (1 if quota else 2)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body
    service.drain_cleanup()
    assert service.orphans() == []


def test_different_bytes_of_upload_by_link_are_not_stored(service: InMemoryService) -> None:
    """The bytes that lose are not stored in an upload by a link, whose limits would not count them."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start(services=replace(service.services, link_id="a"))
    log = CallLog()
    plan = FaultPlan({("put_chunk_digest", 1): lambda: client.send_chunk(1)})
    with pytest.raises(ChunkConflict):
        client.send_chunk(1, service.new_services(plan, log), seeded_bytes(CHUNK_BYTES, seed=9))
    assert log.count("put") == 0


def test_starts_concurrent_share_one_multipart_upload(service: InMemoryService) -> None:
    """Of two starts, the second to open the upload aborts its own multipart upload."""
    client = Client(service, seeded_bytes(PART_BYTES))
    other = Client(service, client.body)
    client.start(services=service.new_services(FaultPlan({("create_multipart", 1): other.start})))
    assert client.upload_id == other.upload_id
    assert len(service.object_store.multipart_uploads) == 1


@pytest.mark.parametrize("before", ["create_upload", "create_multipart", "mark_open"])
def test_restarts_concurrent_one_rejected(service: InMemoryService, before: str) -> None:
    """Each restart cancels the upload that it found; the one that then meets the other's new upload is rejected."""
    start_client(service)
    one, other = Client(service, seeded_bytes(PART_BYTES, seed=2)), Client(service, seeded_bytes(PART_BYTES, seed=3))
    services = service.new_services(FaultPlan({(before, 1): lambda: other.start(restart=True)}))
    with pytest.raises(UploadInProgress) as rejected:
        one.start(services=services, restart=True)
    assert rejected.value.extra["upload_id"] == other.upload_id
    other.send_chunks()
    assert isinstance(other.complete(), File)
    assert service.file_content() == other.body


def test_restart_during_restart_does_not_cancel_its_upload(service: InMemoryService) -> None:
    """A restart cancels what its first read found. An upload that began meanwhile is that of a start that raced."""
    start_client(service)
    one, other = Client(service, seeded_bytes(PART_BYTES, seed=2)), Client(service, seeded_bytes(PART_BYTES, seed=3))
    services = service.new_services(FaultPlan({("terminate", 1): lambda: other.start(restart=True)}))
    with pytest.raises(UploadInProgress) as rejected:
        one.start(services=services, restart=True)
    assert rejected.value.extra["upload_id"] == other.upload_id
    assert "same time" in rejected.value.detail
    assert all(word in rejected.value.detail for word in ("resume: true", "fingerprint", "restart: true"))
    assert other.state() is UploadState.OPEN


@pytest.mark.parametrize("delay_ms", [0, 1])
def test_restart_received_before_other_upload_opened_is_rejected(service: InMemoryService, delay_ms: int) -> None:
    """A restart that waited at the gateway while another start opened its upload has raced with it."""
    received_at = service.clock()
    service.clock.advance(delay_ms)
    other = start_client(service)
    service.clock.advance(1)
    restart = partial(Client(service, seeded_bytes(PART_BYTES, seed=2)).start, restart=True, received_at=received_at)
    if delay_ms:
        with pytest.raises(UploadInProgress):
            restart()
        assert other.state() is UploadState.OPEN
    else:
        assert restart().created
        assert other.state() is UploadState.CANCELLED


def test_restart_that_lost_race_with_equal_proof_joins(service: InMemoryService) -> None:
    """A restart of the same file, proven by its fingerprint, gets the upload of the start that it raced with."""
    received_at = service.clock()
    service.clock.advance(1)
    other = start_client(service, fingerprint="f", restart=True)
    again = Client(service, other.body)
    assert not again.start(fingerprint="f", restart=True, received_at=received_at).created
    assert again.upload_id == other.upload_id


@pytest.mark.parametrize("received_at", [1_795_374_238, 10**15])
def test_restart_with_implausible_receipt_cancels_older_upload(service: InMemoryService, received_at: int) -> None:
    """A gateway that reports seconds, or a time to come, does not keep a restart from its effect."""
    old = start_client(service)
    assert Client(service, old.body).start(restart=True, received_at=received_at).created
    assert old.state() is UploadState.CANCELLED


def test_restart_resumed_by_other_keeps_own_upload(service: InMemoryService) -> None:
    """A restart whose new upload another start has opened keeps it."""
    start_client(service)
    one, other = Client(service, seeded_bytes(PART_BYTES)), Client(service, seeded_bytes(PART_BYTES))
    services = service.new_services(FaultPlan({("mark_open", 1): other.start}))
    one.start(services=services, restart=True)
    assert one.upload_id == other.upload_id
    assert len(service.object_store.multipart_uploads) == 1


def test_complete_chunk_before_lease_is_verified(service: InMemoryService) -> None:
    """If a chunk completes a part just before the lease, the acknowledged chunks are the file, not the direct part."""
    client = start_client(service)
    client.send_chunk(1)
    assert client.put_part(client.presign_part(1), seeded_bytes(PART_BYTES, seed=9)).status == 200

    def second() -> None:
        plan = FaultPlan({("upload_part", 1): Fault.UNAVAILABLE})
        client.send_chunk(2, services=service.new_services(plan))

    client.complete(services=service.new_services(FaultPlan({("acquire_lease", 1): second})))
    assert service.file_content() == client.body


def test_complete_part_overwritten_after_listing_reassembled(service: InMemoryService) -> None:
    """S3 rejects a part overwritten since it was listed; it is reassembled, and the file is completed."""
    client = start_client(service)
    late = client.presign_part(1)
    client.send_chunks()
    plan = FaultPlan({("complete_multipart", 1): lambda: client.put_part(late, seeded_bytes(PART_BYTES, seed=9))})
    log = CallLog()
    assert isinstance(client.complete(services=service.new_services(plan, log)), File)
    assert log.count("complete_multipart") == 2
    assert service.file_content() == client.body


def test_complete_part_keeps_changing_rejected(service: InMemoryService) -> None:
    """If a part keeps changing, the completion is rejected, and the upload stays open."""
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
    """A second completion waits for the first, and both get the same file."""
    client = start_client(service)
    client.send_chunks()
    seen: list[object] = []

    def second() -> None:
        seen.append(client.complete())

    first = client.complete(services=service.new_services(FaultPlan({("complete_multipart", 1): second})))
    assert isinstance(first, File)
    assert [type(result) for result in seen] == [CompletionAccepted]
    assert client.complete() == first


@pytest.mark.parametrize(("before", "replaces"), [("get_upload", True), ("get_file", True), ("acquire_lease", False)])
def test_complete_after_other_completion_returns_same_file(
    service: InMemoryService, before: str, replaces: bool
) -> None:
    """A completion that finds its own upload's file returns it, although it may not replace a file."""
    if replaces:
        old = start_client(service)
        old.send_chunks()
        old.complete()
    client = start_client(service, if_exists=IfExists.REPLACE)
    client.send_chunks()
    seen: list[object] = []
    services = service.new_services(FaultPlan({(before, 1): lambda: seen.append(client.complete())}))
    assert [client.complete(services=services, if_exists=IfExists.FAIL)] == seen
    assert isinstance(seen[0], File)


def test_complete_lease_taken_over_returns_same_file(service: InMemoryService) -> None:
    """If the lease expires before the commit and another completion takes over, both return the same file."""
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
    """A completion that lost its lease, and then finds the file of its own upload, returns that file."""
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
    """A cancel before the lease wins, one after it is rejected."""
    client = start_client(service)
    client.send_chunks()
    rejections: list[type[Exception]] = []

    def cancel_meanwhile() -> None:
        try:
            client.cancel()
        except CompletionInProgress as rejected:
            rejections.append(type(rejected))

    services = service.new_services(FaultPlan({(before, 1): cancel_meanwhile}))
    if before == "acquire_lease":
        with pytest.raises(UploadCancelled):
            client.complete(services=services)
        assert (service.file_content(), rejections) == (None, [])
    else:
        assert isinstance(client.complete(services=services), File)
        assert (service.file_content(), rejections) == (client.body, [CompletionInProgress])
    service.drain_cleanup()
    assert service.orphans() == []


@pytest.mark.parametrize("before", ["put_chunk_digest", "put", "record_chunk"])
def test_cancel_concurrent_with_chunk_leaves_nothing(service: InMemoryService, before: str) -> None:
    """A chunk whose upload is cancelled meanwhile is rejected, and what it staged is deleted."""
    client = start_client(service)
    with pytest.raises(UploadCancelled):
        client.send_chunk(1, services=service.new_services(FaultPlan({(before, 1): client.cancel})))
    service.drain_cleanup()
    assert service.orphans() == []


@pytest.mark.parametrize("lost", ["multipart upload", "staged chunk"])
def test_chunk_whose_part_cannot_be_assembled_is_durable(service: InMemoryService, lost: str) -> None:
    """The last chunk of a part is staged before it is acknowledged, if S3 lacks what the part is assembled from."""
    client = start_client(service)
    client.send_chunk(1)
    if lost == "staged chunk":
        service.object_store.objects.clear()
    else:
        service.object_store.multipart_uploads.clear()
    client.send_chunk(2, service.new_services(log=CallLog()))
    assert client.chunk_body(2) in [stored.body for stored in service.object_store.objects.values()]


def test_compaction_concurrent_chunks_counted_once(service: InMemoryService) -> None:
    """Chunks count once, with compactions between the read and the write of another chunk."""
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
    """A cancel that crashes after it took an expired lease over leaves the options of the completion as they were."""
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
