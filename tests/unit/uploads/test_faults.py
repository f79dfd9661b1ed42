"""The fault matrix: each AWS call of each operation, broken in each way, then retried as a client would.

The calls are not listed here: a run without faults tells which there are, so a call written tomorrow is covered
tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.errors import Throttled
from ferry.model.uploads import UploadState
from ferry.rules.digests import crc32c
from ferry.uploads.chunk import ChunkAccepted
from tests.support.in_memory_service import LEASE_MS, NAME, NS, Client, InMemoryService, swallow_crash
from tests.unit.uploads.operations import OPERATIONS, Operation, service_with_quota

CountCells = Callable[[str, int], None]


def assert_received_bytes(client: Client) -> None:
    """The count is that of the chunks which are durable."""
    upload = client.service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    assert upload.received_bytes == sum(len(client.chunk_body(index)) for index in upload.chunk_indexes())


def assert_acknowledged(client: Client, result: object) -> None:
    """Whatever went wrong on the way: an answer of success means that the chunk is there."""
    if isinstance(result, ChunkAccepted):
        upload = client.service.upload_repository.get_upload(result.upload_id)
        assert upload is not None
        assert upload.has_chunk(result.chunk_index)


def assert_drained(service: InMemoryService, expected_content: bytes | None) -> None:
    """In the end nothing is left but the file: no object, no multipart upload, nothing due."""
    service.drain_cleanup()
    service.deliver_queued()
    assert service.orphans() == []
    assert service.upload_repository.rows.task_due_times == {}
    assert service.file_content() == expected_content
    assert not any(session.state.in_progress for session in service.upload_repository.rows.records.values())
    service.assert_events_published()
    service.assert_quota_usage()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_retry_succeeds(
    operation: Operation, fault: Fault, service: InMemoryService, matrix: CountCells
) -> None:
    """Whatever call breaks, and however: the retry succeeds, bytes and counts are right, nothing stays behind."""
    calls = operation.count_calls()
    for number in range(1, calls + 1):
        broken, script = service_with_quota(), FaultPlan({number: fault})
        client = operation.prepare(broken)
        services = broken.new_services(script, CallLog())
        assert_acknowledged(client, swallow_crash(lambda: operation.run(client, services)))  # noqa: B023
        operation.run(client, None)
        script.apply_in_flight()
        broken.assert_quota_usage()
        if operation.expected_content is not None and broken.file_content() != operation.expected_content:
            assert_received_bytes(client)
            client.send_chunks()
            assert_received_bytes(client)
            file = client.complete_with_retries()
            assert (file.size, file.crc32c) == (len(operation.expected_content), crc32c(operation.expected_content))
        assert broken.file_content() == operation.expected_content, f"call {number} of {calls}"
        assert_drained(broken, operation.expected_content)
        matrix(operation.name, 1)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_cleanup_recovers(
    operation: Operation, fault: Fault, service: InMemoryService, matrix: CountCells
) -> None:
    """The client is gone for good: the clean-up alone leaves either the whole file or nothing, and no rubbish."""
    for number in range(1, operation.count_calls() + 1):
        broken, script = service_with_quota(), FaultPlan({number: fault})
        client = operation.prepare(broken)
        outcomes = {operation.expected_content, broken.file_content(), None}
        if client.started is not None and client.state() is UploadState.COMPLETING:
            outcomes.add(client.body)  # somebody has asked for it, before what is broken here
        swallow_crash(lambda: operation.run(client, broken.new_services(script, CallLog())))  # noqa: B023
        broken.sweep()
        script.apply_in_flight()
        broken.drain_cleanup()
        assert broken.file_content() in outcomes, f"call {number}"
        assert_drained(broken, broken.file_content())
        matrix(operation.name, 1)


def test_fault_crash_later_calls_raise() -> None:
    """The harness itself: after a crash every later call of that process raises as well."""
    service = InMemoryService()
    services = service.new_services(FaultPlan({1: Fault.CRASH_AFTER}), CallLog())
    for _ in range(2):
        with pytest.raises(ProcessCrashed):
            services.upload_repository.get_current_upload(NS, NAME)


def test_fault_timing_moves_clock_and_defers_effect() -> None:
    """The harness itself: a deadline is beyond the lease, what was under way lands when it is told to, once."""
    for fault, jumps in (
        (Fault.THROTTLED, False),
        (Fault.SLOW, True),
        (Fault.TIMEOUT_BEFORE, True),
        (Fault.DELAYED_EFFECT, True),
    ):
        service = InMemoryService()
        began, script = service.clock(), FaultPlan({1: fault})
        kept = swallow_crash(
            lambda: service.new_services(script, CallLog()).object_store.create_multipart("o/k", content_type="a/b")
        )
        assert service.clock() == began + (LEASE_MS + 1 if jumps else 0)
        assert (kept is not None, len(service.object_store.multipart_uploads)) == (
            (True, 1) if fault is Fault.SLOW else (False, 0)
        )
        for _ in range(2):
            script.apply_in_flight()
        assert len(service.object_store.multipart_uploads) == (fault in {Fault.SLOW, Fault.DELAYED_EFFECT})
    with pytest.raises(Throttled):
        InMemoryService().new_services(FaultPlan({1: Fault.THROTTLED})).upload_repository.get_current_upload(NS, NAME)
