"""The fault matrix: each backend call of each operation fails in each way, then a client or cleanup continues.

A case is one fault at one call of one operation. The calls are not listed here: a run without faults records them, so a
new call has its cases at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.errors import Throttled
from ferry.model.uploads import UploadState
from ferry.rules.digests import crc32c
from ferry.uploads.chunk import ChunkAccepted
from tests.support.in_memory_service import LEASE_MS, NAME, NS, Client, InMemoryService, swallow_crash
from tests.unit.uploads.fault_cases import ReadCheck, calls_to_break, faults
from tests.unit.uploads.file_operations import FILE_OPERATIONS
from tests.unit.uploads.operations import OPERATIONS, Operation

pytestmark = pytest.mark.slow

CountCases = Callable[[str, int], None]

ALL_OPERATIONS = [*OPERATIONS, *FILE_OPERATIONS]


def assert_received_bytes(client: Client) -> None:
    """Check that the bytes on record are those of the chunks on record."""
    upload = client.service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    assert upload.recorded_chunk_bytes == sum(len(client.chunk_body(index)) for index in upload.chunk_indexes())


def assert_acknowledged(client: Client, result: object) -> None:
    """Check that a chunk is on record if it was acknowledged, whatever failed on the way."""
    if isinstance(result, ChunkAccepted):
        upload = client.service.upload_repository.get_upload(result.upload_id)
        assert upload is not None
        assert upload.has_chunk(result.chunk_index)


def assert_drained(service: InMemoryService, expected_content: bytes | None) -> None:
    """Check that in the end only the file is left: no object, no multipart upload, nothing due."""
    service.drain_cleanup()
    service.deliver_queued()
    assert service.orphans() == []
    assert service.upload_repository.rows.task_due_times == {}
    assert service.file_content() == expected_content
    assert not any(record.state.in_progress for record in service.upload_repository.rows.records.values())
    service.assert_events_published()
    service.assert_quota_usage()


@dataclass(frozen=True)
class Case:
    """One fault at one call of one operation, in a service of its own."""

    number: int
    service: InMemoryService
    client: Client
    plan: FaultPlan
    operation: Operation

    def run_failing(self) -> object:
        """Run the operation in a process whose call fails. Return its result, None if it had none."""
        services = self.operation.process(self.service, self.plan, CallLog())
        return swallow_crash(lambda: self.operation.run(self.client, services))


def cases_of(operation: Operation, fault: Fault) -> Iterator[Case]:
    """Yield a case for each call of the operation at which this fault makes a difference."""
    for number in calls_to_break(operation.calls(), fault):
        service = operation.new_service()
        yield Case(number, service, operation.prepare(service), FaultPlan({number: fault}), operation)


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("operation", ALL_OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_retry_succeeds(
    operation: Operation, fault: Fault, service: InMemoryService, matrix: CountCases
) -> None:
    """After any failure a retry succeeds, the client finishes its file, bytes and counts are right, nothing is left."""
    expected = operation.expected_content
    for case in cases_of(operation, fault):
        client = case.client
        assert_acknowledged(client, case.run_failing())
        operation.run(client, None)
        case.plan.apply_in_flight()
        case.service.assert_quota_usage()
        if expected is not None and case.service.file_content() != expected:
            assert_received_bytes(client)
            client.send_chunks()
            assert_received_bytes(client)
            file = client.complete_with_retries()
            assert (file.size, file.crc32c) == (len(expected), crc32c(expected))
        assert case.service.file_content() == expected, f"call {case.number}"
        assert_drained(case.service, expected)
        matrix(operation.name, 1)


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("operation", ALL_OPERATIONS, ids=lambda operation: operation.name)
def test_operation_any_call_fails_cleanup_recovers(
    operation: Operation, fault: Fault, service: InMemoryService, matrix: CountCases
) -> None:
    """If the client never comes back, cleanup leaves the whole file or none, and nothing else."""
    for case in cases_of(operation, fault):
        client = case.client
        possible_contents = {operation.expected_content, case.service.file_content(), None}
        if client.started is not None and client.state() is UploadState.COMPLETING:
            possible_contents.add(client.body)  # It was asked to complete before the operation that fails here.
        case.run_failing()
        case.service.sweep()
        case.plan.apply_in_flight()
        case.service.drain_cleanup()
        assert case.service.file_content() in possible_contents, f"call {case.number}"
        assert_drained(case.service, case.service.file_content())
        matrix(operation.name, 1)


@pytest.mark.parametrize("operation", ALL_OPERATIONS, ids=lambda operation: operation.name)
def test_read_calls_have_no_effect(operation: Operation, service: InMemoryService) -> None:
    """The calls whose equal cases are left out only read."""
    checked = operation.new_service()
    client = operation.prepare(checked)
    plan = ReadCheck(service=checked)
    operation.run(client, operation.process(checked, plan, CallLog()))
    plan.check()


def test_fault_crash_later_calls_raise() -> None:
    """After a crash every later call of the same process raises too."""
    service = InMemoryService()
    services = service.new_services(FaultPlan({1: Fault.CRASH_AFTER}), CallLog())
    for _ in range(2):
        with pytest.raises(ProcessCrashed):
            services.upload_repository.get_current_upload(NS, NAME)


@pytest.mark.parametrize(
    ("fault", "advances_clock", "returns", "applied_late"),
    [
        (Fault.THROTTLED, False, False, False),
        (Fault.SLOW, True, True, False),
        (Fault.TIMEOUT_BEFORE, True, False, False),
        (Fault.DELAYED_EFFECT, True, False, True),
    ],
)
def test_fault_timing_moves_clock_and_defers_effect(
    fault: Fault, advances_clock: bool, returns: bool, applied_late: bool
) -> None:
    """A call that times out ends beyond the lease, and a delayed effect happens once, when it is applied."""
    service = InMemoryService()
    started_at, plan = service.clock(), FaultPlan({1: fault})
    services = service.new_services(plan, CallLog())
    multipart_id = swallow_crash(lambda: services.object_store.create_multipart("o/k", content_type="a/b"))
    assert service.clock() == started_at + (LEASE_MS + 1 if advances_clock else 0)
    assert (multipart_id is not None, len(service.object_store.multipart_uploads)) == (returns, returns)
    for _ in range(2):
        plan.apply_in_flight()
    assert len(service.object_store.multipart_uploads) == (returns or applied_late)


def test_fault_throttled_raises_throttled() -> None:
    """A throttled call raises an error of its own."""
    services = InMemoryService().new_services(FaultPlan({1: Fault.THROTTLED}))
    with pytest.raises(Throttled):
        services.upload_repository.get_current_upload(NS, NAME)
