"""Random histories of one sequential upload: requests at once, call by call, with faults and suspended processes.

The history holds only what clients have seen: which bytes were sent at which offset, and which were acknowledged.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.errors import FerryError
from ferry.model.sequential import Protocol, SequentialState
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.rules.digests import crc32c
from ferry.rules.durations import HOUR_MS, SECOND_MS
from ferry.services import Services
from ferry.uploads.complete import CompleteRequest, complete
from tests.support.in_memory_service import CHUNK_BYTES, LEASE_MS, NAME, NS, InMemoryService, seeded_bytes
from tests.support.scheduler import Scheduler, SequentialExecutor
from tests.unit.resumable.conftest import PART_BYTES
from tests.unit.uploads.blocks import blocks

ROUNDS = 10
"""Histories of each block."""

STEPS = 40
"""How often the clients of one history send requests."""

FILE_SIZES = (5, CHUNK_BYTES, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 77)
APPEND_SIZES = (1, 100, CHUNK_BYTES - 3, CHUNK_BYTES, CHUNK_BYTES + 7, PART_BYTES)
FAULTS = (None, None, None, *Fault)
KINDS = (*["append"] * 7, "complete", "sweep", "delete or append")

Request = Callable[[Services], object]


class History:
    """One upload, and what its clients have sent and seen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.service = InMemoryService(publish_events=True)
        self.size = self.random.choice(FILE_SIZES)
        self.is_deferred = self.random.random() < 0.3
        length = None if self.is_deferred else self.size
        created = create(self.service.services, NS, CreateRequest(Protocol.TUS, name=NAME, length=length))
        self.upload_id = created.record.upload_id
        self.sent: list[tuple[int, bytes]] = []
        """Offsets and bodies of all appends."""
        self.acknowledged: list[tuple[int, bytes]] = []
        """Offsets and bodies of those that succeeded."""
        self.plans: list[FaultPlan] = []
        """Fault plans whose delayed effects have not been applied."""

    @property
    def state(self) -> SequentialState:
        upload = self.service.upload_repository.get_upload(self.upload_id)
        assert upload is not None
        assert upload.record.sequential is not None
        return upload.record.sequential

    @property
    def is_over(self) -> bool:
        upload = self.service.upload_repository.get_upload(self.upload_id)
        return upload is None or not upload.record.state.in_progress

    def choose_requests(self) -> list[Request]:
        """Return one request, or an append twice."""
        kind = self.random.choice(KINDS)
        if kind == "complete":
            return [lambda services: complete(services, NS, CompleteRequest(NAME, self.upload_id))]
        if kind == "sweep":
            return [lambda services: self.service.sweep()]
        if kind == "delete or append" and self.random.random() < 0.2:
            return [lambda services: delete(services, NS, self.upload_id, Protocol.TUS)]
        return [self.choose_append()] * self.random.choice((1, 1, 2))

    def choose_append(self) -> Request:
        """Return an append at the present offset: of the file's bytes as a rule, else of those of another file."""
        offset = self.state.offset
        end = min(self.size, offset + self.random.choice(APPEND_SIZES))
        body = seeded_bytes(self.size, seed=self.random.choice((1, 1, 1, 2)))[offset:end]
        length = self.size if self.is_deferred and end == self.size else None
        request = AppendRequest(self.upload_id, offset, body, length=length, protocol=Protocol.TUS)

        def send(services: Services) -> None:
            self.sent.append((offset, body))
            append(services, NS, request)
            self.acknowledged.append((offset, body))

        return send

    def run_step(self) -> None:
        """Run some requests at once, each perhaps with a fault. Then time may pass, and late effects may happen."""
        requests = [each for _ in range(self.random.choice((1, 1, 2, 3))) for each in self.choose_requests()]
        scheduler = Scheduler(self.random.choice)
        actors = {}
        for number, request in enumerate(requests):
            fault = self.random.choice(FAULTS)
            plan = scheduler.plan(f"{number}", {self.random.randint(1, 9): fault} if fault is not None else None)
            self.plans.append(plan)
            actors[f"{number}"] = partial(self.run_request, request, plan)
        scheduler.run(actors)
        if self.random.random() < 0.3:
            self.apply_late_effects()
        if self.random.random() < 0.3:
            self.service.clock.advance(self.random.choice((SECOND_MS, LEASE_MS + 1, HOUR_MS)))

    def run_request(self, request: Request, plan: FaultPlan) -> None:
        try:
            request(self.service.new_services(plan, CallLog()))
        except (FerryError, ProcessCrashed):
            return

    def apply_late_effects(self) -> None:
        for plan in self.plans:
            plan.apply_in_flight()
        self.plans.clear()

    def check_file(self) -> bool:
        """Check the file, if there is one: it has all acknowledged bytes, and consists of appends. Return if so."""
        files = list(self.service.upload_repository.rows.files.values())
        for file in files:
            content = self.service.file_content(file.name)
            assert content is not None
            assert (len(content), crc32c(content)) == (file.size, file.crc32c) == (self.size, file.crc32c)
            for offset, body in self.acknowledged:
                assert content[offset : offset + len(body)] == body, "acknowledged bytes are lost"
            ends = {0}
            for offset, body in sorted(self.sent, key=lambda sent: sent[0]):
                if offset in ends and content[offset : offset + len(body)] == body:
                    ends.add(offset + len(body))
            assert self.size in ends, "the file has bytes that no client sent there"
        return bool(files)


def run_history(seed: int) -> bool:
    """Run one history, with cleanup at its end. Return whether it has made a file."""
    history, offset = History(seed), 0
    for _ in range(STEPS):
        history.run_step()
        assert history.state.offset >= offset
        offset = history.state.offset
        if history.is_over:
            break
    history.apply_late_effects()
    history.service.drain_cleanup()
    assert history.service.orphans() == []
    history.service.assert_events_published()
    return history.check_file()


@pytest.mark.parametrize("block", blocks(quick=2, stress=100))
def test_random_history_of_appends_keeps_acknowledged_bytes(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has every acknowledged byte, and none that was not sent there; nothing else is left."""
    monkeypatch.setattr("ferry.uploads.assembly.ThreadPoolExecutor", SequentialExecutor)
    files = [run_history(seed) for seed in range(block * ROUNDS, (block + 1) * ROUNDS)]
    assert any(files)
