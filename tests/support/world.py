"""A whole Ferry in memory, and a client that behaves as the contract lets clients behave."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ferry.cleanup import Report, finish, sweep_due
from ferry.digests import crc32c
from ferry.engine import DAY, SECOND, Engine
from ferry.errors import BackendUnavailable
from ferry.grid import KIB
from ferry.model import Deletion, Event, EventKind, File, Quota, State
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, send
from ferry.uploads.complete import CompleteRequest, StillCompleting, complete
from ferry.uploads.parts import PartsRequest, SignedPart, sign
from ferry.uploads.start import Started, StartRequest, start
from tests.fakes.clock import CountingIds, SettableClock
from tests.fakes.events import MemoryEvents
from tests.fakes.faults import Crashed, Log, Script, faulty
from tests.fakes.ledger import MemoryLedger
from tests.fakes.objects import Answer, MemoryObjects
from tests.fakes.quotas import MemoryQuotas
from tests.fakes.seats import MemorySeats
from tests.fakes.worker import MemoryWorker

NS = "ns"
NAME = "a file.bin"
CHUNK = 64 * KIB
LEASE = 35 * SECOND
"""Longer than a function may take."""

T = TypeVar("T")


def bytes_of(size: int, seed: int = 1) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


@dataclass
class World:
    """Backends that stay, and engines that come and go (a crash ends one). `log` has every call they get.

    With `telling` there is a bus for events too, on which nothing may be told that has not happened. `quota` are limits
    of the namespace `NS`.
    """

    telling: bool = False
    quota: Quota | None = None
    clock: SettableClock = field(default_factory=SettableClock)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    ids: CountingIds = field(default_factory=CountingIds)
    worker: MemoryWorker = field(default_factory=MemoryWorker)
    seats: MemorySeats = field(default_factory=MemorySeats)
    log: Log = field(default_factory=Log)
    objects: MemoryObjects = field(init=False)
    events: MemoryEvents = field(init=False)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(self.clock)
        self.events = MemoryEvents(self.check_happened)
        self.engine = self.new_engine()
        if self.quota is not None:
            limits = self.quota
            MemoryQuotas(self.ledger).limit(
                NS, max_bytes=limits.max_bytes, max_uploads=limits.max_uploads, max_file=limits.max_file
            )

    def new_engine(self, script: Script | None = None, log: Log | None = None) -> Engine:
        """A fresh process; with a script, one whose calls fail by it."""
        script, log = script or Script(), log or self.log
        script.jump = lambda: self.clock.advance(LEASE + 1)
        return Engine(
            ledger=faulty(self.ledger, script, log),
            objects=faulty(self.objects, script, log),
            worker=faulty(self.worker, script, log),
            seats=faulty(self.seats, script, log),
            clock=self.clock,
            session_idle=DAY,
            session_max_age=7 * DAY,
            url_lifetime=900,
            new_id=self.ids,
            lease=LEASE,
            sleep=lambda seconds: void(self.clock.advance(int(seconds * 1000))),
            events=faulty(self.events, script, log) if self.telling else None,
        )

    def work(self, engine: Engine | None = None) -> None:
        """What was handed on is delivered: by then it may be old, and the last one comes twice."""
        events, self.worker.events = self.worker.events, []
        for upload_id, attempt in [*events, *events[-1:]]:
            finish(engine or self.engine, upload_id, attempt)

    def sweep(self) -> Report:
        """One tick of the schedule."""
        return sweep_due(self.engine, has_time=lambda: True)

    def sweep_until_quiet(self) -> None:
        """Let three months pass, with a tick every half day at first, then every third day: uploads end, tombs and
        what no row knows fall due.
        """
        for pause in [DAY // 2] * 18 + [3 * DAY] * 26:
            self.clock.advance(pause)
            self.sweep()

    def content(self, name: str = NAME, ns: str = NS) -> bytes | None:
        """The bytes of the finished file, or None."""
        file = self.ledger.file(ns, name)
        return None if file is None else self.objects.get(f"o/{file.upload_id}")

    def check_happened(self, event: Event) -> None:
        """What is told stands in the ledger already, and nothing else does."""
        session = self.ledger.rows.sessions[event.upload_id]
        assert (event.ns, event.name, event.size) == (session.ns, session.name, session.grid.size)
        if event.kind is EventKind.STARTED:
            assert event.time == session.created
        elif event.kind is EventKind.DELETED:
            assert self.ledger.rows.deletions[event.upload_id] == Deletion(session.answer or no_file(), event.time)
        else:
            assert event.kind.rpartition(".")[2] == told_as(session.state)
            assert (event.time, event.file, event.replaced) == (session.ended, session.answer, session.replaced)

    def check_told(self) -> None:
        """Once all is quiet: each change of state was told, and nothing waits to be. Nor was anything else told, unless
        the ledger was set back: what happened since then has been told all the same.
        """
        files = {file.upload_id for file in self.ledger.rows.files.values()}
        replaced = {session.replaced for session in self.ledger.rows.sessions.values()}
        for upload_id, session in self.ledger.rows.sessions.items():
            expected = {"started", told_as(session.state)}
            if session.state is State.COMPLETE and upload_id not in files | replaced:
                expected.add("deleted")
            told = set(self.events.kinds(upload_id))
            assert told >= expected if self.ledger.was_set_back else told == expected
            assert not session.untold
        assert self.ledger.rows.deletions == {}

    def check_counted(self) -> None:
        """What is counted is what there is that is marked as counted, at every moment; with a limit from the beginning
        that is everything.
        """
        rows = self.ledger.rows
        files = [file for file in rows.files.values() if file.counted]
        open_uploads = [each for each in rows.sessions.values() if each.counted and each.state.in_progress]
        for ns, quota in rows.quotas.items():
            uploads = [each for each in open_uploads if each.ns == ns]
            size = sum(file.size for file in files if file.ns == ns) + sum(each.grid.size for each in uploads)
            assert (quota.bytes, quota.uploads) == (size, len(uploads))
        if self.quota is not None and self.quota.counts:
            assert len(files) == sum(file.ns == NS for file in rows.files.values())

    def orphans(self) -> list[str]:
        """What S3 holds that no file points to."""
        kept = {f"o/{file.upload_id}" for file in self.ledger.rows.files.values()}
        return sorted(set(self.objects.objects) - kept) + sorted(self.objects.uploads)


def told_as(state: State) -> str:
    return "completed" if state is State.COMPLETE else state.value


def no_file() -> File:
    raise AssertionError("a file was deleted that was never there")


def void(_: object) -> None:
    """For lambdas that must return nothing."""


@dataclass
class Client:
    """Sends one file; knows only what the contract tells it."""

    world: World
    body: bytes
    name: str = NAME
    ns: str = NS
    chunk_size: int = CHUNK
    started: Started | None = None

    def begin(self, engine: Engine | None = None, **options: Any) -> Started:
        request = StartRequest(self.name, len(self.body), chunk_size=self.chunk_size, **options)
        self.started = start(engine or self.world.engine, self.ns, request)
        return self.started

    @property
    def upload_id(self) -> str:
        assert self.started is not None
        assert self.started.upload is not None
        return self.started.upload.session.upload_id

    @property
    def chunk_count(self) -> int:
        return -(-len(self.body) // self.chunk_size)

    def chunk(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def send(self, index: int, engine: Engine | None = None, body: bytes | None = None) -> ChunkAccepted:
        request = ChunkRequest(self.name, index, self.chunk(index) if body is None else body)
        return send(engine or self.world.engine, self.ns, request)

    def send_all(self, indexes: Iterable[int] | None = None) -> None:
        for index in indexes or range(1, self.chunk_count + 1):
            self.send(index)

    def sign(self, number: int, engine: Engine | None = None, crc: int | None = None) -> SignedPart:
        [signed] = sign(engine or self.world.engine, self.ns, PartsRequest(self.name, [(number, crc)]))
        return signed

    def part(self, number: int) -> bytes:
        assert self.started is not None
        assert self.started.upload is not None
        size = self.started.upload.session.grid.part_size
        return self.body[(number - 1) * size : number * size]

    def put(self, signed: SignedPart, body: bytes) -> Answer:
        return self.world.objects.put_presigned(signed.url, body, dict(signed.headers))

    def complete(self, engine: Engine | None = None, **options: Any) -> File | StillCompleting:
        request = CompleteRequest(self.name, **options)
        return complete(engine or self.world.engine, self.ns, request)

    def complete_patiently(self, **options: Any) -> File:
        """Ask again as the answers say."""
        for _ in range(40):
            result = self.complete(**options)
            if isinstance(result, File):
                return result
            self.world.clock.advance(result.retry_after * 1000 + 1)
        raise AssertionError("never completed")

    def cancel(self, engine: Engine | None = None) -> None:
        cancel(engine or self.world.engine, self.ns, self.name)

    @property
    def crc(self) -> int:
        return crc32c(self.body)

    def state(self) -> State | None:
        upload = self.world.ledger.upload(self.upload_id)
        return upload.session.state if upload else None


def survive(operation: Callable[[], T]) -> T | None:
    """Run what may be broken by a script; None if it was."""
    try:
        return operation()
    except (BackendUnavailable, Crashed):
        return None
