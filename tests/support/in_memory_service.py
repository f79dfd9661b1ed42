"""A whole Ferry in memory, and a client that behaves as the contract lets clients behave."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dev.fakes.cleanup_repository import MemoryCleanupRepository
from dev.fakes.clock import SequentialIds, SettableClock
from dev.fakes.completion_queue import MemoryCompletionQueue
from dev.fakes.event_publisher import MemoryEventPublisher
from dev.fakes.faults import CallLog, FaultPlan, ProcessCrashed, with_faults
from dev.fakes.object_store import MemoryObjectStore, StoreResponse
from dev.fakes.permits import MemoryPermitPool
from dev.fakes.quotas import MemoryQuotaStore
from dev.fakes.upload_repository import MemoryUploadRepository
from ferry.cleanup import CleanupReport, continue_completion, sweep_due_tasks
from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from ferry.model.files import DeletedFile, File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadState
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, SECOND_MS
from ferry.rules.layout import KIB
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, CompletionAccepted, complete
from ferry.uploads.presign import PartsRequest, PresignedPart, presign_parts
from ferry.uploads.start import StartRequest, StartResult, start

NS = "ns"
NAME = "a file.bin"
CHUNK_BYTES = 64 * KIB
LEASE_MS = 35 * SECOND_MS
"""Longer than a function may take."""

T = TypeVar("T")


def seeded_bytes(size: int, seed: int = 1) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


@dataclass
class InMemoryService:
    """Backends that stay, and engines that come and go (a crash ends one). `log` has every call they get.

    With `telling` there is a bus for events too, on which nothing may be told that has not happened. `quota` are limits
    of the namespace `NS`.
    """

    publish_events: bool = False
    quota: Quota | None = None
    clock: SettableClock = field(default_factory=SettableClock)
    upload_repository: MemoryUploadRepository = field(default_factory=MemoryUploadRepository)
    new_id: SequentialIds = field(default_factory=SequentialIds)
    completion_queue: MemoryCompletionQueue = field(default_factory=MemoryCompletionQueue)
    permit_pool: MemoryPermitPool = field(default_factory=MemoryPermitPool)
    log: CallLog = field(default_factory=CallLog)
    cleanup_repository: MemoryCleanupRepository = field(init=False)
    object_store: MemoryObjectStore = field(init=False)
    event_publisher: MemoryEventPublisher = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.cleanup_repository = MemoryCleanupRepository(self.upload_repository.table)
        self.object_store = MemoryObjectStore(self.clock)
        self.event_publisher = MemoryEventPublisher(self.assert_event_committed)
        self.services = self.new_services()
        if self.quota is not None:
            limits = self.quota
            MemoryQuotaStore(self.upload_repository.table).set_limits(
                NS, max_bytes=limits.max_bytes, max_uploads=limits.max_uploads, max_file_bytes=limits.max_file_bytes
            )

    def new_services(self, plan: FaultPlan | None = None, log: CallLog | None = None) -> Services:
        """A fresh process; with a script, one whose calls fail by it."""
        plan, log = plan or FaultPlan(), log or self.log
        plan.advance_clock = lambda: self.clock.advance(LEASE_MS + 1)
        return Services(
            upload_repository=with_faults(self.upload_repository, plan, log),
            cleanup_repository=with_faults(self.cleanup_repository, plan, log),
            object_store=with_faults(self.object_store, plan, log),
            completion_queue=with_faults(self.completion_queue, plan, log),
            permit_pool=with_faults(self.permit_pool, plan, log),
            clock=self.clock,
            upload_idle_timeout_ms=DAY_MS,
            upload_max_age_ms=7 * DAY_MS,
            presigned_url_ttl_seconds=900,
            new_id=self.new_id,
            lease_duration_ms=LEASE_MS,
            sleep=lambda seconds: discard(self.clock.advance(int(seconds * 1000))),
            event_publisher=with_faults(self.event_publisher, plan, log) if self.publish_events else None,
        )

    def deliver_queued(self, services: Services | None = None) -> None:
        """What was handed on is delivered: by then it may be old, and the last one comes twice."""
        events, self.completion_queue.queued = self.completion_queue.queued, []
        for upload_id, attempt in [*events, *events[-1:]]:
            continue_completion(services or self.services, upload_id, attempt)

    def sweep(self) -> CleanupReport:
        """One tick of the schedule."""
        return sweep_due_tasks(self.services, has_time=lambda: True)

    def drain_cleanup(self) -> None:
        """Let three months pass, with a tick every half day at first, then every third day: uploads end, tombs and
        what no row knows fall due.
        """
        for pause in [DAY_MS // 2] * 18 + [3 * DAY_MS] * 26:
            self.clock.advance(pause)
            self.sweep()

    def file_content(self, name: str = NAME, ns: str = NS) -> bytes | None:
        """The bytes of the finished file, or None."""
        file = self.upload_repository.get_file(ns, name)
        return None if file is None else self.object_store.get(f"o/{file.upload_id}")

    def assert_event_committed(self, event: Event) -> None:
        """What is told stands in the ledger already, and nothing else does."""
        session = self.upload_repository.rows.records[event.upload_id]
        assert (event.ns, event.name, event.size) == (session.ns, session.name, session.layout.size)
        if event.kind is EventKind.STARTED:
            assert event.occurred_at == session.created_at
        elif event.kind is EventKind.DELETED:
            assert self.upload_repository.rows.deleted_files[event.upload_id] == DeletedFile(
                session.file or fail_without_file(), event.occurred_at
            )
        else:
            assert event.kind.rpartition(".")[2] == event_suffix(session.state)
            assert (event.occurred_at, event.file, event.replaced_upload_id) == (
                session.ended_at,
                session.file,
                session.replaced_upload_id,
            )

    def assert_events_published(self) -> None:
        """Once all is quiet: each change of state was told, and nothing waits to be. Nor was anything else told, unless
        the ledger was set back: what happened since then has been told all the same.
        """
        files = {file.upload_id for file in self.upload_repository.rows.files.values()}
        replaced = {session.replaced_upload_id for session in self.upload_repository.rows.records.values()}
        for upload_id, session in self.upload_repository.rows.records.items():
            expected = {"started", event_suffix(session.state)}
            if session.state is UploadState.COMPLETE and upload_id not in files | replaced:
                expected.add("deleted")
            told = set(self.event_publisher.kinds_for(upload_id))
            assert told >= expected if self.upload_repository.was_restored else told == expected
            assert not session.event_pending
        assert self.upload_repository.rows.deleted_files == {}

    def assert_quota_usage(self) -> None:
        """What is counted is what there is that is marked as counted, at every moment; with a limit from the beginning
        that is everything.
        """
        rows = self.upload_repository.rows
        files = [file for file in rows.files.values() if file.counted_in_quota]
        open_uploads = [each for each in rows.records.values() if each.counted_in_quota and each.state.in_progress]
        for ns, quota in rows.quotas.items():
            uploads = [each for each in open_uploads if each.ns == ns]
            size = sum(file.size for file in files if file.ns == ns) + sum(each.layout.size for each in uploads)
            assert (quota.used_bytes, quota.open_uploads) == (size, len(uploads))
        if self.quota is not None and self.quota.tracks_usage:
            assert len(files) == sum(file.ns == NS for file in rows.files.values())

    def orphans(self) -> list[str]:
        """What S3 holds that no file points to."""
        kept = {f"o/{file.upload_id}" for file in self.upload_repository.rows.files.values()}
        return sorted(set(self.object_store.objects) - kept) + sorted(self.object_store.multipart_uploads)


def event_suffix(state: UploadState) -> str:
    return "completed" if state is UploadState.COMPLETE else state.value


def fail_without_file() -> File:
    raise AssertionError("a file was deleted that was never there")


def discard(_: object) -> None:
    """For lambdas that must return nothing."""


@dataclass
class Client:
    """Sends one file; knows only what the contract tells it."""

    service: InMemoryService
    body: bytes
    name: str = NAME
    ns: str = NS
    chunk_size: int = CHUNK_BYTES
    started: StartResult | None = None

    def start(self, services: Services | None = None, **options: Any) -> StartResult:
        request = StartRequest(self.name, len(self.body), chunk_size=self.chunk_size, **options)
        self.started = start(services or self.service.services, self.ns, request)
        return self.started

    @property
    def upload_id(self) -> str:
        assert self.started is not None
        assert self.started.upload is not None
        return self.started.upload.record.upload_id

    @property
    def chunk_count(self) -> int:
        return -(-len(self.body) // self.chunk_size)

    def chunk_body(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def send_chunk(self, index: int, services: Services | None = None, body: bytes | None = None) -> ChunkAccepted:
        request = ChunkRequest(self.name, index, self.chunk_body(index) if body is None else body)
        return accept_chunk(services or self.service.services, self.ns, request)

    def send_chunks(self, indexes: Iterable[int] | None = None) -> None:
        for index in indexes or range(1, self.chunk_count + 1):
            self.send_chunk(index)

    def presign_part(self, number: int, services: Services | None = None, crc: int | None = None) -> PresignedPart:
        [signed] = presign_parts(services or self.service.services, self.ns, PartsRequest(self.name, [(number, crc)]))
        return signed

    def part_body(self, number: int) -> bytes:
        assert self.started is not None
        assert self.started.upload is not None
        size = self.started.upload.record.layout.part_size
        return self.body[(number - 1) * size : number * size]

    def put_part(self, presigned: PresignedPart, body: bytes) -> StoreResponse:
        return self.service.object_store.put_presigned(presigned.url, body, dict(presigned.headers))

    def complete(self, services: Services | None = None, **options: Any) -> File | CompletionAccepted:
        request = CompleteRequest(self.name, **options)
        return complete(services or self.service.services, self.ns, request)

    def complete_with_retries(self, **options: Any) -> File:
        """Ask again as the answers say."""
        for _ in range(40):
            result = self.complete(**options)
            if isinstance(result, File):
                return result
            self.service.clock.advance(result.retry_after_seconds * 1000 + 1)
        raise AssertionError("never completed")

    def cancel(self, services: Services | None = None) -> None:
        cancel(services or self.service.services, self.ns, self.name)

    @property
    def crc(self) -> int:
        return crc32c(self.body)

    def state(self) -> UploadState | None:
        upload = self.service.upload_repository.get_upload(self.upload_id)
        return upload.record.state if upload else None


def swallow_crash(operation: Callable[[], T]) -> T | None:
    """Run what may be broken by a script; None if it was."""
    try:
        return operation()
    except (BackendUnavailable, ProcessCrashed):
        return None
