"""The metadata store, as requests about sequential uploads use it (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.files import File, IfExists
    from ferry.model.quotas import Quota
    from ferry.model.uploads import CurrentUpload, Upload, UploadRecord


@dataclass(frozen=True, slots=True)
class CompletionLease:
    """The lease that the last append takes."""

    lease_id: str
    """The lease."""

    expires_at: int
    """When another completion may take it, in epoch milliseconds."""

    if_exists: IfExists
    """What to do when the name has another file."""

    def apply(self, upload: Upload, *, now: int) -> Upload:
        """Return an upload as it is stored once the lease is taken. The file's CRC32C is that of the creation."""
        return upload.with_lease(
            lease_id=self.lease_id,
            expires_at=self.expires_at,
            now=now,
            if_exists=self.if_exists,
            crc32c=upload.record.crc32c,
        )


class SequentialRepository(Protocol):
    """Sequential uploads. `UploadRepository` reads, completes and ends them like all others."""

    def create_sequential(self, record: UploadRecord, *, due_at: int, quota: Quota | None = None) -> None:
        """Create an upload, with its id in the name's row unless it is partial, in one transaction.

        If the record is `counted_in_quota`, the transaction adds it to the usage, within the limits of `quota`.

        Raises:
            UsageConflict: the usage leaves no room.
        """
        ...

    def change_sequential(
        self,
        upload: Upload,
        changed: UploadRecord,
        *,
        lease: CompletionLease | None = None,
        now: int,
        quota: Quota | None = None,
    ) -> Upload:
        """Store `layout.size`, `multipart_id` and `sequential` of the changed record, and return the upload as stored.

        If the record is `counted_in_quota`, bytes by which it grows are added to the usage within `quota`, in the same
        transaction.

        Args:
            upload: the upload as it was read.
            changed: the record as it becomes, without its new version.
            lease: moves the upload to completing, under this lease; None: the state stays.
            now: the current time, in epoch milliseconds.
            quota: the limits of the namespace; None: none.

        Raises:
            UsageConflict: the usage leaves no room.
            ConcurrentUpdate: the record changed since it was read.
        """
        ...

    def get_name_uploads(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Sequence[str]]:
        """Return the file, the current upload and the open sequential uploads of a name, read at one moment."""
        ...

    def get_sequential_ids(self, ns: str, name: str) -> Sequence[str]:
        """Return the ids of the open sequential uploads of a name, in any order."""
        ...
