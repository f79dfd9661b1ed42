"""The event bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferry.model.events import Event


class EventPublisher(Protocol):
    """Tells others what has changed."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send up to ten. One call.

        Raises:
            BackendUnavailable: some or all may not have been taken.
        """
        ...
