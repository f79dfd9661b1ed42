"""A dry run, compared with the real run that follows it, over random states."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.cleanup import clean_namespace
from ferry.cleanup.report import CleanupReport
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS, SECOND_MS
from tests.support.in_memory_service import CHUNK_BYTES, NS, Client, InMemoryService, seeded_bytes, swallow_crash
from tests.unit.uploads.blocks import blocks


def create_random_uploads(service: InMemoryService, rng: random.Random) -> list[Client]:
    """Create up to nine uploads in random states in two namespaces, some of them stale."""
    clients = []
    for number in range(rng.randrange(1, 10)):
        client = Client(service, seeded_bytes(rng.randrange(0, 5 * CHUNK_BYTES), seed=number), name=f"{number}")
        client.ns = rng.choice([NS, NS, NS, "other"])
        clients.append(client)
        started = Fault.CRASH_AFTER if rng.random() < 0.15 else None
        plan = FaultPlan({("create_multipart", 1): started} if started else {})
        swallow_crash(lambda: client.start(service.new_services(plan)))  # noqa: B023
        if client.started is not None:
            apply_random_action(service, client, rng)
        service.clock.advance(rng.choice([1, HOUR_MS, 10 * HOUR_MS]))
    service.clock.advance(rng.choice([0, HOUR_MS, DAY_MS, 6 * DAY_MS]))
    return clients


def apply_random_action(service: InMemoryService, client: Client, rng: random.Random) -> None:
    for index in rng.sample(range(1, client.chunk_count + 1), rng.randrange(client.chunk_count + 1)):
        client.send_chunk(index)
    if client.body and rng.random() < 0.3:
        client.put_part(client.presign_part(1), client.part_body(1))
    kind = rng.choice(["open", "open", "lost response", "gone", "complete", "cancelled", "lease_expired"])
    if kind == "gone":
        service.object_store.multipart_uploads.clear()
    elif kind == "cancelled":
        client.cancel()
    elif kind != "open":
        client.send_chunks()
        fault = {"lost response": Fault.LOST_RESPONSE, "lease_expired": Fault.CRASH_BEFORE}.get(kind)
        method = "complete_multipart" if client.body else "put"
        plan = FaultPlan({(method, 1): fault} if fault else {})
        swallow_crash(lambda: client.complete(service.new_services(plan)))


def random_budget(seed: int) -> Callable[[], bool]:
    """Return a time check that fails now and then."""
    rng = random.Random(seed)
    return lambda: rng.random() < 0.7


def collect_reports(service: InMemoryService, seed: int, *, dry_run: bool) -> list[CleanupReport]:
    rng = random.Random(seed)
    older_than = rng.choice([None, 0, HOUR_MS // SECOND_MS, DAY_MS // SECOND_MS])
    filename = rng.choice([None, None, None, "0", "5"])
    found: list[CleanupReport] = []
    cursor = None
    while not found or cursor is not None:
        report = clean_namespace(
            service.services,
            NS,
            has_time=random_budget(seed + len(found)),
            older_than_seconds=older_than,
            filename=filename,
            cursor=cursor,
            dry_run=dry_run,
        )
        found.append(report)
        cursor = report.cursor
    return found


@pytest.mark.parametrize("block", blocks(quick=4, stress=96))
def test_dry_run_random_states_matches_real_run(service: InMemoryService, block: int) -> None:
    """The dry run changes nothing and reports what the real run then does, which touches no other namespace."""
    for seed in range(block * 30, block * 30 + 30):
        one = InMemoryService()
        clients = create_random_uploads(one, random.Random(seed))
        before = (
            one.upload_repository.snapshot(),
            dict(one.object_store.objects),
            copy.deepcopy(list(one.object_store.multipart_uploads)),
        )
        dry = collect_reports(one, seed, dry_run=True)
        assert (
            one.upload_repository.snapshot(),
            one.object_store.objects,
            list(one.object_store.multipart_uploads),
        ) == before
        assert all(report.dry_run for report in dry)
        run = collect_reports(one, seed, dry_run=False)
        assert [replace(report, dry_run=False) for report in dry] == run, seed
        records = [record for record in one.upload_repository.rows.records.values() if record.ns == "other"]
        assert records == [record for record in before[0].records.values() if record.ns == "other"]
        completing = [record for record in before[0].records.values() if record.state is UploadState.COMPLETING]
        assert all(one.upload_repository.rows.records[record.upload_id] == record for record in completing)
        assert len(clients) == len({client.name for client in clients})
