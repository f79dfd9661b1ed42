"""A completion queue in memory."""

from __future__ import annotations


class MemoryCompletionQueue:
    """A `CompletionQueue` that keeps its entries for a test to process."""

    def __init__(self) -> None:
        self.queued: list[tuple[str, str]] = []
        """Upload id and lease id of each entry."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        self.queued.append((upload_id, lease_id))
