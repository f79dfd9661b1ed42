"""Services: the backends, the clock and the limits that every use case receives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.completion_queue import CompletionQueue
from ferry.ports.event_publisher import EventPublisher
from ferry.ports.object_store import ObjectStore
from ferry.ports.permit_pool import PermitPool
from ferry.ports.types import Clock
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.durations import DAY_MS, SECOND_MS


def new_id() -> str:
    """128 random bits in hexadecimal: an upload's id, never used twice."""
    return secrets.token_hex(16)


class UploadIdCache:
    """Which upload a name had last, for a warm function: saves a read, and is believed only once the session confirms
    it.
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


class NullCompletionQueue:
    """A `ferry.outbound.Worker` where there is none: leases lapse, and the sweep over those goes on."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """`session_idle`, `session_max_age`, `lease` and `mending` are milliseconds, `url_lifetime` seconds.

    `lease` must outlive the function that takes one: longer than its time-out. `mending` is how long one attempt at a
    completion goes on putting parts together before it hands over. `keep_objects` is for how long, in milliseconds, an
    object stays to which no row gives a name; 0: for ever. `sleep` takes seconds. Without `seats` anybody may wait.
    Without `events` nobody is told anything, and nothing is noted to be told.
    """

    upload_repository: UploadRepository
    cleanup_repository: CleanupRepository
    object_store: ObjectStore
    completion_queue: CompletionQueue
    clock: Clock
    upload_idle_timeout_ms: int
    upload_max_age_ms: int
    presigned_url_ttl_seconds: int
    new_id: Callable[[], str] = new_id
    sleep: Callable[[float], None] = time.sleep
    lease_duration_ms: int = 35 * SECOND_MS
    assembly_budget_ms: int = 12 * SECOND_MS
    orphan_retention_ms: int = 35 * DAY_MS
    upload_id_cache: UploadIdCache = field(default_factory=UploadIdCache)
    permit_pool: PermitPool | None = None
    event_publisher: EventPublisher | None = None
