"""The metadata store as cleanup uses it: due tasks, object owners, the orphan scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ferry.model.cleanup import CleanupTask, OrphanScan
from ferry.model.files import DeletedFile
from ferry.model.uploads import UploadRecord
from ferry.ports.types import Page


class CleanupRepository(Protocol):
    """Cleanup tasks and what cleanup reads and deletes besides."""

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        """An ended upload has left nothing in S3, and nothing of it is untold: no longer due; a tomb looks at its
        stages once more.
        """
        ...

    def get_deleted_file(self, upload_id: str) -> DeletedFile | None:
        """What the note of a deletion says: the file was made by that upload."""
        ...

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        """What somebody must look at, oldest first, by the index: it lags, so check the row. A call for each shard."""
        ...

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        """Look at it again at `due`. Raises `Moved` when the row is gone or has another time."""
        ...

    def delete_task(self, task: CleanupTask) -> None:
        """Drop a tomb or a note whose work is done. Idempotent."""
        ...

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:
        """Delete an ended upload's stripes and claims (not its session), beginning nothing after `until` (epoch ms);
        whether none is left. Idempotent; calls grow with the rows.
        """
        ...

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        """Those that there are; one call for each hundred."""
        ...

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        """Of the objects that have a row: namespace and name of the file each was made for, None if it was for none
        that is known. One call for each hundred.
        """
        ...

    def schedule_object(self, upload_id: str, owner: tuple[str, str] | None, *, due_at: int) -> None:
        """Give an object a row, due then. Raises `Moved` when it has one."""
        ...

    def unschedule_task(self, task: CleanupTask) -> None:
        """An object turns out to be wanted: no longer due. Raises `Moved` when its row is gone or has another time."""
        ...

    def get_orphan_scan(self) -> OrphanScan | None:
        """How far the search for orphans has come; None: it never began."""
        ...

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        """Raises `Moved` unless the version on record is the one before."""
        ...
