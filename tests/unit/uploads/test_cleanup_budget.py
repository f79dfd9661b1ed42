"""Cleanup within its time budget, with a clock that every call advances: the sweep and the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from dev.fakes.faults import Call, CallLog, Fault, FaultPlan, FaultStep
from ferry.cleanup import clean_namespace, sweep_due_tasks
from ferry.cleanup.report import CleanupReport
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ferry.services import Services
from tests.support.in_memory_service import CHUNK_BYTES, NS, Client, InMemoryService, seeded_bytes, swallow_crash
from tests.support.service_copy import copy_service

FUNCTION_TIMEOUT_MS = 900 * SECOND_MS
ASSEMBLY_BUDGET_MS = 600 * SECOND_MS
SHUTDOWN_RESERVE_MS = 180 * SECOND_MS
REQUEST_BUDGET_MS = 10 * SECOND_MS
GATEWAY_TIMEOUT_MS = 30 * SECOND_MS
S3_TIMEOUT_MS = 18 * SECOND_MS
"""Two attempts, each with a second to connect and eight to respond."""


@dataclass
class SlowCalls(FaultPlan):
    """Advances the clock at each call by `call_ms`, and at one call by `slow_call_ms`."""

    service: InMemoryService | None = None
    call_ms: int = 0
    slow_call_number: int | None = None
    slow_call_ms: int = 0
    deferred_ms: int = 0

    def step(self, call: Call, nth: int) -> FaultStep | None:
        assert self.service is not None
        took_ms = self.slow_call_ms if call.number == self.slow_call_number else self.call_ms
        if call.method == "delete_prefix":
            # It checks its deadline before it starts, and takes its time afterwards.
            self.deferred_ms += took_ms
        else:
            self.service.clock.advance(took_ms + self.deferred_ms)
            self.deferred_ms = 0
        return None


def create_backlog(service: InMemoryService) -> list[Client]:
    """Create many stale uploads of each kind, among them completions that must still assemble all their parts."""
    clients = []
    for number in range(12):
        for kind in ("idle", "cancelled", "expired_lease", "replaced"):
            client = Client(service, seeded_bytes(6 * CHUNK_BYTES, seed=number), name=f"{kind} {number:02}")
            client.start()
            clients.append(client)
    for client in clients:
        kind = client.name.partition(" ")[0]
        if kind in ("idle", "cancelled"):
            client.send_chunk(1)
        if kind == "cancelled":
            swallow_crash(
                partial(client.cancel, service.new_services(FaultPlan({("list_parts", 1): Fault.UNAVAILABLE})))
            )
        if kind == "expired_lease":
            for index in range(1, 7):
                client.presign_part(1)
                client.send_chunk(
                    index, services=service.new_services(FaultPlan({("upload_part", 1): Fault.UNAVAILABLE}))
                )
            broken = FaultPlan({("upload_part", 1): Fault.CRASH_BEFORE})
            swallow_crash(partial(client.complete, service.new_services(broken)))
        if kind == "replaced":
            client.send_chunks()
            client.complete()
    service.clock.advance(DAY_MS + HOUR_MS)
    return clients


def services_as_deployed(service: InMemoryService, plan: FaultPlan, log: CallLog) -> Services:
    """Return services with the lease and assembly budget of the cleanup function."""
    return replace(
        service.new_services(plan, log), assembly_budget_ms=ASSEMBLY_BUDGET_MS, lease_duration_ms=930 * SECOND_MS
    )


def run_sweep(service: InMemoryService, plan: SlowCalls, log: CallLog) -> tuple[CleanupReport, int]:
    """Sweep as the function does. Return the report and how long it took, in milliseconds."""
    started_at = service.clock()
    report = sweep_due_tasks(
        services_as_deployed(service, plan, log),
        has_time=lambda: (
            FUNCTION_TIMEOUT_MS - (service.clock() - started_at) > ASSEMBLY_BUDGET_MS + SHUTDOWN_RESERVE_MS
        ),
    )
    return report, service.clock() - started_at


@pytest.mark.parametrize("call_ms", [20, 200, 2 * SECOND_MS, 9 * SECOND_MS, S3_TIMEOUT_MS])
def test_sweep_slow_calls_ends_before_function_timeout(service: InMemoryService, call_ms: int) -> None:
    """However slow all calls are, each sweep ends in time, and the sweeps that follow do what is left."""
    clients = create_backlog(service)
    ticks = 0
    while True:
        report, took_ms = run_sweep(service, SlowCalls(service=service, call_ms=call_ms), CallLog())
        assert took_ms < FUNCTION_TIMEOUT_MS
        service.clock.advance(5 * MINUTE_MS)
        ticks += 1
        due = service.cleanup_repository.list_due_tasks(service.clock(), None, 1).items
        if report.complete and not due:
            break
        assert ticks < 300
    states = {client.name.partition(" ")[0]: client.state() for client in clients}
    assert states["idle"] is UploadState.EXPIRED
    assert all(client.state() is UploadState.COMPLETE for client in clients if client.name.startswith("expired_lease"))
    assert all(
        service.file_content(client.name) == client.body
        for client in clients
        if client.name.startswith("expired_lease")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "every"), [(1, 51), *(pytest.param(first, 4, marks=pytest.mark.stress) for first in range(1, 5))]
)
def test_sweep_one_slow_call_ends_before_function_timeout(service: InMemoryService, first: int, every: int) -> None:
    """Whichever call takes a minute, the sweep ends in time."""
    create_backlog(service)
    log, normal = CallLog(), copy_service(service)
    run_sweep(normal, SlowCalls(service=normal, call_ms=20), log)
    for number in range(first, len(log.calls) + 1, every):
        again = copy_service(service)
        _, took_ms = run_sweep(
            again, SlowCalls(service=again, call_ms=20, slow_call_number=number, slow_call_ms=60 * SECOND_MS), CallLog()
        )
        assert took_ms < FUNCTION_TIMEOUT_MS


def run_request(service: InMemoryService, plan: FaultPlan, log: CallLog, **options: Any) -> tuple[CleanupReport, int]:
    started_at = service.clock()
    services = service.new_services(plan, log)
    report = clean_namespace(services, NS, has_time=lambda: service.clock() - started_at < REQUEST_BUDGET_MS, **options)
    return report, service.clock() - started_at


@pytest.mark.slow
@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.stress)])
def test_clean_namespace_slow_s3_ends_before_gateway_timeout(service: InMemoryService, every: int) -> None:
    """Whichever call waits for S3 until it times out, the request ends in time."""
    create_backlog(service)
    log, normal = CallLog(), copy_service(service)
    run_request(normal, SlowCalls(service=normal, call_ms=50), log, older_than_seconds=0)
    assert len(log.calls) > 100
    for number in range(1, len(log.calls) + 1, every):
        again = copy_service(service)
        _, took_ms = run_request(
            again,
            SlowCalls(service=again, call_ms=50, slow_call_number=number, slow_call_ms=S3_TIMEOUT_MS),
            CallLog(),
            older_than_seconds=0,
        )
        assert took_ms < GATEWAY_TIMEOUT_MS


@pytest.mark.parametrize("dry_run", [True, False])
def test_clean_namespace_slow_calls_completes_by_pages(service: InMemoryService, dry_run: bool) -> None:
    """Each page examines at least one upload, and all pages together examine each upload once."""
    create_backlog(service)
    cursor, examined, pages = None, 0, 0
    while True:
        report, _ = run_request(
            service, SlowCalls(service=service, call_ms=3 * SECOND_MS), CallLog(), cursor=cursor, dry_run=dry_run
        )
        assert report.examined >= 1
        assert report.complete == (report.cursor is None)
        examined, pages, cursor = examined + report.examined, pages + 1, report.cursor
        if cursor is None:
            break
    assert examined == 24
    assert pages > 4


def test_sweep_out_of_time_takes_oldest_and_reports_staleness(service: InMemoryService) -> None:
    """A sweep without time for all takes the oldest upload, and reports how long the next one has been due."""
    for number in range(6):
        Client(service, seeded_bytes(CHUNK_BYTES), name=f"{5 - number}").start()
        service.clock.advance(HOUR_MS)
    service.clock.advance(DAY_MS)
    for number in range(6):
        left = iter([True])
        report = sweep_due_tasks(service.services, has_time=lambda: next(left, False))  # noqa: B023
        ended = {
            record.name for record in service.upload_repository.rows.records.values() if not record.state.in_progress
        }
        assert ended == {str(5 - done) for done in range(number + 1)}
        assert report.oldest_stale_ms == (6 - number) * HOUR_MS
    assert service.sweep().oldest_stale_ms == 0


def test_sweep_failing_task_backs_off(service: InMemoryService) -> None:
    """A task that fails is due again in half an hour, and its reported staleness keeps growing."""
    clients = [Client(service, seeded_bytes(CHUNK_BYTES), name=f"{number}") for number in range(3)]
    for client in clients:
        client.start()
    service.clock.advance(2 * DAY_MS)

    @dataclass
    class Broken(FaultPlan):
        def step(self, call: Call, nth: int) -> FaultStep | None:
            is_first = f"o/{clients[0].upload_id}" in call.args
            return Fault.UNAVAILABLE if is_first else None

    runs: list[Callable[[], CleanupReport]] = [
        lambda: sweep_due_tasks(service.new_services(Broken()), has_time=lambda: True)
    ] * 2
    first, second = (run() for run in runs)
    assert (first.expired, first.errors, second.examined) == (2, 1, 0)
    assert first.oldest_stale_ms == DAY_MS
    service.clock.advance(30 * MINUTE_MS)
    assert (
        sweep_due_tasks(service.new_services(Broken()), has_time=lambda: True).oldest_stale_ms
        == DAY_MS + 30 * MINUTE_MS
    )
    service.clock.advance(30 * MINUTE_MS)
    assert (service.sweep().expired, clients[0].state()) == (1, UploadState.EXPIRED)
