"""Cleanup while uploads run: in random interleavings, and with another request before each of its calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from ferry.cleanup import clean_namespace, sweep_due_tasks
from ferry.errors import FerryError
from ferry.model.files import File
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ferry.services import Services
from ferry.uploads.start import StartResult
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes
from tests.support.scheduler import Scheduler
from tests.unit.uploads.blocks import blocks

FILE_BYTES = 3 * CHUNK_BYTES + 7
BODY = seeded_bytes(FILE_BYTES)


@dataclass
class Acknowledged:
    """What clients were promised."""

    chunks: set[tuple[str, int]] = field(default_factory=set)
    """Acknowledged chunks, by upload id and index."""
    files: list[File] = field(default_factory=list)
    """Completed files."""


def new_client(service: InMemoryService) -> Client:
    return Client(service, BODY)


def scheduled_services(service: InMemoryService, scheduler: Scheduler, actor: str) -> Services:
    return service.new_services(scheduler.plan(actor), CallLog())


def send_chunks(
    service: InMemoryService, acknowledged: Acknowledged, indexes: list[int], services: Services, name: str = NAME
) -> None:
    client = Client(service, BODY, name=name)
    for index in indexes:
        with suppress(FerryError):
            accepted = client.send_chunk(index, services)
            acknowledged.chunks.add((accepted.upload_id, index))


def complete_twice(service: InMemoryService, acknowledged: Acknowledged, services: Services) -> None:
    client = new_client(service)
    for _ in range(2):
        with suppress(FerryError):
            result = client.complete(services)
            if isinstance(result, File):
                acknowledged.files.append(result)


def restart_upload(service: InMemoryService, services: Services) -> None:
    with suppress(FerryError):
        new_client(service).start(services, restart=True)


def cancel_upload(service: InMemoryService, services: Services) -> None:
    with suppress(FerryError):
        new_client(service).cancel(services)


def presign_and_put(service: InMemoryService, services: Services) -> None:
    client = new_client(service)
    with suppress(FerryError):
        part = client.presign_part(1, services)
        client.put_part(part, BODY[: 2 * CHUNK_BYTES])


def sweep_twice(services: Services) -> None:
    for _ in range(2):
        sweep_due_tasks(services, has_time=lambda: True)


def clean_on_request(services: Services, older_than_seconds: int | None) -> None:
    clean_namespace(services, NS, has_time=lambda: True, older_than_seconds=older_than_seconds)


def advance_clock(service: InMemoryService, scheduler: Scheduler, steps_ms: list[int]) -> None:
    for step in steps_ms:
        scheduler.wait_for_turn("time")
        service.clock.advance(step)


CLOCK_STEPS_MS = [
    [SECOND_MS] * 4,
    [36 * SECOND_MS, 36 * SECOND_MS, HOUR_MS],
    [16 * MINUTE_MS, DAY_MS - HOUR_MS, HOUR_MS],
    [DAY_MS - 1, 1, 2 * HOUR_MS],
    [6 * DAY_MS, DAY_MS],
]


def assert_acknowledged_kept(service: InMemoryService, acknowledged: Acknowledged) -> None:
    """Check that what was acknowledged is there, and that an upload in progress can be completed."""
    for upload_id in {upload_id for upload_id, _ in acknowledged.chunks}:
        upload = service.upload_repository.get_upload(upload_id)
        assert upload is not None
        if upload.record.state is UploadState.OPEN and upload.record.stored_object is None:
            assert all(upload.has_chunk(index) for of, index in acknowledged.chunks if of == upload_id)
    for file in acknowledged.files:
        assert service.file_content() == BODY
        assert service.file_repository.get_file(file.ns, file.name) == file
    assert_can_be_completed(service)


def assert_can_be_completed(service: InMemoryService) -> None:
    """Complete the upload in progress, if there is one that has not expired."""
    current_upload = service.upload_repository.get_current_upload(NS, NAME)
    if current_upload is None or not current_upload.in_progress:
        return
    upload = service.upload_repository.get_upload(current_upload.upload_id)
    assert upload is not None
    if upload.record.state is UploadState.OPEN and service.clock() < upload.expires_at:
        client = Client(service, BODY, started=StartResult(upload))
        if upload.record.stored_object is None:
            client.send_chunks()
        assert isinstance(client.complete_with_retries(), File)
        assert service.file_content() == BODY


def assert_drained(service: InMemoryService, acknowledged: Acknowledged) -> None:
    service.drain_cleanup()
    assert service.file_content() in ((BODY,) if acknowledged.files else (None, BODY))
    assert service.orphans() == []
    assert service.upload_repository.rows.task_due_times == {}
    assert not any(record.state.in_progress for record in service.upload_repository.rows.records.values())


@pytest.mark.parametrize("block", blocks(quick=4, stress=96))
def test_cleanup_random_interleavings_lose_nothing(
    service: InMemoryService, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sweeps, a request, two senders, completions, a cancel, a restart and the clock in random order: no
    acknowledged byte of an active upload and no finished file is lost, and nothing is left in the end.
    """
    for seed in range(block * 30, block * 30 + 30):
        one, acknowledged, scheduler = InMemoryService(), Acknowledged(), Scheduler(random.Random(seed).choice)
        new_client(one).start()
        actor = partial(scheduled_services, one, scheduler)
        actors: dict[str, Callable[[], object]] = {
            "first": partial(send_chunks, one, acknowledged, [1, 2, 3, 4], actor("first")),
            "second": partial(send_chunks, one, acknowledged, [4, 2, 1, 3], actor("second")),
            "complete": partial(complete_twice, one, acknowledged, actor("complete")),
            "sweep": partial(sweep_twice, actor("sweep")),
            "sweep again": partial(sweep_twice, actor("sweep again")),
            "time": partial(advance_clock, one, scheduler, CLOCK_STEPS_MS[seed % len(CLOCK_STEPS_MS)]),
        }
        if seed % 2:
            actors["request"] = partial(clean_on_request, actor("request"), [None, 0, 60][seed % 3])
        if seed % 3 == 0:
            actors["cancel"] = partial(cancel_upload, one, actor("cancel"))
        if seed % 4 == 0:
            actors["start"] = partial(restart_upload, one, actor("start"))
        if seed % 5 == 0:
            actors["sign"] = partial(presign_and_put, one, actor("sign"))
        scheduler.run(actors)
        assert_acknowledged_kept(one, acknowledged)
        assert_drained(one, acknowledged)


