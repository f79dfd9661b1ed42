"""The fault matrix of the clean-up: each of its calls, broken in each way, with something of every kind to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
from tests.unit.uploads.operations import BODY, FILE_BYTES, service_with_quota, started

CountCells = Callable[[str, int], None]


@dataclass
class CleanupScenario:
    """A service at the moment before the clean-up, and the clients that are not yet done."""

    service: InMemoryService = field(default_factory=service_with_quota)
    unfinished_clients: list[Client] = field(default_factory=list)

    def start_client(self, name: str, *chunks: int, size: int = FILE_BYTES) -> Client:
        client = Client(self.service, seeded_bytes(size), name=name)
        client.start()
        if chunks:
            client.send_chunks(chunks)
        return client

    def services_failing_at(self, method: str, fault: Fault) -> Services:
        return self.service.new_services(FaultPlan({(method, 1): fault}))


def scenario_of_every_kind() -> CleanupScenario:
    """A finished file and a deleted one; uploads that are idle, cancelled half way, never opened, without their
    multipart upload, or made without a word; completions that lapsed; orphans; one that lives.
    """
    scene = CleanupScenario()
    service = scene.service
    service.object_store.put("o/" + "f" * 32, b"x", crc32c=crc32c(b"x"))
    service.object_store.put(f"st/{'e' * 32}/1/1-ab", b"x", crc32c=crc32c(b"x"))
    service.object_store.create_multipart("o/" + "d" * 32, content_type="text/plain")
    service.clock.advance(8 * DAY_MS)
    started(1, 2, 3)(service).complete()
    gone = scene.start_client("deleted", 1, size=CHUNK_BYTES)
    gone.complete()
    delete_file(service.services, NS, "deleted")
    scene.start_client("stale", 1)
    cancelled = scene.start_client("cancelled", 1)
    swallow_crash(lambda: cancelled.cancel(scene.services_failing_at("abort_multipart", Fault.UNAVAILABLE)))
    dead = Client(service, seeded_bytes(FILE_BYTES), name="dead")
    swallow_crash(lambda: dead.start(scene.services_failing_at("create_multipart", Fault.CRASH_AFTER)))
    lost = scene.start_client("lost", 1)
    [multipart_id] = [
        name for name, upload in service.object_store.multipart_uploads.items() if lost.upload_id in upload.key
    ]
    del service.object_store.multipart_uploads[multipart_id]
    made = scene.start_client("made", 1, 2, 3)
    swallow_crash(lambda: made.complete(scene.services_failing_at("complete_multipart", Fault.LOST_RESPONSE)))
    service.clock.advance(DAY_MS + HOUR_MS)
    for name, call in (("half done", "complete_multipart"), ("all but done", "commit_file")):
        client = scene.start_client(name, 1, 2, 3)
        services = scene.services_failing_at(call, Fault.CRASH_BEFORE)
        swallow_crash(lambda: client.complete(services))  # noqa: B023
        scene.unfinished_clients.append(client)
    service.clock.advance(LEASE_MS + 1)
    return scene


def run_sweep(services: Services) -> None:
    sweep_due_tasks(services, has_time=lambda: True)


def run_request(services: Services) -> None:
    clean_namespace(services, NS, has_time=lambda: True)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("run", [run_sweep, run_request], ids=["sweep", "request"])
def test_cleanup_any_call_fails_next_run_recovers(
    run: Callable[[Services], None], fault: Fault, service: InMemoryService, matrix: CountCells
) -> None:
    """A clean-up that dies anywhere is followed by one that finishes, and neither touches what lives."""
    counted = CallLog()
    run(scenario_of_every_kind().service.new_services(log=counted))
    for number in range(1, len(counted.calls) + 1):
        scene = scenario_of_every_kind()
        broken, script = scene.service, FaultPlan({number: fault})
        alive = scene.start_client("alive", 1)
        swallow_crash(lambda: run(broken.new_services(script, CallLog())))  # noqa: B023
        alive.send_chunks()
        assert isinstance(alive.complete(), File)
        for client in scene.unfinished_clients:
            client.complete_with_retries()
        broken.sweep()
        script.apply_in_flight()
        broken.drain_cleanup()
        for name in (NAME, "alive", "half done", "all but done", "made"):
            assert broken.file_content(name) == BODY, f"{name} after call {number}"
        assert broken.orphans() == []
        assert (broken.upload_repository.rows.task_due_times, set(broken.upload_repository.rows.object_owners)) == (
            {},
            ids_of_files(broken),
        )
        states = {session.name: session.state for session in broken.upload_repository.rows.records.values()}
        assert [states[name] for name in ("stale", "dead", "lost")] == [UploadState.EXPIRED] * 3
        assert states["cancelled"] is UploadState.CANCELLED
        broken.assert_events_published()
        broken.assert_quota_usage()
        matrix(f"clean-up, {run.__name__}", 1)


def ids_of_files(service: InMemoryService) -> set[str]:
    return {file.upload_id for file in service.upload_repository.rows.files.values()}


def test_scenario_contains_every_kind(service: InMemoryService) -> None:
    """So that the matrix is as large as it claims."""
    scene = scenario_of_every_kind()
    log = CallLog()
    report = sweep_due_tasks(scene.service.new_services(log=log), has_time=lambda: True)
    orphans = report.orphans
    assert (
        report.expired,
        report.resumed_completions,
        report.recovered_uploads,
        report.lost_uploads,
        report.errors,
    ) == (3, 2, 1, 1, 0)
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
    scene.service.clock.advance(HOUR_MS)
    assert scene.service.sweep().errors == 0
