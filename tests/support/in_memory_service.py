"""A complete Ferry in memory, and a client that does what the contract allows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from dev.fakes.cleanup_repository import MemoryCleanupRepository
from dev.fakes.clock import SequentialIds, SettableClock
from dev.fakes.completion_queue import MemoryCompletionQueue
from dev.fakes.event_publisher import MemoryEventPublisher
from dev.fakes.faults import CallLog, FaultPlan, ProcessCrashed, with_faults
from dev.fakes.file_repository import MemoryFileRepository
from dev.fakes.link_repository import MemoryLinkRepository
from dev.fakes.metadata_rows import Rows
from dev.fakes.object_store import MemoryObjectStore, StoreResponse
from dev.fakes.permits import MemoryPermitPool
from dev.fakes.quotas import MemoryQuotaStore
from dev.fakes.sequential_repository import MemorySequentialRepository
from dev.fakes.upload_repository import MemoryUploadRepository
from ferry.cleanup import CleanupReport, OrphanCounts, continue_completion, sweep_due_tasks
from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadState
from ferry.outbox import completion_event
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, HOUR_MS, SECOND_MS
from ferry.rules.layout import KIB, MIB
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, CompletionAccepted, complete
from ferry.uploads.presign import PartsRequest, PresignedPart, presign_parts
from ferry.uploads.start import StartResult, start
from ferry.uploads.start_request import StartRequest

FILE_EVENT_KINDS = frozenset({EventKind.DELETED, EventKind.MOVED, EventKind.RESTORED})
"""Events that are in the outbox while they are published."""

NS = "ns"
NAME = "a file.bin"
CHUNK_BYTES = 64 * KIB
LEASE_MS = 35 * SECOND_MS
"""How long a completion lease lasts: longer than a function may run."""

DRAIN_MS = 87 * DAY_MS
"""How much time `drain_cleanup` lets pass: beyond every due time and retention."""

ORPHAN_TICK_MS = 2 * DAY_MS
"""Pause between two sweeps of `drain_cleanup` while S3 has orphans and no task is due."""

MIN_TICK_MS = HOUR_MS // 2
"""Shortest such pause: a task that fails is due again after it."""

KEPT_BETWEEN_REQUESTS = ("open_upload_cache", "staged_chunk_cache", "upload_id_cache", "quota_cache")
"""The fields of `Services` that a process keeps."""

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


def seeded_bytes(size: int, seed: int = 1) -> bytes:
    """Return random bytes, the same for the same seed."""
    return _cached_bytes(size, seed) if size <= MIB else random.Random(seed).randbytes(size)


@lru_cache(maxsize=1_024)
def _cached_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class InMemoryService:
    """Backends in memory. Each `Services` over them is one process; a crash ends the process, not the backends."""

    publish_events: bool = False
    """Whether events are on. Then every event must be of a change that is committed."""
    quota: Quota | None = None
    """Limits of the namespace `NS`."""
    second_before_first: bool = False
    """Which of two calls that are made at the same time takes effect first."""
    clock: SettableClock = field(default_factory=SettableClock)
    upload_repository: MemoryUploadRepository = field(default_factory=MemoryUploadRepository)
    new_id: SequentialIds = field(default_factory=SequentialIds)
    completion_queue: MemoryCompletionQueue = field(default_factory=MemoryCompletionQueue)
    permit_pool: MemoryPermitPool = field(default_factory=MemoryPermitPool)
    log: CallLog = field(default_factory=CallLog)
    """Every call that `services` makes."""
    file_repository: MemoryFileRepository = field(init=False)
    sequential_repository: MemorySequentialRepository = field(init=False)
    link_repository: MemoryLinkRepository = field(init=False)
    cleanup_repository: MemoryCleanupRepository = field(init=False)
    object_store: MemoryObjectStore = field(init=False)
    event_publisher: MemoryEventPublisher = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.file_repository = MemoryFileRepository(self.upload_repository.table)
        self.sequential_repository = MemorySequentialRepository(self.upload_repository.table)
        self.cleanup_repository = MemoryCleanupRepository(self.upload_repository.table)
        self.link_repository = MemoryLinkRepository(self.upload_repository.table)
        self.object_store = MemoryObjectStore(self.clock)
        self.event_publisher = MemoryEventPublisher(self.assert_event_committed)
        self.services = self.new_services()
        if self.quota is not None:
            limits = self.quota
            MemoryQuotaStore(self.upload_repository.table).set_limits(
                NS, max_bytes=limits.max_bytes, max_uploads=limits.max_uploads, max_file_bytes=limits.max_file_bytes
            )

    def new_services(
        self, plan: FaultPlan | None = None, log: CallLog | None = None, *, warm: Services | None = None
    ) -> Services:
        """Return a new process. With a plan, its calls fail as planned; with a log, they are recorded there.

        A plan without a log has one of its own, because the numbers of its steps are those of its process' calls; the
        log of the service has them, too.
        With `warm`, it is that process, in another request: it has what that one keeps.
        """
        log = log or (self.log if plan is None else CallLog(parent=self.log))
        plan = plan or FaultPlan()
        kept: dict[str, Any] = {} if warm is None else {name: getattr(warm, name) for name in KEPT_BETWEEN_REQUESTS}
        plan.advance_clock = lambda: self.clock.advance(LEASE_MS + 1)
        return Services(
            upload_repository=with_faults(self.upload_repository, plan, log),
            sequential_repository=with_faults(self.sequential_repository, plan, log),
            file_repository=with_faults(self.file_repository, plan, log),
            link_repository=lambda: with_faults(self.link_repository, plan, log),
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
            run_both=lambda first, second: run_in_turn(first, second, second_before_first=self.second_before_first),
            **kept,
        )

    def restore_metadata(self, backup: Rows) -> None:
        """Restore the metadata store to a backup. DynamoDB restores to a new table, so the processes are new, too."""
        self.upload_repository.restore(backup)
        self.services = self.new_services()

    def deliver_queued(self, services: Services | None = None) -> None:
        """Deliver the queued completions. The last one is delivered twice, as a queue may do."""
        events, self.completion_queue.queued = self.completion_queue.queued, []
        for upload_id, lease_id in [*events, *events[-1:]]:
            continue_completion(services or self.services, upload_id, lease_id)

    def sweep(self) -> CleanupReport:
        """Run the scheduled cleanup once."""
        return sweep_due_tasks(self.services, has_time=lambda: True)

    def drain_cleanup(self) -> None:
        """Let three months pass, with a sweep whenever a task is due, and every other day while S3 has orphans.

        By the end the service must be quiet: the last sweep, with a whole orphan scan, has nothing to do.
        """
        end = self.clock() + DRAIN_MS
        while self.clock() < end and (self.upload_repository.rows.task_due_times or self.orphans()):
            self.clock.advance(self._next_tick_ms(end))
            self.sweep()
        self.clock.advance(max(DAY_MS, end - self.clock()))
        report = self.sweep()
        assert (report.examined, report.errors, report.complete) == (0, 0, True), report
        assert report.orphans == OrphanCounts(), report

    def _next_tick_ms(self, end: int) -> int:
        """Return how long nothing is due."""
        now = self.clock()
        next_due = min(self.upload_repository.rows.task_due_times.values(), default=end)
        pause_ms = ORPHAN_TICK_MS if self.orphans() else DRAIN_MS
        return min(max(next_due - now, MIN_TICK_MS), pause_ms, end - now)

    def file_content(self, name: str = NAME, ns: str = NS) -> bytes | None:
        """Return the bytes of the finished file; None if the name has none."""
        file = self.file_repository.get_file(ns, name)
        return None if file is None else self.object_store.get(f"o/{file.upload_id}")

    def assert_event_committed(self, event: Event) -> None:
        """Check that an event being published is of a change that the metadata store has."""
        if event.kind is EventKind.COMPLETED and event.upload_id in self.upload_repository.table.completions:
            assert event == completion_event(self.upload_repository.table.completions[event.upload_id])
            return
        if event.link is not None:
            # The link may be deleted between the change and its event; the event does not show that.
            stored = self.link_repository.rows.links[event.link.link_id]
            assert replace(stored, revoked_at=None) == replace(event.link, revoked_at=None)
            return
        if event.kind in FILE_EVENT_KINDS:
            assert self.upload_repository.rows.file_events[event.id] == event
            return
        record = self.upload_repository.rows.records[event.upload_id]
        owner = record.owner if event.file is not None else (record.ns, record.name)
        assert ((event.ns, event.name), event.size) == (owner, record.layout.size)
        if event.kind is EventKind.STARTED:
            assert event.occurred_at == record.created_at
        else:
            assert event.kind.rpartition(".")[2] == event_suffix(record.state)
            assert (event.occurred_at, event.file, event.replaced_upload_id) == (
                record.ended_at,
                record.file,
                record.replaced_upload_id,
            )

    def assert_events_published(self) -> None:
        """Check, once nothing is due, that every change was published, nothing else was, and nothing is pending.

        After a restore of the metadata store, events of changes that it has lost were published too.
        """
        table, rows = self.upload_repository.table, self.upload_repository.rows
        changes_by_upload: dict[str, set[str]] = {}
        for event in () if table.was_restored else table.file_changes.values():
            changes_by_upload.setdefault(event.upload_id, set()).add(event.kind.rpartition(".")[2])
        for upload_id in table.completions:
            self._assert_published(upload_id, {"completed"}, changes_by_upload.get(upload_id, set()))
        for upload_id, record in rows.records.items():
            expected = set() if record.is_partial else {"started", event_suffix(record.state)}
            self._assert_published(upload_id, expected, changes_by_upload.get(upload_id, set()))
            assert not record.event_pending
        assert self.upload_repository.rows.file_events == {}
        assert self.upload_repository.rows.completion_events == {}

    def _assert_published(self, upload_id: str, expected: set[str], changes: set[str]) -> None:
        """Check the events of an upload and of its file, which has a name, was replaced or was deleted."""
        table, rows = self.upload_repository.table, self.upload_repository.rows
        named = {file.upload_id for file in rows.files.values()}
        replaced = {record.replaced_upload_id for record in rows.records.values()}
        replaced |= {completion.replaced_upload_id for completion in table.completions.values()}
        replaced |= {event.replaced_upload_id for event in table.file_changes.values()}
        published = set(self.event_publisher.kinds_for(upload_id))
        if "completed" in expected and upload_id not in named | replaced:
            expected = expected | {"deleted"}
        assert published >= expected if table.was_restored else published == expected | changes

    def assert_quota_usage(self) -> None:
        """Check that the usage on record is that of the files and uploads marked as counted.

        If the service had its limits from the start, all of them are marked.
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
        """Return what S3 has that belongs to no file: object keys, then ids of multipart uploads."""
        kept = {f"o/{file.upload_id}" for file in self.upload_repository.rows.files.values()}
        return sorted(set(self.object_store.objects) - kept) + sorted(self.object_store.multipart_uploads)


