"""What the fault matrix breaks: every operation, once for each situation in which it makes different calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dev.fakes.faults import CallLog, FaultPlan
from ferry.cleanup import clean_namespace
from ferry.errors import CompletionInProgress, FileNotFound, UploadAlreadyComplete, UploadIncomplete
from ferry.files import record
from ferry.files.delete import delete_file
from ferry.files.put import PutRequest, put_file
from ferry.files.record import FileChange
from ferry.model.files import IfExists
from ferry.rules.conditions import Conditions
from ferry.services import Services
from ferry.uploads.complete import CompletionAccepted
from tests.support.in_memory_service import (
    LEASE_MS,
    NAME,
    NS,
    Client,
    InMemoryService,
)
from tests.unit.uploads.situations import (
    BODY,
    NEW_BODY,
    completed,
    crashed_completion,
    dead_request,
    idle,
    joined,
    known_but_changed,
    mixed_paths,
    new_client,
    presigned,
    rejected_at_commit,
    restored,
    service_with_bytes_first,
    service_with_quota,
    service_without_quota,
    slow_assembly,
    slow_multipart_completion,
    started,
    unassembled_parts,
    with_existing_file,
    with_replacement_uploaded,
    with_stale_part,
)


@dataclass(frozen=True)
class Operation:
    """An operation in one situation."""

    name: str
    """How the matrix names it."""
    prepare: Callable[[InMemoryService], Client]
    """Leads up to the operation."""
    run: Callable[[Client, Services | None], object]
    """Runs it, as the process that breaks; without services, as the client that tries again."""
    expected_content: bytes | None
    """The file's bytes at the end; None if there is no file."""
    required_call: str
    """A call that shows that the situation is the one that is meant."""
    new_service: Callable[[], InMemoryService] = service_with_quota
    """Creates the service."""
    is_warm: bool = False
    """Whether the process that breaks has served the requests before, and has kept what they left."""

    def calls(self) -> list[str]:
        """Return the calls that it makes when nothing fails."""
        service = self.new_service()
        client = self.prepare(service)
        log = CallLog()
        self.run(client, self.process(service, log=log))
        assert self.required_call in log.methods, log.methods
        return log.methods

    def process(self, service: InMemoryService, plan: FaultPlan | None = None, log: CallLog | None = None) -> Services:
        """Return the process that breaks."""
        return service.new_services(plan, log, warm=service.services if self.is_warm else None)


def delete_idempotent(client: Client, services: Services | None) -> None:
    """Delete. After a lost response the file may be gone already, which is the same success."""
    try:
        delete_file(services or client.service.services, NS, NAME)
    except FileNotFound:
        assert services is None


def complete(client: Client, services: Services | None) -> object:
    return client.complete_with_retries() if services is None else client.complete(services)


def complete_incomplete(client: Client, services: Services | None) -> None:
    """Complete although chunks are missing."""
    with suppress(UploadIncomplete):
        client.complete(services)


def complete_async(client: Client, services: Services | None) -> object:
    """Complete, and continue what was enqueued, in one operation: so every call on either side can fail."""
    if services is None:
        return client.complete_with_retries()
    result = client.complete(services)
    if isinstance(result, CompletionAccepted):
        client.service.object_store.apply_in_flight()
        client.service.deliver_queued(services)
    return result


def cancel_after_lease(client: Client, services: Services | None) -> None:
    """Cancel. If a failed attempt holds the lease, wait until it expires; if the upload is complete, leave it."""
    try:
        client.cancel(services)
    except CompletionInProgress:
        client.service.clock.advance(LEASE_MS + 1)
        cancel_after_lease(client, None)
    except UploadAlreadyComplete:
        assert services is None


def clean_up(client: Client, services: Services | None) -> object:
    """Clean up everything open, on request."""
    return clean_namespace(services or client.service.services, NS, has_time=lambda: True, older_than_seconds=0)


def start(client: Client, services: Services | None) -> object:
    """Start. A client that repeats it may find its own upload, and says so."""
    return client.start(services, resume=services is None)


def resume(client: Client, services: Services | None) -> object:
    return client.start(services, resume=True)


def start_replacing(client: Client, services: Services | None) -> object:
    return client.start(services, if_exists=IfExists.REPLACE, resume=services is None)


def send_chunk(index: int) -> Callable[[Client, Services | None], object]:
    return lambda client, services: client.send_chunk(index, services)


def presign_part(number: int) -> Callable[[Client, Services | None], object]:
    return lambda client, services: client.presign_part(number, services)


