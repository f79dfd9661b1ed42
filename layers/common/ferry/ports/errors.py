"""Errors that adapters raise and use cases handle. None of them reaches a client."""

from __future__ import annotations

from ferry.model.uploads import (
    ProgressShard,
)


class ConcurrentUpdate(Exception):
    """A condition did not hold. For `Ledger.record`, `progress` is the row as it stands (None: there is none)."""

    def __init__(self, shard: ProgressShard | None = None) -> None:
        super().__init__("a condition did not hold")
        self.shard = shard


class MultipartUploadNotFound(Exception):
    """The store knows no such multipart upload: completed, aborted, or never there."""


class PartChanged(Exception):
    """A part named at completion is not (any more) what the store has; nothing was completed."""


class DeadlineExceeded(Exception):
    """No answer by the time that was given for it: the call may have had its effect, or have it yet."""


class StoreChecksumMismatch(Exception):
    """The store's whole-object checksum is not the one given; nothing was completed."""
