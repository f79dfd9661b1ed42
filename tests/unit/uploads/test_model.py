"""Ferry against a small model of what it promises: random operations of several clients, interleaved call by call.

The model knows only what clients were told: which chunks were acknowledged with which bytes, and what S3 took. From
that follows what a finished file may hold.
"""

from __future__ import annotations

import itertools
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from admin.recount import recount
from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from dev.fakes.metadata_rows import Rows
from dev.fakes.quotas import MemoryQuotaStore
from ferry.errors import BackendUnavailable, FerryError
from ferry.files.delete import delete_file
from ferry.model.files import File
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from ferry.rules.layout import ChunkLayout
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, presign_parts
from ferry.uploads.start import StartRequest, start
from tests.support.in_memory_service import CHUNK_BYTES, NS, InMemoryService, seeded_bytes
from tests.support.scheduler import run_interleaved

SCHEDULE_COUNTS: Counter[int] = Counter()
"""How many interleavings of so many requests were run."""

NAMES = ("a", "b")
FILE_SIZES = (0, 5, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7, 5 * CHUNK_BYTES)

names = st.sampled_from(NAMES)
chunks = st.integers(1, 5)
seeds = st.sampled_from((1, 1, 1, 2))
calls = st.integers(1, 9)
faults = st.one_of(st.none(), st.none(), st.sampled_from(Fault))


@dataclass
class UploadModel:
    """What clients know of one upload: chunks acknowledged, chunks ever sent, bodies S3 took for a part."""

    layout: ChunkLayout
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    sent: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    put: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class Backup:
    """The ledger at an earlier time, and what had been acknowledged by then."""

    taken_at: int
    rows: Rows
    acknowledged: dict[str, dict[int, bytes]]


def chunk_body(seed: int, layout: ChunkLayout, index: int) -> bytes:
    """A chunk's bytes for a client of that seed."""
    return seeded_bytes(layout.chunk_length(index), seed=seed * 100 + index)


def part_body(seed: int, layout: ChunkLayout, number: int) -> bytes:
    """A part's bytes for a client of that seed."""
    return b"".join(chunk_body(seed, layout, index) for index in layout.chunks_in_part(number))


