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

from ferry.engine import DAY, HOUR, MINUTE, Engine
from ferry.errors import BackendUnavailable, FerryError
from ferry.grid import Grid
from ferry.model import File
from ferry.quotas import recount
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, send
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.files import delete
from ferry.uploads.parts import PartsRequest, sign
from ferry.uploads.start import StartRequest, start
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.fakes.ledger_rows import Rows
from tests.fakes.quotas import MemoryQuotas
from tests.support.turns import interleave
from tests.support.world import CHUNK, NS, World, bytes_of

SCHEDULES: Counter[int] = Counter()
"""How many interleavings of so many requests were run."""

NAMES = ("a", "b")
SIZES = (0, 5, 2 * CHUNK, 2 * CHUNK + 7, 5 * CHUNK)

names = st.sampled_from(NAMES)
chunks = st.integers(1, 5)
seeds = st.sampled_from((1, 1, 1, 2))
calls = st.integers(1, 9)
faults = st.one_of(st.none(), st.none(), st.sampled_from(Fault))


@dataclass
class Told:
    """What clients know of one upload: chunks acknowledged, chunks ever sent, bodies S3 took for a part."""

    grid: Grid
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    sent: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    put: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class Backup:
    """The ledger at an earlier time, and what had been acknowledged by then."""

    at: int
    rows: Rows
    acknowledged: dict[str, dict[int, bytes]]


def piece(seed: int, grid: Grid, index: int) -> bytes:
    """A chunk's bytes for a client of that seed."""
    return bytes_of(grid.length_of_chunk(index), seed=seed * 100 + index)


def slab(seed: int, grid: Grid, number: int) -> bytes:
    """A part's bytes for a client of that seed."""
    return b"".join(piece(seed, grid, index) for index in grid.chunks_of_part(number))


