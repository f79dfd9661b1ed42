"""A bus that keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ferry.aws.events import detail
from ferry.model import Event
from tests.support.schema import check_detail

AT_ONCE = 10


class MemoryEvents:
    """`ferry.outbound.Events`. Each event is held against the published schema, and handed to `check`, then kept."""

    def __init__(self, check: Callable[[Event], None] = lambda event: None) -> None:
        self.sent: list[Event] = []
        self._check = check

    def publish(self, events: Sequence[Event]) -> None:
        assert 1 <= len(events) <= AT_ONCE
        for event in events:
            check_detail(detail(event, "bucket"))
            self._check(event)
            self.sent.append(event)

    def kinds(self, upload_id: str) -> list[str]:
        """What was told of an upload and of its file, in order, repetitions included, without the common part."""
        return [event.kind.rpartition(".")[2] for event in self.sent if event.upload_id == upload_id]