def event_suffix(state: UploadState) -> str:
    return "completed" if state is UploadState.COMPLETE else state.value


def discard(_: object) -> None:
    """Return nothing, for lambdas that must."""


@dataclass
class Client:
    """Sends one file, by what the contract says alone."""

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
    def required_id(self) -> str | None:
        """The upload id if the plan says that requests need it; else None, so that they go by name."""
        upload = self.started.upload if self.started else None
        return self.upload_id if upload is not None and upload.record.upload_id_required else None

    @property
    def chunk_count(self) -> int:
        return -(-len(self.body) // self.chunk_size)

    def chunk_body(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def send_chunk(self, index: int, services: Services | None = None, body: bytes | None = None) -> ChunkAccepted:
        content = self.chunk_body(index) if body is None else body
        request = ChunkRequest(self.name, index, content, self.required_id)
        return accept_chunk(services or self.service.services, self.ns, request)

    def send_chunks(self, indexes: Iterable[int] | None = None) -> None:
        for index in indexes or range(1, self.chunk_count + 1):
            self.send_chunk(index)

    def presign_part(self, number: int, services: Services | None = None, crc: int | None = None) -> PresignedPart:
        request = PartsRequest(self.name, [(number, crc)], self.required_id)
        [part] = presign_parts(services or self.service.services, self.ns, request)
        return part

    def part_body(self, number: int) -> bytes:
        assert self.started is not None
        assert self.started.upload is not None
        size = self.started.upload.record.layout.part_size
        return self.body[(number - 1) * size : number * size]

    def put_part(self, presigned: PresignedPart, body: bytes) -> StoreResponse:
        return self.service.object_store.put_presigned(presigned.url, body, dict(presigned.headers))

    def complete(self, services: Services | None = None, **options: Any) -> File | CompletionAccepted:
        request = CompleteRequest(self.name, **{"upload_id": self.required_id, **options})
        return complete(services or self.service.services, self.ns, request)

    def complete_with_retries(self, **options: Any) -> File:
        """Complete, and ask again for as long as the response says so."""
        for _ in range(40):
            result = self.complete(**options)
            if isinstance(result, File):
                return result
            self.service.clock.advance(result.retry_after_seconds * 1000 + 1)
        raise AssertionError("never completed")

    def cancel(self, services: Services | None = None) -> None:
        cancel(services or self.service.services, self.ns, self.name, self.required_id)

    @property
    def crc(self) -> int:
        return crc32c(self.body)

    def state(self) -> UploadState | None:
        upload = self.service.upload_repository.get_upload(self.upload_id)
        return upload.record.state if upload else None


def run_in_turn(first: Callable[[], A], second: Callable[[], B], *, second_before_first: bool) -> tuple[A, B]:
    """Run two calls that are made at the same time one after the other. See `ferry.instance.RunBoth`.

    Both run, whatever the one before raises, as both are under way by then. After a crash the later one has no effect.
    """
    results: dict[bool, Any] = {}
    for is_second in (second_before_first, not second_before_first):
        try:
            results[is_second] = second() if is_second else first()
        except BaseException as error:  # noqa: BLE001 - raised below, once both have run
            results[is_second] = error
    for is_second in (False, True):
        if isinstance(results[is_second], BaseException):
            raise results[is_second]
    return results[False], results[True]


def swallow_crash(operation: Callable[[], T]) -> T | None:
    """Run an operation that a fault plan may break. Return None if it did."""
    try:
        return operation()
    except (BackendUnavailable, ProcessCrashed):
        return None
