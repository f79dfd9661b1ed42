"""What the fault matrix breaks: every operation of the services, each in the situations in which it makes other calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.cleanup import clean_namespace
from ferry.errors import CompletionInProgress, FileExists, FileNotFound, UploadAlreadyComplete
from ferry.files.delete import delete_file
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.services import Services
from ferry.uploads.complete import CompletionAccepted
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
    """A Ferry that tells, and counts."""
    return InMemoryService(publish_events=True, quota=Quota(max_bytes=10**9, max_uploads=100))


@dataclass(frozen=True)
class Operation:
    """What is broken: `prepare` leads up to it, `run` is retried until it succeeds, `expect` is the file at the end.

    `through` is a call that shows that it is the operation it is meant to be.
    """

    name: str
    prepare: Callable[[InMemoryService], Client]
    run: Callable[[Client, Services | None], object]
    expected_content: bytes | None
    required_call: str

    def count_calls(self) -> int:
        """How many calls it makes when nothing is broken."""
        service = service_with_quota()
        client = self.prepare(service)
        log = CallLog()
        self.run(client, service.new_services(log=log))
        assert self.required_call in log.methods, log.methods
        return len(log.calls)


# What came before


def new_client(service: InMemoryService) -> Client:
    return Client(service, BODY)


def started(*chunks: int) -> Callable[[InMemoryService], Client]:
    def prepare(service: InMemoryService) -> Client:
        client = new_client(service)
        client.start()
        client.send_chunks(list(chunks)) if chunks else None
        return client

    return prepare


def mixed_paths(service: InMemoryService) -> Client:
    """Whole by chunks, then overwritten through a URL that was signed before; the last part straight to S3."""
    client = new_client(service)
    client.start()
    late = client.presign_part(1)
    client.send_chunks([1, 2])
    assert client.put_part(late, seeded_bytes(PART_BYTES, seed=9)).status == 200
    assert client.put_part(client.presign_part(2), client.part_body(2)).status == 200
    return client


def presigned(service: InMemoryService) -> Client:
    """Both parts straight to S3."""
    client = new_client(service)
    client.start()
    for number in (1, 2):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200
    return client


def unassembled_parts(service: InMemoryService, *others: int) -> Client:
    """Both last chunks staged, the assembly lost: left to the completion. So too for the part of the `others`."""
    client = started(1)(service)
    script = FaultPlan({("record_chunk", 1): lambda: None, ("upload_part", 1): Fault.UNAVAILABLE})
    swallow_crash(lambda: client.presign_part(1))
    client.send_chunk(2, services=service.new_services(script))
    for index in range(3, client.chunk_count + 1):
        broken = FaultPlan({("upload_part", 1): Fault.UNAVAILABLE} if index in others else {})
        client.send_chunk(index, services=service.new_services(broken))
    return client


def slow_assembly(service: InMemoryService) -> Client:
    """Both parts are left to the completion, and putting one together takes longer than a request has."""
    client = unassembled_parts(service, 3)
    service.object_store.on_upload_part = lambda: service.clock.advance(service.services.assembly_budget_ms + 1)
    return client


def slow_multipart_completion(service: InMemoryService) -> Client:
    """All is in S3, which takes longer over the object than a request has, once."""
    client = started(1, 2, 3)(service)

    def once() -> None:
        service.clock.advance(service.services.assembly_budget_ms + LEASE_MS // 2)
        service.object_store.on_complete_multipart = lambda: None

    service.object_store.on_complete_multipart = once
    return client


def completed(service: InMemoryService) -> Client:
    client = started(1, 2, 3)(service)
    client.complete()
    return client


def with_existing_file(service: InMemoryService) -> Client:
    """A finished file, and a client that has another for its place."""
    completed(service)
    return Client(service, NEW_BODY)


def with_replacement_uploaded(service: InMemoryService) -> Client:
    """The same, and all of the other is sent."""
    client = with_existing_file(service)
    client.start(replace_existing=True)
    client.send_chunks()
    return client


def crashed_completion(method: str) -> Callable[[InMemoryService], Client]:
    """A completion whose process died just before that call; its lease has lapsed."""

    def prepare(service: InMemoryService) -> Client:
        client = started(1, 2, 3)(service)
        swallow_crash(lambda: client.complete(service.new_services(FaultPlan({(method, 1): Fault.CRASH_BEFORE}))))
        service.clock.advance(LEASE_MS + 1)
        return client

    return prepare


def rejected_at_commit(service: InMemoryService) -> Client:
    """Its object is made, but a file of the name came in the last moment, and has gone again."""
    client = started(1, 2, 3)(service)
    other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, service.clock(), 1)
    appear = FaultPlan(
        {("complete_multipart", 1): lambda: service.upload_repository.rows.files.update({(NS, NAME): other})}
    )
    with pytest.raises(FileExists):
        client.complete(service.new_services(appear, CallLog()))
    del service.upload_repository.rows.files[NS, NAME]
    return client


def restored(
    prepare_backup: Callable[[InMemoryService], Client], lost_operation: Callable[[Client], object]
) -> Callable[[InMemoryService], Client]:
    """The ledger as it was before `lost`, S3 as it was after it."""

    def prepare(service: InMemoryService) -> Client:
        client = prepare_backup(service)
        backup = service.upload_repository.snapshot()
        lost_operation(client)
        service.upload_repository.restore(backup)
        return client

    return prepare


# What is done


def delete_idempotent(client: Client, services: Services | None) -> None:
    """Deleting again after a lost answer may find it gone: that is the same success."""
    try:
        delete_file(services or client.service.services, NS, NAME)
    except FileNotFound:
        assert services is None


def complete(client: Client, services: Services | None) -> object:
    return client.complete_with_retries() if services is None else client.complete(services)


def complete_async(client: Client, services: Services | None) -> object:
    """Complete, and do what was handed on, in one: so that every call on either side is broken."""
    if services is None:
        return client.complete_with_retries()
    result = client.complete(services)
    if isinstance(result, CompletionAccepted):
        client.service.object_store.apply_in_flight()
        client.service.deliver_queued(services)
    return result


def cancel_after_lease(client: Client, services: Services | None) -> None:
    """Cancel, after the lease of whoever had to give up; a completion that came first has won."""
    try:
        client.cancel(services)
    except CompletionInProgress:
        client.service.clock.advance(LEASE_MS + 1)
        cancel_after_lease(client, None)
    except UploadAlreadyComplete:
        assert services is None


def clean_up(client: Client, services: Services | None) -> object:
    """The clean-up on request, of everything open."""
    return clean_namespace(services or client.service.services, NS, has_time=lambda: True, older_than_seconds=0)


def start(client: Client, services: Services | None) -> object:
    return client.start(services)


def start_replacing(client: Client, services: Services | None) -> object:
    return client.start(services, replace_existing=True)


def send_chunk(index: int) -> Callable[[Client, Services | None], object]:
    return lambda client, services: client.send_chunk(index, services)


def presign_part(number: int) -> Callable[[Client, Services | None], object]:
    return lambda client, services: client.presign_part(number, services)


OPERATIONS = [
    Operation("start", new_client, start, BODY, "create_multipart"),
    Operation("start an empty file", lambda service: Client(service, b""), start, b"", "create_upload"),
    Operation("resume", started(1, 2), start, BODY, "get_upload"),
    Operation("resume, presigned parts", mixed_paths, start, BODY, "list_parts"),
    Operation(
        "restart", started(1, 2), lambda client, services: client.start(services, restart=True), BODY, "terminate"
    ),
    Operation("replace", with_existing_file, start_replacing, NEW_BODY, "create_multipart"),
    Operation("chunk that stages", started(), send_chunk(1), BODY, "put"),
    Operation("chunk that assembles", started(1), send_chunk(2), BODY, "upload_part"),
    Operation("last chunk", started(1, 2), send_chunk(3), BODY, "upload_part"),
    Operation("chunk of a presigned part", mixed_paths, send_chunk(3), BODY, "list_parts"),
    Operation("chunk, repeated", started(1), send_chunk(1), BODY, "get_chunk_digests"),
    Operation("presign", started(1), presign_part(2), BODY, "mark_presigned"),
    Operation("presign, repeated", mixed_paths, presign_part(1), BODY, "record_activity"),
    Operation("complete", started(1, 2, 3), complete, BODY, "commit_file"),
    Operation("complete, presigned parts", presigned, complete, BODY, "commit_file"),
    Operation("complete, reassembling", mixed_paths, complete, BODY, "upload_part"),
    Operation("complete, assembling", unassembled_parts, complete, BODY, "upload_part"),
    Operation("complete, asynchronously", slow_assembly, complete_async, BODY, "complete_multipart"),
    Operation("complete, asynchronously while S3 completes", slow_multipart_completion, complete_async, BODY, "head"),
    Operation("complete, replacing", with_replacement_uploaded, complete, NEW_BODY, "get_file"),
    Operation(
        "complete, lease taken over", crashed_completion("complete_multipart"), complete, BODY, "complete_multipart"
    ),
    Operation("complete, lease taken over with object", crashed_completion("commit_file"), complete, BODY, "head"),
    Operation("complete, rejected before", rejected_at_commit, complete, BODY, "commit_file"),
    Operation("cancel", started(1, 3), lambda client, services: client.cancel(services), None, "abort_multipart"),
    Operation("cancel, presigned parts", presigned, cancel_after_lease, None, "abort_multipart"),
    Operation(
        "cancel, lease taken over", crashed_completion("complete_multipart"), cancel_after_lease, None, "acquire_lease"
    ),
    Operation(
        "cancel, lease taken over with object", crashed_completion("commit_file"), cancel_after_lease, None, "delete"
    ),
    Operation("delete", completed, delete_idempotent, None, "delete_file"),
    Operation("clean-up on request", started(1, 3), clean_up, None, "abort_multipart"),
    Operation("complete, after restore", restored(started(1, 2, 3), Client.complete), complete, BODY, "head"),
    Operation("complete, presigned parts after restore", restored(presigned, Client.complete), complete, BODY, "head"),
    Operation(
        "chunk, after restore", restored(started(1), lambda client: client.send_chunk(2)), send_chunk(2), BODY, "get"
    ),
    Operation(
        "presign, after restore",
        restored(started(1), lambda client: client.presign_part(1)),
        presign_part(1),
        BODY,
        "mark_presigned",
    ),
    Operation(
        "delete, after restore",
        restored(completed, lambda c: delete_idempotent(c, None)),
        delete_idempotent,
        None,
        "get_file",
    ),
]
