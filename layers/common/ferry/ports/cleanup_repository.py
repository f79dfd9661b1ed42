"""The metadata store, as cleanup uses it: due tasks, object owners, the orphan scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.cleanup import CleanupTask, OrphanScan
    from ferry.model.events import Event
    from ferry.model.files import ObjectRecord
    from ferry.model.uploads import UploadRecord
    from ferry.ports.types import Page


class CleanupRepository(Protocol):
    """Cleanup tasks and the rows that cleanup alone reads or deletes (docs/decisions/0005).

    Reads are strongly consistent, except `list_due_tasks`.
    """

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        """Return tasks with `due_at` up to `now`, earliest first. One call for each of the index's four shards.

        The index is eventually consistent: a task may have been handled already.
        """
        ...

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        """Make a task due at another time.

        Raises:
            ConcurrentUpdate: its row is gone or is due at another time than `task.due_at`.
        """
        ...

    def unschedule_task(self, task: CleanupTask) -> None:
        """Keep an object: it stays known, but is no longer due.

        Raises:
            ConcurrentUpdate: its row is gone or is due at another time than `task.due_at`.
        """
        ...

    def delete_task(self, task: CleanupTask) -> None:
        """Delete the row of a task that is done. Idempotent.

        Raises:
            ValueError: the task's row is an upload record, which expires by its TTL.
        """
        ...

    def delete_tasks(self, tasks: Iterable[CleanupTask]) -> None:
        """Delete the rows of tasks that are done. Idempotent. One call for each 25 tasks.

        Raises:
            ValueError: a task's row is an upload record, which expires by its TTL.
        """
        ...

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        """Record that everything of a cancelled or expired upload is deleted and its events are published.

        The upload is no longer due and its record expires at `ttl_epoch_seconds`. A STAGED_CHUNKS task is due at
        `staged_chunks_due_at`, for chunks that were in flight.

        Raises:
            ConcurrentUpdate: the upload is in another state.
        """
        ...

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:
        """Delete the progress shards of an ended upload, and return whether none is left.

        The record stays, and the chunk digests, which the store drops by their TTL without a charge. Idempotent.
        Calls grow with the rows; none begins after `deadline` (epoch milliseconds).
        """
        ...

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        """Return the existing records by upload id. One call for each 100 ids."""
        ...

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        """Return the known objects by upload id, each with namespace and name of its file (None: unknown).

        One call for each 100 ids.
        """
        ...

    def get_object(self, upload_id: str) -> ObjectRecord | None:
        """Return what the row of an object says; None if it has no row."""
        ...

    def clear_object_event(self, task: CleanupTask, *, due_at: int | None) -> None:
        """Record that the pending event of an object's file is published, and make its task due then (None: never).

        Raises:
            ConcurrentUpdate: the row is gone or is due at another time than `task.due_at`.
        """
        ...

    def schedule_object(self, upload_id: str, owner: tuple[str, str] | None, *, due_at: int) -> None:
        """Create the row of an object, with its owner if known, and an OBJECT task.

        Raises:
            ConcurrentUpdate: the object has a row already.
        """
        ...

    def delete_deleted_file(self, ns: str, name: str, upload_id: str, *, deleted_at: int) -> bool:
        """Delete the row of a deleted file, which then cannot be restored any more. Return False if it is gone."""
        ...

    def get_file_event(self, event_id: str) -> Event | None:
        """Return a pending event of a file."""
        ...

    def get_orphan_scan(self) -> OrphanScan | None:
        """Return the saved state of the orphan scan; None before the first."""
        ...

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        """Save the state of the orphan scan.

        Raises:
            ConcurrentUpdate: the saved version is not `scan.version - 1`.
        """
        ...
