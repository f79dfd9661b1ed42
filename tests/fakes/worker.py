"""A worker that only writes down what it is to do."""

from __future__ import annotations


class MemoryWorker:
    """`events` are the (upload id, attempt) that wait; who takes them out does the work."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def finish(self, upload_id: str, attempt: str) -> None:
        self.events.append((upload_id, attempt))
