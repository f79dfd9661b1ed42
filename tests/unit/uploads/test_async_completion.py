"""Completions that take longer than a request may: enqueued, continued asynchronously, reported to the client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.cleanup import continue_completion
from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, UploadExpired
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.status.snapshot import get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, discard, seeded_bytes

PART_BYTES = 2 * CHUNK_BYTES


@pytest.fixture
def client(service: InMemoryService) -> Client:
    """Return an upload whose completion must assemble three parts, each longer than the budget of a request."""
    client = Client(service, seeded_bytes(3 * PART_BYTES))
    client.start()
    for number in (1, 2, 3):
        client.presign_part(number)
    for index in range(1, 7):
        client.send_chunk(index, services=service.new_services(FaultPlan({("upload_part", 1): Fault.UNAVAILABLE})))
    service.object_store.on_upload_part = lambda: service.clock.advance(service.services.assembly_budget_ms + 1)
    return client


def test_complete_over_budget_continues_asynchronously(service: InMemoryService, client: Client) -> None:
    """The response asks the client to retry shortly; the worker takes the lease over at once, and completes."""
    assert client.complete() == CompletionAccepted(client.upload_id, retry_after_seconds=5)
    assert (client.state(), len(service.completion_queue.queued)) == (UploadState.COMPLETING, 1)
    service.deliver_queued(replace(service.services, assembly_budget_ms=600_000, lease_duration_ms=930_000))
    assert client.state() is UploadState.COMPLETE
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_complete_worker_holds_lease_others_wait(service: InMemoryService, client: Client) -> None:
    """While the worker holds its lease, which is as long as it may run, requests and sweeps wait."""
    seen: list[object] = []

    def meanwhile() -> None:
        service.clock.advance(500_000)
        seen.append(client.complete())
        service.sweep()

    client.complete()
    worker = replace(
        service.new_services(FaultPlan({("complete_multipart", 1): meanwhile})),
        assembly_budget_ms=600_000,
        lease_duration_ms=930_000,
    )
    service.deliver_queued(worker)
    assert seen == [CompletionAccepted(client.upload_id, retry_after_seconds=2)]
    assert isinstance(client.complete(), File)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, None])
def test_complete_worker_missing_sweep_completes(service: InMemoryService, client: Client, fault: Fault | None) -> None:
    """If the queue fails or loses the event, each sweep after the lease expires assembles more, until all is done."""
    services = service.new_services(FaultPlan({("enqueue", 1): fault} if fault else {}))
    assert client.complete(services) == CompletionAccepted(client.upload_id, retry_after_seconds=5)
    service.completion_queue.queued.clear()
    for _ in range(3):
        service.clock.advance(service.services.lease_duration_ms + 1)
        service.sweep()
    assert client.state() is UploadState.COMPLETE
    assert service.file_content() == client.body


def test_continue_completion_other_lease_id_ignored(service: InMemoryService, client: Client) -> None:
    """An event of another lease, of an unknown upload, or after the completion changes nothing."""
    client.complete()
    [(upload_id, lease_id)] = service.completion_queue.queued
    before = service.upload_repository.get_upload(upload_id)
    continue_completion(service.services, upload_id, "another")
    continue_completion(service.services, "nothing", lease_id)
    assert service.upload_repository.get_upload(upload_id) == before
    file = client.complete_with_retries()
    continue_completion(service.services, upload_id, lease_id)
    assert client.complete() == file


def test_continue_completion_delivered_twice_completes_once(service: InMemoryService, client: Client) -> None:
    """Of two deliveries at the same time, one completes and the other finds that the lease has changed."""
    client.complete()
    [(upload_id, lease_id)] = service.completion_queue.queued
    worker = replace(service.services, assembly_budget_ms=600_000)
    second = service.new_services(
        FaultPlan({("acquire_lease", 1): lambda: continue_completion(worker, upload_id, lease_id)})
    )
    continue_completion(second, upload_id, lease_id)
    assert service.log.count("complete_multipart") == 1
    assert service.file_content() == client.body


def test_continue_completion_file_exists_reported_to_next_caller(service: InMemoryService, client: Client) -> None:
    """The worker finds that a file of the name has come: the upload is open again, and the next call says why."""
    client.complete()
    other = File(NS, NAME, "f" * 32, 1, '"e"', 0, "text/plain", {}, None, service.clock(), 1, 1)
    service.upload_repository.rows.files[NS, NAME] = other
    service.deliver_queued(replace(service.services, assembly_budget_ms=600_000))
    assert client.state() is UploadState.OPEN
    with pytest.raises(FileExists):
        client.complete()
    assert isinstance(client.complete(if_exists=IfExists.REPLACE), File)


def test_continue_completion_fails_before_lease_redelivery_completes(service: InMemoryService, client: Client) -> None:
    """A failure before the lease is raised, so that the event is delivered again, and then completes."""
    client.complete()
    [(upload_id, lease_id)] = service.completion_queue.queued
    worker = replace(service.services, assembly_budget_ms=600_000)
    with pytest.raises(BackendUnavailable):
        continue_completion(
            service.new_services(FaultPlan({("get_upload", 1): Fault.UNAVAILABLE})), upload_id, lease_id
        )
    continue_completion(worker, upload_id, lease_id)
    assert client.state() is UploadState.COMPLETE


# S3 itself takes too long


@pytest.fixture
def uploaded_client(service: InMemoryService) -> Client:
    """Return an upload with all its bytes in S3, which takes twenty seconds to build the object."""
    client = Client(service, seeded_bytes(3 * PART_BYTES))
    client.start()
    client.send_chunks()
    service.object_store.on_complete_multipart = lambda: service.clock.advance(20_000)
    return client


def worker_services(service: InMemoryService) -> Services:
    """Return services with the budget and lease of the cleanup function."""
    return replace(service.services, assembly_budget_ms=600_000, lease_duration_ms=930_000)


@pytest.mark.parametrize("lands", ["before the worker runs", "while the worker waits", "after the worker ends"])
def test_complete_slow_in_s3_accepted_then_complete(
    service: InMemoryService, uploaded_client: Client, lands: str
) -> None:
    """While S3 works, the response asks the client to retry; the worker finds the object or builds it."""
    assert uploaded_client.complete() == CompletionAccepted(uploaded_client.upload_id, retry_after_seconds=5)
    assert (len(service.completion_queue.queued), len(service.object_store.in_flight)) == (1, 1)
    assert get_status(service.services, NS, NAME).state is UploadStatus.COMPLETING
    if lands == "before the worker runs":
        service.object_store.apply_in_flight()
        service.deliver_queued(worker_services(service))
    elif lands == "while the worker waits":
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


@pytest.fixture
def client_of_repeated_call(service: InMemoryService, uploaded_client: Client) -> Client:
    """Return an upload whose completion has no multipart upload any more, as S3 is working on an earlier call of it."""
    store = service.object_store
    store.on_complete_multipart = lambda: discard(store.multipart_uploads.pop("mp-1"))
    return uploaded_client


def test_complete_call_repeated_by_sdk_while_s3_works_becomes_the_file(
    service: InMemoryService, client_of_repeated_call: Client
) -> None:
    """The SDK repeats a call whose response was lost. The object of the first one is found when it is there."""
    store, client, multipart = (
        service.object_store,
        client_of_repeated_call,
        service.object_store.multipart_uploads["mp-1"],
    )
    result = client.complete()
    assert isinstance(result, CompletionAccepted)
    assert client.state() is UploadState.COMPLETING
    store.on_complete_multipart = lambda: None
    store.multipart_uploads["mp-1"] = multipart
    parts = [part for part, _ in multipart.parts.values()]
    store.complete_multipart(multipart.key, "mp-1", parts, size=len(client.body), crc32c=None)
    service.clock.advance(result.retry_after_seconds * SECOND_MS + 1)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_completion_long_after_a_rejected_one_waits_for_its_object(
    service: InMemoryService, client_of_repeated_call: Client
) -> None:
    """How long an object may appear counts from the completion that has S3 build it, not from a rejected one before."""
    with pytest.raises(ChecksumMismatch):
        client_of_repeated_call.complete(crc32c=client_of_repeated_call.crc ^ 1)
    service.clock.advance(PRIOR_ATTEMPT_WINDOW_MS)
    assert isinstance(client_of_repeated_call.complete(), CompletionAccepted)
    assert client_of_repeated_call.state() is UploadState.COMPLETING


def test_complete_call_repeated_by_sdk_without_object_expires(
    service: InMemoryService, client_of_repeated_call: Client
) -> None:
    """Where S3 has neither the multipart upload nor, after a quarter of an hour, the object, the bytes are gone."""
    assert isinstance(client_of_repeated_call.complete(), CompletionAccepted)
    service.clock.advance(PRIOR_ATTEMPT_WINDOW_MS)
    with pytest.raises(UploadExpired):
        client_of_repeated_call.complete()


def test_complete_enqueue_fails_sweep_completes(service: InMemoryService, uploaded_client: Client) -> None:
    """If the queue fails, the lease expires, and the sweep completes with the object that S3 has built by then."""
    uploaded_client.complete(service.new_services(FaultPlan({("enqueue", 1): Fault.UNAVAILABLE})))
    service.object_store.apply_in_flight()
    service.clock.advance(service.services.lease_duration_ms)
    service.sweep()
    assert service.file_content() == uploaded_client.body


def test_complete_out_of_time_skips_complete_call(service: InMemoryService, client: Client) -> None:
    """An attempt whose budget went into assembly does not have S3 build the object; the next attempt does."""
    client.complete()
    while not isinstance(client.complete(), File):
        service.clock.advance(service.services.lease_duration_ms + 1)
    assert service.file_content() == client.body
    assert service.log.count("complete_multipart") == 1


def test_complete_slower_than_worker_retried_until_done(service: InMemoryService, uploaded_client: Client) -> None:
    """If S3 outlasts even the worker, the lease expires, and a sweep completes once the object is there."""
    service.object_store.on_complete_multipart = lambda: service.clock.advance(700_000)
    uploaded_client.complete()
    service.deliver_queued(worker_services(service))
    assert uploaded_client.state() is UploadState.COMPLETING
    service.object_store.apply_in_flight()
    service.clock.advance(930_001)
    service.sweep()
    assert uploaded_client.state() is UploadState.COMPLETE