class UploadStateMachine(RuleBasedStateMachine):
    """Rules are requests: alone, with another in the middle (`interloper`), or several at once, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = [
            mock.patch("ferry.rules.layout.DEFAULT_PART_BYTES", 2 * CHUNK_BYTES),
            mock.patch("dev.fakes.object_store.MIN_PART_BYTES", 2 * CHUNK_BYTES),
        ]
        for patch in self._patches:
            patch.start()
        self.service = InMemoryService(publish_events=True)
        self.quotas = MemoryQuotaStore(self.service.upload_repository.table)
        self.models: dict[str, UploadModel] = {}
        self.urls: list[tuple[str, int, Any]] = []
        self.backup: Backup | None = None

    def teardown(self) -> None:
        try:
            self.service.drain_cleanup()
            assert self.service.orphans() == []
            assert self.service.upload_repository.rows.task_due_times == {}
            assert not any(
                session.state.in_progress for session in self.service.upload_repository.rows.records.values()
            )
            self.check_files()
            self.service.assert_events_published()
        finally:
            for patch in self._patches:
                patch.stop()

    def model_of(self, upload_id: str) -> UploadModel:
        """What is known of an upload; of one that somebody started and got no answer for, nothing yet."""
        if upload_id not in self.models:
            self.models[upload_id] = UploadModel(self.service.upload_repository.rows.records[upload_id].layout)
        return self.models[upload_id]

    # Requests

    def do_start(self, services: Services, name: str, size: int, mode: str) -> None:
        request = StartRequest(
            name,
            size,
            chunk_size=CHUNK_BYTES,
            replace_existing=mode in ("replace", "restart"),
            restart=mode == "restart",
        )
        started = start(services, NS, request)
        if started.upload is not None:
            self.model_of(started.upload.record.upload_id)

    def do_send(self, services: Services, name: str, index: int, seed: int) -> None:
        slot = self.service.upload_repository.get_current_upload(NS, name)
        if slot is None:
            return
        told = self.model_of(slot.upload_id)
        if not told.layout.has_chunk(index):
            return
        body = chunk_body(seed, told.layout, index)
        told.sent[index].append(body)
        accepted = accept_chunk(services, NS, ChunkRequest(name, index, body, upload_id=slot.upload_id))
        assert accepted.upload_id == slot.upload_id
        assert told.acknowledged.setdefault(index, body) == body, "two bodies were acknowledged for one chunk"

    def do_sign(self, services: Services, name: str, number: int) -> None:
        [signed] = presign_parts(services, NS, PartsRequest(name, [(number, None)]))
        slot = self.service.upload_repository.get_current_upload(NS, name)
        assert slot is not None
        self.model_of(slot.upload_id)
        self.urls.append((slot.upload_id, number, signed))

    def do_put(self, which: int, seed: int) -> None:
        if not self.urls:
            return
        upload_id, number, signed = self.urls[which % len(self.urls)]
        told = self.models[upload_id]
        body = part_body(seed, told.layout, number)
        if self.service.object_store.put_presigned(signed.url, body, dict(signed.headers)).status == 200:
            told.put[number].append(body)

    def do_complete(self, services: Services, name: str, replace_existing: bool) -> None:
        result = complete(services, NS, CompleteRequest(name, replace_existing=replace_existing or None))
        if isinstance(result, File) and self.service.upload_repository.get_file(NS, name) == result:
            self.check_content(result)

    def do_cancel(self, services: Services, name: str) -> None:
        cancel(services, NS, name)

    def do_delete(self, services: Services, name: str) -> None:
        delete_file(services, NS, name)

    # What must hold

    def check_content(self, file: File) -> None:
        told = self.model_of(file.upload_id)
        body = self.service.object_store.get(f"o/{file.upload_id}")
        assert body is not None, "a file without its bytes"
        assert len(body) == told.layout.size == file.size
        for number in range(1, told.layout.part_count + 1):
            at = (number - 1) * told.layout.part_size
            self.check_part(told, number, body[at : at + told.layout.part_size])

    def check_part(self, model: UploadModel, number: int, body: bytes) -> None:
        indexes = model.layout.chunks_in_part(number)
        promised = [model.acknowledged.get(index) for index in indexes]
        if all(chunk is not None for chunk in promised):
            assert body == b"".join(chunk for chunk in promised if chunk is not None)
            return
        if body in model.put[number]:
            return
        for offset, index in enumerate(indexes):
            chunk = body[offset * CHUNK_BYTES : (offset + 1) * CHUNK_BYTES]
            assert chunk in model.sent[index], "bytes that nobody sent"
            assert model.acknowledged.get(index, chunk) == chunk

    def check_files(self) -> None:
        self.service.assert_quota_usage()
        for file in self.service.upload_repository.rows.files.values():
            self.check_content(file)

    # Rules

    def build_action(self, kind: str, name: str, number: int, seed: int, mode: str) -> Callable[[Services], None]:
        size = FILE_SIZES[(number + seed) % len(FILE_SIZES)]
        return {
            "start": lambda services: self.do_start(services, name, size, mode),
            "send": lambda services: self.do_send(services, name, number, seed),
            "sign": lambda services: self.do_sign(services, name, (number + 1) // 2),
            "put": lambda services: self.do_put(number, seed),
            "complete": lambda services: self.do_complete(services, name, mode == "replace"),
            "cancel": lambda services: self.do_cancel(services, name),
            "delete": lambda services: self.do_delete(services, name),
            "sweep": lambda services: self.do_sweep(),
        }[kind]

    def do_sweep(self) -> None:
        self.service.sweep()

    def run_action(self, action: Callable[[Services], None], services: Services) -> None:
        try:
            action(services)
        except (FerryError, ProcessCrashed):
            return

    kinds = st.sampled_from(
        (
            "start",
            "start",
            "send",
            "send",
            "send",
            "send",
            "sign",
            "put",
            "complete",
            "complete",
            "cancel",
            "delete",
            "sweep",
        )
    )
    modes = st.sampled_from(("plain", "plain", "replace", "restart"))
    requests = st.tuples(kinds, names, chunks, seeds, modes)

    @rule(wanted=requests, interloper=requests, at=calls, fault=faults, fault_at=calls)
    def interleaved(self, wanted: Any, interloper: Any, at: int, fault: Fault | None, fault_at: int) -> None:
        """One request, another in the middle of it, and perhaps a fault as well."""
        SCHEDULE_COUNTS[2] += 1
        other = self.build_action(*interloper)
        steps: dict[Any, Any] = {at: lambda: self.run_action(other, self.service.new_services())}
        if fault is not None:
            steps[fault_at] = fault
        self.run_action(self.build_action(*wanted), self.service.new_services(FaultPlan(steps), CallLog()))
        self.check_files()

    @rule(
        wanted=st.lists(requests, min_size=2, max_size=3),
        order=st.lists(st.integers(0, 5), min_size=3, max_size=24),
        fault=faults,
        fault_at=calls,
    )
    def concurrent(self, wanted: list[Any], order: list[int], fault: Fault | None, fault_at: int) -> None:
        """Two or three requests at once, call by call in the order drawn; the first perhaps with a fault as well."""
        SCHEDULE_COUNTS[len(wanted)] += 1

        def play(wish: Any) -> Callable[[FaultPlan], None]:
            return lambda script: self.run_action(
                self.build_action(*wish), self.service.new_services(script, CallLog())
            )

        run_interleaved([play(wish) for wish in wanted], itertools.cycle(order), {fault_at: fault} if fault else None)
        self.check_files()

    @rule(wanted=requests)
    def alone(self, wanted: Any) -> None:
        """One request, undisturbed."""
        self.run_action(self.build_action(*wanted), self.service.services)
        self.check_files()

    @rule(name=names, seed=seeds)
    def complete_missing(self, name: str, seed: int) -> None:
        """A client that does not give up: what is missing is sent, then the upload is completed."""
        slot = self.service.upload_repository.get_current_upload(NS, name)
        if slot is None or not slot.in_progress:
            return
        for index in range(1, self.model_of(slot.upload_id).layout.chunk_count + 1):
            self.run_action(self.build_action("send", name, index, seed, "plain"), self.service.services)
        self.run_action(lambda services: self.do_complete(services, name, replace_existing=True), self.service.services)
        self.check_files()

    @rule(wait_ms=st.sampled_from((MINUTE_MS, 2 * MINUTE_MS, HOUR_MS, 23 * HOUR_MS, 2 * DAY_MS)))
    def time_passes(self, wait_ms: int) -> None:
        self.service.clock.advance(wait_ms)

    @rule(limit=st.sampled_from((None, 6 * CHUNK_BYTES, 12 * CHUNK_BYTES)))
    def set_limit(self, limit: int | None) -> None:
        """What is there already is counted with the next recount, or never."""
        self.quotas.set_limits(NS, max_bytes=limit, max_uploads=None, max_file_bytes=None)

    @precondition(lambda self: self.service.upload_repository.rows.quotas)
    @rule(interloper=requests, at=calls)
    def recount_namespace(self, interloper: Any, at: int) -> None:
        """An operator counts, somebody else does something in the middle of it."""
        other = self.build_action(*interloper)
        services = self.service.new_services(
            FaultPlan({at: lambda: self.run_action(other, self.service.new_services())}), CallLog()
        )
        recount(services.upload_repository, self.quotas, NS)
        self.service.assert_quota_usage()

    @rule()
    def take_backup(self) -> None:
        """Note the ledger as it is now."""
        promises = {upload_id: dict(told.acknowledged) for upload_id, told in self.models.items()}
        self.backup = Backup(self.service.clock(), self.service.upload_repository.snapshot(), promises)

    @precondition(lambda self: self.backup is not None and self.service.clock() - self.backup.taken_at < 20 * HOUR_MS)
    @rule()
    def restore_backup(self) -> None:
        """Point-in-time recovery: the ledger forgets, S3 does not. What it forgot may be asked for again."""
        assert self.backup is not None
        self.service.upload_repository.restore(self.backup.rows)
        for upload_id, told in self.models.items():
            told.acknowledged = dict(self.backup.acknowledged.get(upload_id, {}))


def test_model_random_interleavings_keep_acknowledged_bytes(
    request: pytest.FixtureRequest, record_property: Any
) -> None:
    """Hundreds of schedules, whatever the seed; it is printed at the end, and `--hypothesis-seed` runs it again."""
    SCHEDULE_COUNTS.clear()
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    run = settings(stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    try:
        run_state_machine_as_test(seed(chosen)(UploadStateMachine), settings=run)
        assert SCHEDULE_COUNTS.total() >= 300
    finally:
        counts = ", ".join(f"{number} of {requests} requests" for requests, number in sorted(SCHEDULE_COUNTS.items()))
        record_property("model", f"{SCHEDULE_COUNTS.total()} schedules ({counts}), --hypothesis-seed={chosen}")


def test_run_interleaved_same_order_same_run() -> None:
    """The harness itself: who makes which call follows from the order, and from nothing else."""

    def run(order: list[int]) -> list[tuple[int, str]]:
        service, made = InMemoryService(), []

        def play(number: int) -> Callable[[FaultPlan], None]:
            def calls(script: FaultPlan) -> None:
                services = service.new_services(script, CallLog())
                for method in ("get_current_upload", "get_file", "get_current_upload"):
                    getattr(services.upload_repository, method)(NS, "a")
                    made.append((number, method))

            return calls

        run_interleaved([play(1), play(2)], itertools.cycle(order))
        return made

    assert run([0]) == [
        (n, method) for n in (1, 2) for method in ("get_current_upload", "get_file", "get_current_upload")
    ]
    assert run([0, 1]) == [
        (n, method) for method in ("get_current_upload", "get_file", "get_current_upload") for n in (1, 2)
    ]
    assert run([0, 1, 1, 0, 1]) == run([0, 1, 1, 0, 1])


def test_run_interleaved_operation_fails_raises() -> None:
    """The harness itself: an assertion that fails in one of them fails the run."""

    def wrong(_: FaultPlan) -> None:
        raise AssertionError("wrong")

    with pytest.raises(AssertionError, match="wrong"):
        run_interleaved([wrong, lambda _: None], itertools.cycle([1, 0]))


def test_backend_unavailable_code_is_stable() -> None:
    """What the model takes for granted of every refusal."""
    assert BackendUnavailable.code == "backend_unavailable"
