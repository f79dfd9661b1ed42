"""What Ferry hands on to others, work and news, and who waits for some, as protocols like those of `ferry.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferry.model import Event


class CompletionQueue(Protocol):
    """Goes on, elsewhere, with what takes longer than a request may."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Have that completion gone on with by somebody who has the time: at least once, if at all.

        The caller must not touch the lease `attempt` afterwards, even if this raises `BackendUnavailable`.
        """
        ...


class EventPublisher(Protocol):
    """Tells others what has changed."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send up to ten. One call.

        Raises:
            BackendUnavailable: some or all may not have been taken.
        """
        ...


class PermitPool(Protocol):
    """Places for calls that wait, over all copies of a function: only so many are given out at once."""

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        """A seat that lapses after `until`, or None where all are taken; one call, three where some have lapsed."""
        ...

    def release(self, permit: int) -> None:
        """One call. Idempotent."""
        ...
