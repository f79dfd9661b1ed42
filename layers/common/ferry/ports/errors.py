"""Errors that adapters raise and use cases handle. None of them reaches a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferry.model.files import File
    from ferry.model.progress import ProgressShard


class ConcurrentUpdate(Exception):
    """The condition of a write failed.

    Either another writer changed the row, or a repeated call found its own change: read again.
    """

    def __init__(self, shard: ProgressShard | None = None) -> None:
        super().__init__("the row changed since it was read")
        self.shard = shard
        """The shard as it is stored now, from `UploadRepository.record_chunk`; None if it does not exist."""


class NameConflict(ConcurrentUpdate):
    """The name has another file than the write expected. Nothing was written."""

    def __init__(self, file: File | None) -> None:
        super().__init__()
        self.file = file
        """The file that the name has; None for none."""


class UsageConflict(ConcurrentUpdate):
    """The usage of the namespace leaves no room within the expected limits. Nothing was written."""


class MultipartUploadNotFound(Exception):
    """The object store has no such multipart upload: it was completed or aborted, or never existed."""


class PartChanged(Exception):
    """A part named in a completion is missing or different in the object store. Nothing was completed."""


class DeadlineExceeded(Exception):
    """The call got no response by its deadline. It may have taken effect, or take effect later."""


class StoreChecksumMismatch(Exception):
    """The object store computed another checksum of the whole object than the one sent. Nothing was completed."""
