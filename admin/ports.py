"""What the operator's acts need of the access table, and how each is done: read, decide, write by condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from admin.errors import AdminError
from ferry.model.auth import Client, KeySet
from ferry.ports.auth import AuthStore
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Clock

T = TypeVar("T")
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act of an operator, as it is kept: `at` in epoch milliseconds; `event` is one of the stable names."""

    occurred_at: int
    actor: str
    event: str
    subject: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConditionalPut(Generic[T]):
    """A row as it shall be, and as it was read (None: it was not there)."""

    new: T
    expected: T | None


class AdminStore(AuthStore, Protocol):
    """The access table as an operator has it. Reads of one row are strongly consistent."""

    def list_clients(self) -> Iterable[Client]:
        """All of them, by id. Calls grow with the table."""
        ...

    def list_audit_entries(self) -> Iterable[AuditEntry]:
        """All that was ever done, the latest first. Calls grow with the table."""
        ...

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        """Write the rows and the act, all or nothing.

        Raises:
            Moved: a row is not (any more) what it was when it was read.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdminContext:
    """Where an operator works: the registry, who is there, and the time. Read something before asking for the time."""

    store: AdminStore
    actor: str
    clock: Clock

    def audit_entry(self, event: str, subject: str, **details: str) -> AuditEntry:
        return AuditEntry(self.clock(), self.actor, event, subject, details)


def retry_on_conflict(operation: Callable[[], T]) -> T:
    """What `decide` returns; it reads and commits, and is asked again when somebody else was faster.

    Raises:
        AdminError: that happened every time.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return operation()
        except ConcurrentUpdate:
            continue
    raise AdminError("others are changing the same rows all the time", "wait a moment, then try again")
