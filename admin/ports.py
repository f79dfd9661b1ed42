"""What the operator's commands need of the auth table: read, decide, write conditionally, retry on a conflict."""

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
"""Attempts of an operation that conflicts with others."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change by an operator."""

    occurred_at: int
    """When it was made, in epoch milliseconds."""
    actor: str
    """ARN of the AWS identity, or `local:USER`."""
    event: str
    """Stable name, such as `client.disable`."""
    subject: str
    """Client id, key id or namespace."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Further members of the event."""


@dataclass(frozen=True, slots=True)
class ConditionalPut(Generic[T]):
    """A row to write, if it has not changed since it was read."""

    new: T
    """The row to write."""
    expected: T | None
    """The row as it was read; None: it did not exist."""


class AdminStore(AuthStore, Protocol):
    """The auth table as the operator uses it. Reads of one row are strongly consistent."""

    def list_clients(self) -> Iterable[Client]:
        """Return all clients by id. Reads the whole table."""
        ...

    def list_audit_entries(self) -> Iterable[AuditEntry]:
        """Return all entries, latest first. Reads the whole table."""
        ...

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        """Write the entry and the rows, all or nothing.

        Raises:
            ConcurrentUpdate: a row has changed since it was read.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdminContext:
    """What an operation works with."""

    store: AdminStore
    """The auth table."""
    actor: str
    """Who runs the command, for the audit log."""
    clock: Clock
    """The storage's clock; it is exact after the first read."""

    def audit_entry(self, event: str, subject: str, **details: str) -> AuditEntry:
        """Return an entry of this actor, now."""
        return AuditEntry(self.clock(), self.actor, event, subject, details)


def retry_on_conflict(operation: Callable[[], T]) -> T:
    """Return the operation's result. It reads and commits; on a conflict it runs again.

    Raises:
        AdminError: every attempt conflicted.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return operation()
        except ConcurrentUpdate:
            continue
    raise AdminError("other operators are changing the same rows", "wait a moment, then try again")
