"""What Ferry hands on to others, work and news, as protocols like those of `ferry.ports`."""

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
