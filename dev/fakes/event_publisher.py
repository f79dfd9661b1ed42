"""A bus that keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import event_detail
from ferry.model.events import Event

MAX_BATCH = 10


class MemoryEventPublisher:
    """`ferry.outbound.Events`. Each event is held against the published schema, and handed to `check`, then kept."""

    def __init__(self, check: Callable[[Event], None] = lambda event: None) -> None:
        self.published: list[Event] = []
        self._check = check

    def publish(self, events: Sequence[Event]) -> None:
        assert 1 <= len(events) <= MAX_BATCH
        for event in events:
            assert_valid_detail(event_detail(event, "bucket"))
            self._check(event)
            self.published.append(event)

    def kinds_for(self, upload_id: str) -> list[str]:
        """What was told of an upload and of its file, in order, repetitions included, without the common part."""
        return [event.kind.rpartition(".")[2] for event in self.published if event.upload_id == upload_id]
