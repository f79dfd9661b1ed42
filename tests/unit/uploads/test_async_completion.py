"""Completions that take longer than a request: handed on, gone on with elsewhere, and told whoever asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.cleanup import continue_completion
from ferry.errors import BackendUnavailable, FileExists
from ferry.model.files import File
from ferry.model.uploads import UploadState
from ferry.services import Services
from ferry.status.snapshot import get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

PART_BYTES = 2 * CHUNK_BYTES


@pytest.fixture
def client(service: InMemoryService) -> Client:
    """An upload of three parts, all to be put together by its completion, which takes too long for that."""
    client = Client(service, seeded_bytes(3 * PART_BYTES))
    client.start()
    for number in (1, 2, 3):
        client.presign_part(number)
    for index in range(1, 7):
        client.send_chunk(index, services=service.new_services(FaultPlan({("upload_part", 1): Fault.UNAVAILABLE})))
    service.object_store.on_upload_part = lambda: service.clock.advance(service.services.assembly_budget_ms + 1)
    return client


def test_complete_over_budget_continues_asynchronously(service: InMemoryService, client: Client) -> None:
    """202 with a short wait; who has the time takes over at once, and the next call has the file."""
    assert client.complete() == CompletionAccepted(client.upload_id, retry_after_seconds=5)
    assert (client.state(), len(service.completion_queue.queued)) == (UploadState.COMPLETING, 1)
    service.deliver_queued(replace(service.services, assembly_budget_ms=600_000, lease_duration_ms=930_000))
    assert client.state() is UploadState.COMPLETE
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_complete_worker_holds_lease_others_wait(service: InMemoryService, client: Client) -> None:
    """Under the worker's lease, which is as long as the worker may run, others wait."""
    seen: list[object] = []

    def meanwhile() -> None:
        service.clock.advance(500_000)
        seen.append(client.complete())
        service.sweep()

    client.complete()
    long = replace(
        service.new_services(FaultPlan({("complete_multipart", 1): meanwhile})),
        assembly_budget_ms=600_000,
        lease_duration_ms=930_000,
    )
    service.deliver_queued(long)
    assert seen == [CompletionAccepted(client.upload_id, retry_after_seconds=2)]
    assert isinstance(client.complete(), File)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, None])
def test_complete_worker_missing_sweep_completes(service: InMemoryService, client: Client, fault: Fault | None) -> None:
    """Whether it could not be told or has died: each sweep over the lapsed lease brings it on, and it ends."""
    services = service.new_services(FaultPlan({("enqueue", 1): fault} if fault else {}))
    assert client.complete(services) == CompletionAccepted(client.upload_id, retry_after_seconds=5)
    service.completion_queue.queued.clear()
    for _ in range(3):
        service.clock.advance(service.services.lease_duration_ms + 1)
        service.sweep()
    assert client.state() is UploadState.COMPLETE
    assert service.file_content() == client.body


def test_continue_completion_other_lease_id_ignored(service: InMemoryService, client: Client) -> None:
    """An event of another attempt, of no upload, or that comes late changes nothing."""
    client.complete()
    [(upload_id, attempt)] = service.completion_queue.queued
    before = service.upload_repository.get_upload(upload_id)
    continue_completion(service.services, upload_id, "another")
    continue_completion(service.services, "nothing", attempt)
    assert service.upload_repository.get_upload(upload_id) == before
    file = client.complete_with_retries()
    continue_completion(service.services, upload_id, attempt)
    assert client.complete() == file


def test_continue_completion_delivered_twice_completes_once(service: InMemoryService, client: Client) -> None:
    """The same event at the same time twice: the second finds that it has moved on."""
    client.complete()
    [(upload_id, attempt)] = service.completion_queue.queued
    long = replace(service.services, assembly_budget_ms=600_000)
    second = service.new_services(
        FaultPlan({("acquire_lease", 1): lambda: continue_completion(long, upload_id, attempt)})
    )
    continue_completion(second, upload_id, attempt)
    assert service.log.count("complete_multipart") == 1
    assert service.file_content() == client.body


def test_continue_completion_file_exists_reported_to_next_caller(service: InMemoryService, client: Client) -> None:
    """The worker finds that a file of the name has come: the upload is open again, and the next call says why."""
    client.complete()
    other = File(NS, NAME, "f" * 32, 1, '"e"', 0, "text/plain", {}, None, service.clock(), 1)
    service.upload_repository.rows.files[NS, NAME] = other
    service.deliver_queued(replace(service.services, assembly_budget_ms=600_000))
    assert client.state() is UploadState.OPEN
    with pytest.raises(FileExists):
        client.complete()
    assert isinstance(client.complete(replace_existing=True), File)


