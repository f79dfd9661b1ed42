"""An event bus in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import event_detail
from ferry.model.events import Event

MAX_BATCH = 10
"""EventBridge's limit of PutEvents."""


class MemoryEventPublisher:
    """An `EventPublisher` that keeps the events.

    Args:
        check: called with each event before it is kept; may raise.
    """

    def __init__(self, check: Callable[[Event], object] | None = None) -> None:
        self.published: list[Event] = []
        """All events in the order of their publication, repetitions included."""
        self._check = check

    def publish(self, events: Sequence[Event]) -> None:
        """Keep the events. Raises `jsonschema.ValidationError` if one does not match the published schema."""
        assert 1 <= len(events) <= MAX_BATCH
        for event in events:
            assert_valid_detail(event_detail(event, "bucket"))
            if self._check is not None:
                self._check(event)
            self.published.append(event)

    def kinds_for(self, upload_id: str) -> list[str]:
        """Return the last word of the events' kinds for an upload and its file, in order, repetitions included."""
        return [event.kind.rpartition(".")[2] for event in self.published if event.upload_id == upload_id]