def put_whole(client: Client, services: Services | None) -> object:
    """Store the client's file whole."""
    return put_file(services or client.service.services, NS, PutRequest(NAME, client.body))


def change_record(client: Client, services: Services | None) -> object:
    """Change the record of the file. A repetition is the same change."""
    change = FileChange(content_type="text/csv", metadata={"a": "b"})
    return record.change_record(services or client.service.services, NS, NAME, change, Conditions())


def with_put_file(service: InMemoryService) -> Client:
    """Store a file whole, and return a client with another one for its name."""
    put_whole(new_client(service), None)
    return Client(service, NEW_BODY)


OPERATIONS = [
    Operation("start", new_client, start, BODY, "create_multipart"),
    Operation("start an empty file", lambda service: Client(service, b""), start, b"", "create_upload"),
    Operation("join without proof", started(), start, BODY, "change_options"),
    Operation("resume, joined without proof", joined, resume, BODY, "change_options"),
    Operation("resume", started(1, 2), resume, BODY, "get_upload"),
    Operation("resume, after an hour", idle(1, 2), resume, BODY, "record_activity"),
    Operation("resume, presigned parts", mixed_paths, resume, BODY, "list_parts"),
    Operation(
        "restart", started(1, 2), lambda client, services: client.start(services, restart=True), BODY, "terminate"
    ),
    Operation("replace", with_existing_file, start_replacing, NEW_BODY, "create_multipart"),
    Operation("chunk that stages", started(), send_chunk(1), BODY, "put"),
    Operation("chunk that assembles", started(1), send_chunk(2), BODY, "upload_part"),
    *(
        Operation(f"{name}, {order}", prepare, send_chunk(index), BODY, call, new_service, is_warm=is_warm)
        for order, new_service in (("digest first", service_without_quota), ("bytes first", service_with_bytes_first))
        for name, prepare, index, call, is_warm in (
            ("chunk that stages", started(), 1, "put", False),
            ("chunk that stages, known upload", started(1, 2), 3, "upload_part", True),
            ("chunk that stages, replacing a digest", dead_request(1), 1, "replace_chunk_digest", False),
            ("chunk of a presigned part", mixed_paths, 3, "list_parts", False),
        )
    ),
    Operation("chunk that assembles, known upload", started(1), send_chunk(2), BODY, "upload_part", is_warm=True),
    *(
        Operation(
            f"chunk, known upload that {name}", known_but_changed(change), send_chunk(2), BODY, call, is_warm=True
        )
        for name, change, call in (
            ("another process changed", lambda client, services: client.send_chunk(3, services), "upload_part"),
            ("has presigned parts", lambda client, services: client.presign_part(1, services), "list_parts"),
            ("was restarted", lambda client, services: client.start(services, restart=True), "get_upload"),
        )
    ),
    Operation("last chunk", started(1, 2), send_chunk(3), BODY, "upload_part"),
    Operation("chunk of a presigned part", mixed_paths, send_chunk(3), BODY, "list_parts"),
    Operation("chunk, repeated", started(1), send_chunk(1), BODY, "get_chunk_digests"),
    Operation("chunk, repeated after an hour", idle(1), send_chunk(1), BODY, "record_activity"),
    Operation("complete, incomplete after an hour", idle(1, 2), complete_incomplete, BODY, "record_activity"),
    Operation("chunk that stages, replacing a digest", dead_request(1), send_chunk(1), BODY, "replace_chunk_digest"),
    Operation(
        "chunk that assembles, replacing a digest", dead_request(2, 1), send_chunk(2), BODY, "replace_chunk_digest"
    ),
    Operation("complete, reassembling a stale part", with_stale_part, complete, BODY, "upload_part"),
    Operation("presign", started(1), presign_part(2), BODY, "mark_presigned"),
    Operation("presign a part that lacks a chunk", started(1), presign_part(1), BODY, "mark_parts_presigned"),
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
    Operation("put", new_client, put_whole, BODY, "put_file"),
    Operation("put over an upload's file", with_existing_file, put_whole, NEW_BODY, "put_file"),
    Operation("put over a file that was put", with_put_file, put_whole, NEW_BODY, "put_file"),
    Operation("put an empty file", lambda service: Client(service, b""), put_whole, b"", "put_file"),
    Operation("change the record", completed, change_record, BODY, "change_file"),
    Operation("delete a file that was put", with_put_file, delete_idempotent, None, "delete_file"),
    Operation("put, after restore", restored(new_client, lambda c: put_whole(c, None)), put_whole, BODY, "put_file"),
    Operation("cleanup on request", started(1, 3), clean_up, None, "abort_multipart"),
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
