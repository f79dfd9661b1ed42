"""What every use case works with: the backends behind their ports, the clock, and the limits that the operator sets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.outbound import Events, Seats, Worker
from ferry.ports import Clock, Ledger, ObjectStore

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def new_id() -> str:
    """128 random bits in hexadecimal: an upload's id, never used twice."""
    return secrets.token_hex(16)


class SlotHints:
    """Which upload a name had last, for a warm function: saves a read, and is believed only once the session confirms
    it.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._ids: dict[tuple[str, str], str] = {}

    def get(self, ns: str, name: str) -> str | None:
        return self._ids.get((ns, name))

    def put(self, ns: str, name: str, upload_id: str) -> None:
        self._ids.pop((ns, name), None)
        if len(self._ids) >= self._limit:
            self._ids.pop(next(iter(self._ids)))
        self._ids[ns, name] = upload_id


class NoWorker:
    """A `ferry.outbound.Worker` where there is none: leases lapse, and the sweep over those goes on."""

    def finish(self, upload_id: str, attempt: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`session_idle`, `session_max_age`, `lease` and `mending` are milliseconds, `url_lifetime` seconds.

    `lease` must outlive the function that takes one: longer than its time-out. `mending` is how long one attempt at a
    completion goes on putting parts together before it hands over. `keep_objects` is for how long, in milliseconds, an
    object stays to which no row gives a name; 0: for ever. `sleep` takes seconds. Without `seats` anybody may wait.
    Without `events` nobody is told anything, and nothing is noted to be told.
    """

    ledger: Ledger
    objects: ObjectStore
    worker: Worker
    clock: Clock
    session_idle: int
    session_max_age: int
    url_lifetime: int
    new_id: Callable[[], str] = new_id
    sleep: Callable[[float], None] = time.sleep
    lease: int = 35 * SECOND
    mending: int = 12 * SECOND
    keep_objects: int = 35 * DAY
    hints: SlotHints = field(default_factory=SlotHints)
    seats: Seats | None = None
    events: Events | None = None
