"""What the operator's acts need of the access table, and how each is done: read, decide, write by condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from admin.errors import AdminError
from ferry.ports import Clock, Moved
from ferry.trust import AccessStore, Client, Keyring

T = TypeVar("T")
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Act:
    """One act of an operator, as it is kept: `at` in epoch milliseconds; `event` is one of the stable names."""

    at: int
    actor: str
    event: str
    subject: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A row as it shall be, and as it was read (None: it was not there)."""

    new: T
    over: T | None


class Registry(AccessStore, Protocol):
    """The access table as an operator has it. Reads of one row are strongly consistent."""

    def clients(self) -> Iterable[Client]:
        """All of them, by id. Calls grow with the table."""
        ...

    def acts(self) -> Iterable[Act]:
        """All that was ever done, the latest first. Calls grow with the table."""
        ...

    def commit(self, act: Act, *, client: Change[Client] | None = None, keyring: Change[Keyring] | None = None) -> None:
        """Write the rows and the act, all or nothing.

        Raises:
            Moved: a row is not (any more) what it was when it was read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator works: the registry, who is there, and the time. Read something before asking for the time."""

    registry: Registry
    actor: str
    clock: Clock

    def act(self, event: str, subject: str, **details: str) -> Act:
        return Act(self.clock(), self.actor, event, subject, details)


def settled(decide: Callable[[], T]) -> T:
    """What `decide` returns; it reads and commits, and is asked again when somebody else was faster.

    Raises:
        AdminError: that happened every time.
    """
    for _ in range(ATTEMPTS):
        try:
            return decide()
        except Moved:
            continue
    raise AdminError("others are changing the same rows all the time", "wait a moment, then try again")
