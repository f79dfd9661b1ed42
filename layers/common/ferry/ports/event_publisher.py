"""The event bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.events import Event


class EventPublisher(Protocol):
    """Publishes events on a bus."""

    def publish(self, events: Sequence[Event]) -> None:
        """Publish one to ten events in one call.

        Raises:
            BackendUnavailable: some or all events may not be published.
        """
        ...