def test_continue_completion_fails_before_lease_redelivery_completes(service: InMemoryService, client: Client) -> None:
    """It comes out of the worker, so that the event is delivered again; then it works."""
    client.complete()
    [(upload_id, attempt)] = service.completion_queue.queued
    long = replace(service.services, assembly_budget_ms=600_000)
    with pytest.raises(BackendUnavailable):
        continue_completion(service.new_services(FaultPlan({("get_upload", 1): Fault.UNAVAILABLE})), upload_id, attempt)
    continue_completion(long, upload_id, attempt)
    assert client.state() is UploadState.COMPLETE


# What S3 itself takes too long over


@pytest.fixture
def uploaded_client(service: InMemoryService) -> Client:
    """All is in S3, but putting the object together takes it twenty seconds."""
    client = Client(service, seeded_bytes(3 * PART_BYTES))
    client.start()
    client.send_chunks()
    service.object_store.on_complete_multipart = lambda: service.clock.advance(20_000)
    return client


def worker_services(service: InMemoryService) -> Services:
    """As the clean-up function has it."""
    return replace(service.services, assembly_budget_ms=600_000, lease_duration_ms=930_000)


@pytest.mark.parametrize("lands", ["before the worker comes", "while the worker looks", "after the worker's own"])
def test_complete_slow_in_s3_accepted_then_complete(
    service: InMemoryService, uploaded_client: Client, lands: str
) -> None:
    """202 while S3 is at it; whoever goes on elsewhere finds the object, or makes it; the next call has the file."""
    assert uploaded_client.complete() == CompletionAccepted(uploaded_client.upload_id, retry_after_seconds=5)
    assert (len(service.completion_queue.queued), len(service.object_store.in_flight)) == (1, 1)
    assert get_status(service.services, NS, NAME).state is UploadStatus.COMPLETING
    if lands == "before the worker comes":
        service.object_store.apply_in_flight()
        service.deliver_queued(worker_services(service))
    elif lands == "while the worker looks":
        upload = service.object_store.multipart_uploads.pop("mp-1")

        def appear() -> None:
            service.object_store.multipart_uploads["mp-1"] = upload
            service.object_store.apply_in_flight()

        service.deliver_queued(
            replace(
                service.new_services(FaultPlan({("head", 3): appear})),
                assembly_budget_ms=600_000,
                lease_duration_ms=930_000,
            )
        )
    else:
        service.deliver_queued(worker_services(service))
        service.object_store.apply_in_flight()
    assert get_status(service.services, NS, NAME).state is UploadStatus.COMPLETE
    assert isinstance(uploaded_client.complete(), File)
    assert service.file_content() == uploaded_client.body
    service.drain_cleanup()
    assert service.orphans() == []


def test_complete_enqueue_fails_sweep_completes(service: InMemoryService, uploaded_client: Client) -> None:
    """The worker was never told; the lease lapses, and what S3 has made by then becomes the file."""
    uploaded_client.complete(service.new_services(FaultPlan({("enqueue", 1): Fault.UNAVAILABLE})))
    service.object_store.apply_in_flight()
    service.clock.advance(service.services.lease_duration_ms)
    service.sweep()
    assert service.file_content() == uploaded_client.body


def test_complete_out_of_time_skips_complete_call(service: InMemoryService, client: Client) -> None:
    """What was to be mended has taken all the time: the object is left to whoever has more."""
    client.complete()
    while not isinstance(client.complete(), File):
        service.clock.advance(service.services.lease_duration_ms + 1)
    assert service.file_content() == client.body
    assert service.log.count("complete_multipart") == 1


def test_complete_slower_than_worker_retried_until_done(service: InMemoryService, uploaded_client: Client) -> None:
    """It stays in completing, lapses, and is tried again, until S3 has made it."""
    service.object_store.on_complete_multipart = lambda: service.clock.advance(700_000)
    uploaded_client.complete()
    service.deliver_queued(worker_services(service))
    assert uploaded_client.state() is UploadState.COMPLETING
    service.object_store.apply_in_flight()
    service.clock.advance(930_001)
    service.sweep()
    assert uploaded_client.state() is UploadState.COMPLETE
