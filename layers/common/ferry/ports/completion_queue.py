"""Asynchronous completion of uploads."""

from __future__ import annotations

from typing import Protocol


class CompletionQueue(Protocol):
    """Passes completions that take longer than a request to another process."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Enqueue a completion for asynchronous processing. It may be delivered several times, or never.

        The caller must not use the lease afterwards, even if this raises `BackendUnavailable`: the completion may be
        queued.
        """
        ...