class Ferry(RuleBasedStateMachine):
    """Rules are requests: alone, with another in the middle (`meddler`), or several at once, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = [
            mock.patch("ferry.grid.DEFAULT_PART_SIZE", 2 * CHUNK),
            mock.patch("tests.fakes.objects.MIN_PART_SIZE", 2 * CHUNK),
        ]
        for patch in self._patches:
            patch.start()
        self.world = World(telling=True)
        self.quotas = MemoryQuotas(self.world.ledger)
        self.told: dict[str, Told] = {}
        self.urls: list[tuple[str, int, Any]] = []
        self.backup: Backup | None = None

    def teardown(self) -> None:
        try:
            self.world.sweep_until_quiet()
            assert self.world.orphans() == []
            assert self.world.ledger.rows.dues == {}
            assert not any(session.state.in_progress for session in self.world.ledger.rows.sessions.values())
            self.check_files()
            self.world.check_told()
        finally:
            for patch in self._patches:
                patch.stop()

    def of(self, upload_id: str) -> Told:
        """What is known of an upload; of one that somebody started and got no answer for, nothing yet."""
        if upload_id not in self.told:
            self.told[upload_id] = Told(self.world.ledger.rows.sessions[upload_id].grid)
        return self.told[upload_id]

    # Requests

    def do_start(self, engine: Engine, name: str, size: int, how: str) -> None:
        request = StartRequest(
            name, size, chunk_size=CHUNK, replace=how in ("replace", "restart"), restart=how == "restart"
        )
        started = start(engine, NS, request)
        if started.upload is not None:
            self.of(started.upload.session.upload_id)

    def do_send(self, engine: Engine, name: str, index: int, seed: int) -> None:
        slot = self.world.ledger.slot(NS, name)
        if slot is None:
            return
        told = self.of(slot.upload_id)
        if not told.grid.has_chunk(index):
            return
        body = piece(seed, told.grid, index)
        told.sent[index].append(body)
        accepted = send(engine, NS, ChunkRequest(name, index, body, upload_id=slot.upload_id))
        assert accepted.upload_id == slot.upload_id
        assert told.acknowledged.setdefault(index, body) == body, "two bodies were acknowledged for one chunk"

    def do_sign(self, engine: Engine, name: str, number: int) -> None:
        [signed] = sign(engine, NS, PartsRequest(name, [(number, None)]))
        slot = self.world.ledger.slot(NS, name)
        assert slot is not None
        self.of(slot.upload_id)
        self.urls.append((slot.upload_id, number, signed))

    def do_put(self, which: int, seed: int) -> None:
        if not self.urls:
            return
        upload_id, number, signed = self.urls[which % len(self.urls)]
        told = self.told[upload_id]
        body = slab(seed, told.grid, number)
        if self.world.objects.put_presigned(signed.url, body, dict(signed.headers)).status == 200:
            told.put[number].append(body)

    def do_complete(self, engine: Engine, name: str, replace: bool) -> None:
        result = complete(engine, NS, CompleteRequest(name, replace=replace or None))
        if isinstance(result, File) and self.world.ledger.file(NS, name) == result:
            self.check_content(result)

    def do_cancel(self, engine: Engine, name: str) -> None:
        cancel(engine, NS, name)

    def do_delete(self, engine: Engine, name: str) -> None:
        delete(engine, NS, name)

    # What must hold

    def check_content(self, file: File) -> None:
        told = self.of(file.upload_id)
        body = self.world.objects.get(f"o/{file.upload_id}")
        assert body is not None, "a file without its bytes"
        assert len(body) == told.grid.size == file.size
        for number in range(1, told.grid.part_count + 1):
            at = (number - 1) * told.grid.part_size
            self.check_part(told, number, body[at : at + told.grid.part_size])

    def check_part(self, told: Told, number: int, body: bytes) -> None:
        indexes = told.grid.chunks_of_part(number)
        promised = [told.acknowledged.get(index) for index in indexes]
        if all(chunk is not None for chunk in promised):
            assert body == b"".join(chunk for chunk in promised if chunk is not None)
            return
        if body in told.put[number]:
            return
        for offset, index in enumerate(indexes):
            chunk = body[offset * CHUNK : (offset + 1) * CHUNK]
            assert chunk in told.sent[index], "bytes that nobody sent"
            assert told.acknowledged.get(index, chunk) == chunk

    def check_files(self) -> None:
        self.world.check_counted()
        for file in self.world.ledger.rows.files.values():
            self.check_content(file)

    # Rules

    def request(self, kind: str, name: str, number: int, seed: int, how: str) -> Callable[[Engine], None]:
        size = SIZES[(number + seed) % len(SIZES)]
        return {
            "start": lambda engine: self.do_start(engine, name, size, how),
            "send": lambda engine: self.do_send(engine, name, number, seed),
            "sign": lambda engine: self.do_sign(engine, name, (number + 1) // 2),
            "put": lambda engine: self.do_put(number, seed),
            "complete": lambda engine: self.do_complete(engine, name, how == "replace"),
            "cancel": lambda engine: self.do_cancel(engine, name),
            "delete": lambda engine: self.do_delete(engine, name),
            "sweep": lambda engine: self.do_sweep(),
        }[kind]

    def do_sweep(self) -> None:
        self.world.sweep()

    def attempt(self, action: Callable[[Engine], None], engine: Engine) -> None:
        try:
            action(engine)
        except (FerryError, Crashed):
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
    hows = st.sampled_from(("plain", "plain", "replace", "restart"))
    requests = st.tuples(kinds, names, chunks, seeds, hows)

    @rule(wanted=requests, meddler=requests, at=calls, fault=faults, fault_at=calls)
    def interleaved(self, wanted: Any, meddler: Any, at: int, fault: Fault | None, fault_at: int) -> None:
        """One request, another in the middle of it, and perhaps a fault as well."""
        SCHEDULES[2] += 1
        other = self.request(*meddler)
        steps: dict[Any, Any] = {at: lambda: self.attempt(other, self.world.new_engine())}
        if fault is not None:
            steps[fault_at] = fault
        self.attempt(self.request(*wanted), self.world.new_engine(Script(steps), Log()))
        self.check_files()

    @rule(
        wanted=st.lists(requests, min_size=2, max_size=3),
        order=st.lists(st.integers(0, 5), min_size=3, max_size=24),
        fault=faults,
        fault_at=calls,
    )
    def at_once(self, wanted: list[Any], order: list[int], fault: Fault | None, fault_at: int) -> None:
        """Two or three requests at once, call by call in the order drawn; the first perhaps with a fault as well."""
        SCHEDULES[len(wanted)] += 1

        def play(wish: Any) -> Callable[[Script], None]:
            return lambda script: self.attempt(self.request(*wish), self.world.new_engine(script, Log()))

        interleave([play(wish) for wish in wanted], itertools.cycle(order), {fault_at: fault} if fault else None)
        self.check_files()

    @rule(wanted=requests)
    def alone(self, wanted: Any) -> None:
        """One request, undisturbed."""
        self.attempt(self.request(*wanted), self.world.engine)
        self.check_files()

    @rule(name=names, seed=seeds)
    def finish(self, name: str, seed: int) -> None:
        """A client that does not give up: what is missing is sent, then the upload is completed."""
        slot = self.world.ledger.slot(NS, name)
        if slot is None or not slot.open:
            return
        for index in range(1, self.of(slot.upload_id).grid.chunk_count + 1):
            self.attempt(self.request("send", name, index, seed, "plain"), self.world.engine)
        self.attempt(lambda engine: self.do_complete(engine, name, replace=True), self.world.engine)
        self.check_files()

    @rule(wait=st.sampled_from((MINUTE, 2 * MINUTE, HOUR, 23 * HOUR, 2 * DAY)))
    def time_passes(self, wait: int) -> None:
        self.world.clock.advance(wait)

    @rule(limit=st.sampled_from((None, 6 * CHUNK, 12 * CHUNK)))
    def set_limit(self, limit: int | None) -> None:
        """What is there already is counted with the next recount, or never."""
        self.quotas.limit(NS, max_bytes=limit, max_uploads=None, max_file=None)

    @precondition(lambda self: self.world.ledger.rows.quotas)
    @rule(meddler=requests, at=calls)
    def recount_namespace(self, meddler: Any, at: int) -> None:
        """An operator counts, somebody else does something in the middle of it."""
        other = self.request(*meddler)
        engine = self.world.new_engine(Script({at: lambda: self.attempt(other, self.world.new_engine())}), Log())
        recount(engine.ledger, self.quotas, NS)
        self.world.check_counted()

    @rule()
    def take_backup(self) -> None:
        """Note the ledger as it is now."""
        promises = {upload_id: dict(told.acknowledged) for upload_id, told in self.told.items()}
        self.backup = Backup(self.world.clock(), self.world.ledger.snapshot(), promises)

    @precondition(lambda self: self.backup is not None and self.world.clock() - self.backup.at < 20 * HOUR)
    @rule()
    def restore_backup(self) -> None:
        """Point-in-time recovery: the ledger forgets, S3 does not. What it forgot may be asked for again."""
        assert self.backup is not None
        self.world.ledger.restore(self.backup.rows)
        for upload_id, told in self.told.items():
            told.acknowledged = dict(self.backup.acknowledged.get(upload_id, {}))


def test_ferry_keeps_what_clients_were_told(request: pytest.FixtureRequest, record_property: Any) -> None:
    """Hundreds of schedules, whatever the seed; it is printed at the end, and `--hypothesis-seed` runs it again."""
    SCHEDULES.clear()
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    run = settings(stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    try:
        run_state_machine_as_test(seed(chosen)(Ferry), settings=run)
        assert SCHEDULES.total() >= 300
    finally:
        counts = ", ".join(f"{number} of {requests} requests" for requests, number in sorted(SCHEDULES.items()))
        record_property("model", f"{SCHEDULES.total()} schedules ({counts}), --hypothesis-seed={chosen}")


def test_the_same_order_is_the_same_run() -> None:
    """The harness itself: who makes which call follows from the order, and from nothing else."""

    def run(order: list[int]) -> list[tuple[int, str]]:
        world, made = World(), []

        def play(number: int) -> Callable[[Script], None]:
            def calls(script: Script) -> None:
                engine = world.new_engine(script, Log())
                for method in ("slot", "file", "slot"):
                    getattr(engine.ledger, method)(NS, "a")
                    made.append((number, method))

            return calls

        interleave([play(1), play(2)], itertools.cycle(order))
        return made

    assert run([0]) == [(n, method) for n in (1, 2) for method in ("slot", "file", "slot")]
    assert run([0, 1]) == [(n, method) for method in ("slot", "file", "slot") for n in (1, 2)]
    assert run([0, 1, 1, 0, 1]) == run([0, 1, 1, 0, 1])


def test_what_a_player_finds_wrong_is_told() -> None:
    """The harness itself: an assertion that fails in one of them fails the run."""

    def wrong(_: Script) -> None:
        raise AssertionError("wrong")

    with pytest.raises(AssertionError, match="wrong"):
        interleave([wrong, lambda _: None], itertools.cycle([1, 0]))


def test_unavailable_is_an_error_that_clients_may_retry() -> None:
    """What the model takes for granted of every refusal."""
    assert BackendUnavailable.code == "backend_unavailable"
