"""What Ferry hands on to others, work and news, and who waits for some, as protocols like those of `ferry.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferry.model import Event


class Worker(Protocol):
    """Goes on, elsewhere, with what takes longer than a request may."""

    def finish(self, upload_id: str, attempt: str) -> None:
        """Have that completion gone on with by somebody who has the time: at least once, if at all.

        The caller must not touch the lease `attempt` afterwards, even if this raises `BackendUnavailable`.
        """
        ...


class Events(Protocol):
    """Tells others what has changed."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send up to ten. One call.

        Raises:
            BackendUnavailable: some or all may not have been taken.
        """
        ...


class Seats(Protocol):
    """Places for calls that wait, over all copies of a function: only so many are given out at once."""

    def take(self, *, until: int, now: int) -> int | None:
        """A seat that lapses after `until`, or None where all are taken; one call, three where some have lapsed."""
        ...

    def leave(self, seat: int) -> None:
        """One call. Idempotent."""
        ...
