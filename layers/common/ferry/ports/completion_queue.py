"""Asynchronous completion of uploads."""

from __future__ import annotations

from typing import Protocol


class CompletionQueue(Protocol):
    """Goes on, elsewhere, with what takes longer than a request may."""

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Have that completion gone on with by somebody who has the time: at least once, if at all.

        The caller must not touch the lease `attempt` afterwards, even if this raises `BackendUnavailable`.
        """
        ...