def create_stale_and_active(service: InMemoryService) -> Client:
    """Create an upload that expires now, an active one, a finished file and orphans. Return the stale client."""
    done = Client(service, BODY, name="done")
    done.start()
    done.send_chunks()
    assert isinstance(done.complete(), File)
    client = new_client(service)
    client.start()
    client.send_chunks([1, 2])
    other = Client(service, BODY, name="active")
    service.clock.advance(12 * HOUR_MS)
    other.start()
    other.send_chunk(1)
    service.object_store.create_multipart(f"o/{client.upload_id}", content_type="text/plain")
    service.object_store.put("o/" + "f" * 32, b"", crc32c=0)
    service.clock.advance(12 * HOUR_MS)
    return client


INTERLOPERS: dict[str, Callable[[InMemoryService, Acknowledged], None]] = {
    "another sweep": lambda service, acknowledged: sweep_twice(service.services),
    "a request": lambda service, acknowledged: clean_on_request(service.services, 13 * HOUR_MS // SECOND_MS),
    "a chunk": lambda service, acknowledged: send_chunks(service, acknowledged, [3], service.services),
    "a chunk of the active upload": lambda service, acknowledged: send_chunks(
        service, acknowledged, [2], service.services, "active"
    ),
    "a completion": lambda service, acknowledged: complete_twice(service, acknowledged, service.services),
    "a cancel": lambda service, acknowledged: cancel_upload(service, service.services),
    "a start": lambda service, acknowledged: restart_upload(service, service.services),
    "a signature": lambda service, acknowledged: presign_and_put(service, service.services),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", INTERLOPERS)
def test_sweep_interloper_before_each_call_loses_nothing(service: InMemoryService, what: str) -> None:
    """Before whichever call it happens: the active upload can be completed, files stay, the rest is deleted."""
    counted = CallLog()
    create_stale_and_active(service)
    sweep_due_tasks(service.new_services(log=counted), has_time=lambda: True)
    for number in range(1, len(counted.calls) + 1):
        one, acknowledged = InMemoryService(), Acknowledged()
        create_stale_and_active(one)
        plan = FaultPlan({number: partial(INTERLOPERS[what], one, acknowledged)})
        sweep_due_tasks(one.new_services(plan, CallLog()), has_time=lambda: True)
        active = Client(one, BODY, name="active")
        active.send_chunks()
        assert isinstance(active.complete_with_retries(), File)
        assert_acknowledged_kept(one, acknowledged)
        assert_drained(one, acknowledged)
        assert one.file_content("active") == one.file_content("done") == BODY
