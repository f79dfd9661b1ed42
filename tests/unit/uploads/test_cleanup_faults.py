"""The fault matrix of cleanup: each of its calls fails in each way, with something of every kind to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.cleanup import clean_namespace, sweep_due_tasks
from ferry.files.delete import delete_file
from ferry.model.files import File
from ferry.model.uploads import UploadState
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, HOUR_MS
from ferry.services import Services
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
from tests.support.service_copy import copy_service
from tests.unit.uploads.fault_cases import ReadCheck, calls_to_break, faults
from tests.unit.uploads.situations import BODY, FILE_BYTES, service_with_quota, started

pytestmark = pytest.mark.slow

CountCases = Callable[[str, int], None]


@dataclass
class CleanupScenario:
    """A service at the moment before cleanup."""

    service: InMemoryService = field(default_factory=service_with_quota)
    unfinished_clients: list[Client] = field(default_factory=list)
    """Clients whose completions have crashed."""

    def start_client(self, name: str, *chunks: int, size: int = FILE_BYTES) -> Client:
        client = Client(self.service, seeded_bytes(size), name=name)
        client.start()
        if chunks:
            client.send_chunks(chunks)
        return client

    def copy(self) -> CleanupScenario:
        """Return the same moment of another service."""
        service = copy_service(self.service)
        return CleanupScenario(service, [replace(client, service=service) for client in self.unfinished_clients])

    def services_failing_at(self, method: str, fault: Fault) -> Services:
        return self.service.new_services(FaultPlan({(method, 1): fault}))


def scenario_of_every_kind() -> CleanupScenario:
    """Return a service with one of each: files, ended uploads, crashed requests, orphans."""
    scenario = CleanupScenario()
    add_orphans(scenario.service)
    scenario.service.clock.advance(8 * DAY_MS)
    add_files(scenario)
    add_ended_uploads(scenario)
    scenario.service.clock.advance(DAY_MS + HOUR_MS)
    add_crashed_completions(scenario)
    scenario.service.clock.advance(LEASE_MS + 1)
    return scenario


def add_orphans(service: InMemoryService) -> None:
    """Store an object, a staged chunk and a multipart upload without rows."""
    service.object_store.put("o/" + "f" * 32, b"x", crc32c=crc32c(b"x"))
    service.object_store.put(f"st/{'e' * 32}/1/1-ab", b"x", crc32c=crc32c(b"x"))
    service.object_store.create_multipart("o/" + "d" * 32, content_type="text/plain")


def add_files(scenario: CleanupScenario) -> None:
    """Finish a file, and finish and delete another one."""
    started(1, 2, 3)(scenario.service).complete()
    scenario.start_client("deleted", 1, size=CHUNK_BYTES).complete()
    delete_file(scenario.service.services, NS, "deleted")


def add_ended_uploads(scenario: CleanupScenario) -> None:
    """Start uploads that are idle, half cancelled, never opened, without their multipart upload, or built unnoticed."""
    service = scenario.service
    scenario.start_client("stale", 1)
    cancelled = scenario.start_client("cancelled", 1)
    swallow_crash(lambda: cancelled.cancel(scenario.services_failing_at("abort_multipart", Fault.UNAVAILABLE)))
    never_opened = Client(service, seeded_bytes(FILE_BYTES), name="never opened")
    swallow_crash(lambda: never_opened.start(scenario.services_failing_at("create_multipart", Fault.CRASH_AFTER)))
    lost = scenario.start_client("lost", 1)
    [multipart_id] = [
        multipart_id
        for multipart_id, upload in service.object_store.multipart_uploads.items()
        if lost.upload_id in upload.key
    ]
    del service.object_store.multipart_uploads[multipart_id]
    built = scenario.start_client("built", 1, 2, 3)
    swallow_crash(lambda: built.complete(scenario.services_failing_at("complete_multipart", Fault.LOST_RESPONSE)))


def add_crashed_completions(scenario: CleanupScenario) -> None:
    """Crash a completion before its object is built, and another one after."""
    for name, call in (("crashed before object", "complete_multipart"), ("crashed after object", "commit_file")):
        client = scenario.start_client(name, 1, 2, 3)
        services = scenario.services_failing_at(call, Fault.CRASH_BEFORE)
        swallow_crash(partial(client.complete, services))
        scenario.unfinished_clients.append(client)


def run_sweep(services: Services) -> None:
    sweep_due_tasks(services, has_time=lambda: True)


def run_request(services: Services) -> None:
    clean_namespace(services, NS, has_time=lambda: True)


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("run", [run_sweep, run_request], ids=["sweep", "request"])
def test_cleanup_any_call_fails_next_run_recovers(
    run: Callable[[Services], None], fault: Fault, service: InMemoryService, matrix: CountCases
) -> None:
    """After any failure the next run finishes, and neither run touches uploads and files in use."""
    prepared, log = scenario_of_every_kind(), CallLog()
    run(prepared.copy().service.new_services(log=log))
    for number in calls_to_break(log.methods, fault):
        scenario = prepared.copy()
        broken, plan = scenario.service, FaultPlan({number: fault})
        active = scenario.start_client("active", 1)
        swallow_crash(partial(run, broken.new_services(plan, CallLog())))
        active.send_chunks()
        assert isinstance(active.complete(), File)
        for client in scenario.unfinished_clients:
            client.complete_with_retries()
        broken.sweep()
        plan.apply_in_flight()
        broken.drain_cleanup()
        assert_cleaned_up(broken, f"after call {number}")
        matrix(f"cleanup, {run.__name__}", 1)


def assert_cleaned_up(service: InMemoryService, when: str) -> None:
    """Check that every file has its bytes, every other upload has ended, and nothing else is left."""
    rows = service.upload_repository.rows
    for name in (NAME, "active", "crashed before object", "crashed after object", "built"):
        assert service.file_content(name) == BODY, f"{name} {when}"
    assert service.orphans() == []
    assert (rows.task_due_times, set(rows.object_owners)) == ({}, ids_of_files(service))
    states = {record.name: record.state for record in rows.records.values()}
    assert [states[name] for name in ("stale", "never opened", "lost")] == [UploadState.EXPIRED] * 3
    assert states["cancelled"] is UploadState.CANCELLED
    service.assert_events_published()
    service.assert_quota_usage()


def ids_of_files(service: InMemoryService) -> set[str]:
    return {file.upload_id for file in service.upload_repository.rows.files.values()}


def test_scenario_contains_every_kind(service: InMemoryService) -> None:
    """One sweep over the scenario meets every kind of task and of orphan, and makes every call of cleanup."""
    scenario = scenario_of_every_kind()
    log = CallLog()
    report = sweep_due_tasks(scenario.service.new_services(log=log), has_time=lambda: True)
    orphans = report.orphans
    counts = (report.expired, report.resumed_completions, report.recovered_uploads, report.lost_uploads, report.errors)
    assert counts == (3, 2, 1, 1, 0)
    assert (orphans.multipart_uploads, orphans.staged_objects, orphans.objects) == (2, 1, 1)
    assert {
        "schedule_object",
        "save_orphan_scan",
        "get_object_owners",
        "get_upload_records",
        "list_prefixes",
        "list_objects",
        "list_multipart_uploads",
    } <= set(log.methods)
    scenario.service.clock.advance(HOUR_MS)
    assert scenario.service.sweep().errors == 0


@pytest.mark.parametrize("run", [run_sweep, run_request], ids=["sweep", "request"])
def test_cleanup_read_calls_have_no_effect(run: Callable[[Services], None], service: InMemoryService) -> None:
    """The calls whose equal cases are left out only read."""
    checked = scenario_of_every_kind().service
    plan = ReadCheck(service=checked)
    run(checked.new_services(plan, CallLog()))
    plan.check()
