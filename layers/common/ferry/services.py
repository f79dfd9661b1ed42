"""Services: the backends, the clock and the limits that every use case receives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferry.instance import OpenUploadCache, RunBoth, StagedChunkCache, run_at_once
from ferry.rules.durations import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from ferry.model.quotas import Quota
    from ferry.ports.cleanup_repository import CleanupRepository
    from ferry.ports.completion_queue import CompletionQueue
    from ferry.ports.event_publisher import EventPublisher
    from ferry.ports.file_repository import FileRepository
    from ferry.ports.link_repository import LinkRepository
    from ferry.ports.object_store import ObjectStore
    from ferry.ports.permit_pool import PermitPool
    from ferry.ports.sequential_repository import SequentialRepository
    from ferry.ports.types import Clock
    from ferry.ports.upload_repository import UploadRepository


def new_id() -> str:
    """Return 128 random bits in hexadecimal, for an upload or a lease."""
    return secrets.token_hex(16)


class UploadIdCache:
    """The last known current upload of names, within one instance of a function.

    Saves the read of the current upload. An entry may be stale: use it only if the upload's record confirms it.
    """

    def __init__(self, max_entries: int = 256) -> None:
        self._max_entries = max_entries
        self._ids: dict[tuple[str, str], str] = {}

    def get(self, ns: str, name: str) -> str | None:
        return self._ids.get((ns, name))

    def put(self, ns: str, name: str, upload_id: str) -> None:
        self._ids.pop((ns, name), None)
        if len(self._ids) >= self._max_entries:
            self._ids.pop(next(iter(self._ids)))
        self._ids[ns, name] = upload_id


QUOTA_CACHE_TTL_MS = 45 * SECOND_MS
"""How long an instance uses the quota of a namespace that it has read. Below a minute, like revocations."""


class QuotaCache:
    """The quotas that one instance of a function has read lately. Saves the read for each file stored whole.

    Their limits are used for `QUOTA_CACHE_TTL_MS`; a transaction checks them against the present usage.
    """

    def __init__(self, max_entries: int = 256) -> None:
        self._max_entries = max_entries
        self._entries: dict[str, tuple[Quota | None, int]] = {}

    def get(self, ns: str, now: int) -> tuple[bool, Quota | None]:
        """Return whether the quota is known, and the quota; None: the namespace has none."""
        quota, read_at = self._entries.get(ns, (None, now - QUOTA_CACHE_TTL_MS))
        return now < read_at + QUOTA_CACHE_TTL_MS, quota

    def put(self, ns: str, quota: Quota | None, now: int) -> None:
        self._entries.pop(ns, None)
        if len(self._entries) >= self._max_entries:
            self._entries.pop(next(iter(self._entries)))
        self._entries[ns] = quota, now


class NullCompletionQueue:
    """A `CompletionQueue` that drops every entry. The sweep continues completions whose lease has expired."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every use case receives. `ferry.wiring.services` builds it from the settings."""

    upload_repository: UploadRepository
    """Uploads in the metadata store."""

    sequential_repository: SequentialRepository
    """Sequential uploads in the metadata store."""

    file_repository: FileRepository
    """Finished files in the metadata store."""

    link_repository: Callable[[], LinkRepository]
    """Returns the links in the metadata store: a request without a link does not load their code."""

    cleanup_repository: CleanupRepository
    """Cleanup tasks in the metadata store."""

    object_store: ObjectStore
    """The bytes."""

    completion_queue: CompletionQueue
    """Takes completions that do not end within a request."""

    clock: Clock
    """Returns the current time in epoch milliseconds."""

    upload_idle_timeout_ms: int
    """An upload expires after this time without activity. From `UploadIdleTimeoutSeconds`."""

    upload_max_age_ms: int
    """An upload expires at this age. From `UploadMaxAgeSeconds`."""

    presigned_url_ttl_seconds: int
    """Lifetime of presigned URLs, in seconds. From `PresignedUrlTtlSeconds`."""

    new_id: Callable[[], str] = new_id
    """Returns a new id for an upload or a lease."""

    sleep: Callable[[float], None] = time.sleep
    """Waits for a number of seconds."""

    lease_duration_ms: int = 35 * SECOND_MS
    """How long a completion holds its lease. Must be longer than the timeout of the function that acquires it."""

    function_timeout_ms: int = 29 * SECOND_MS
    """How long a request can live. A chunk's digest that was not recorded by then may be replaced."""

    assembly_budget_ms: int = 12 * SECOND_MS
    """How long one completion attempt builds the object before it continues asynchronously."""

    orphan_retention_ms: int = 35 * DAY_MS
    """How long an object without a file is kept; 0: for ever. From `OrphanRetentionDays`."""

    deleted_file_retention_ms: int = DAY_MS
    """How long a deleted or replaced file can be restored, at least a day. From `DeletedFileRetentionDays`.

    Its object is kept as long, so that running downloads can finish.
    """

    upload_id_cache: UploadIdCache = field(default_factory=UploadIdCache)
    """The current uploads that this instance of the function has seen."""

    open_upload_cache: OpenUploadCache = field(default_factory=OpenUploadCache)
    """The open uploads that this instance of the function has recorded chunks of."""

    staged_chunk_cache: StagedChunkCache = field(default_factory=StagedChunkCache)
    """The chunks that this instance of the function has staged."""

    run_both: RunBoth = run_at_once
    """Runs two backend calls at the same time."""

    quota_cache: QuotaCache = field(default_factory=QuotaCache)
    """The quotas that this instance of the function has read."""

    permit_pool: PermitPool | None = None
    """Limits concurrent long polls; None: no limit."""

    event_publisher: EventPublisher | None = None
    """Publishes events; None: events are disabled and none becomes pending."""

    link_id: str | None = None
    """The link that requests come by, with which new uploads are marked; None: requests come from a client."""

    link_network: str | None = None
    """The network that requests by the link come from; None: requests come from a client."""
