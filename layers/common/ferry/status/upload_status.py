"""The state of an upload as clients see it."""

from __future__ import annotations

from enum import StrEnum

from ferry.model.uploads import UploadState


class UploadStatus(StrEnum):
    """The state of an upload. `partial` may mean that every byte has arrived: the upload still has to be completed."""

    PENDING = "pending"
    """No byte has arrived."""
    PARTIAL = "partial"
    """Bytes have arrived."""
    COMPLETING = "completing"
    """A completion is under way."""
    COMPLETE = "complete"
    """The file is finished."""
    EXPIRED = "expired"
    """It has ended without a file, and not by the client."""
    CANCELLED = "cancelled"
    """The client, or a restart, has ended it."""

    @property
    def in_progress(self) -> bool:
        return self in (UploadStatus.PENDING, UploadStatus.PARTIAL, UploadStatus.COMPLETING)


def status_of_open(state: UploadState, received_bytes: int) -> UploadStatus:
    """Return the status of an upload that has not ended, by its recorded state and what has arrived."""
    if state is UploadState.COMPLETING:
        return UploadStatus.COMPLETING
    return UploadStatus.PARTIAL if received_bytes else UploadStatus.PENDING
