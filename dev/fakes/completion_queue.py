"""A worker that only writes down what it is to do."""

from __future__ import annotations


class MemoryCompletionQueue:
    """`events` are the (upload id, attempt) that wait; who takes them out does the work."""

    def __init__(self) -> None:
        self.queued: list[tuple[str, str]] = []

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        self.queued.append((upload_id, lease_id))
