"""The ledger in memory as the clean-up looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dev.fakes.listings import require_epoch_seconds
from dev.fakes.metadata_rows import NameKey, Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.aws import cursors
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan
from ferry.model.files import DeletedFile
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Page


class MemoryCleanupRepository:
    """A `CleanupRepository` over the `MemoryTable` of an upload repository."""

    def __init__(self, table: MemoryTable) -> None:
        self.table = table
        self._lock = table.lock

    @property
    def rows(self) -> Rows:
        return self.table.rows

    # What is due

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        listing = ("due_tasks",)
        at = cursors.decode(cursor, listing, "nss") if cursor is not None else None
        with self._lock:
            found = [
                CleanupTask(kind, subject, due)
                for (kind, subject), due in self.rows.task_due_times.items()
                if due <= now
            ]
        found.sort(key=_sort_key)
        rest = [entry for entry in found if at is None or _sort_key(entry) > at]
        more = cursors.encode(listing, _sort_key(rest[limit - 1])) if len(rest) > limit else None
        return Page(rest[:limit], more)

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        with self._lock:
            self._require_due(task)
            self.rows.task_due_times[task.kind, task.subject] = due_at

    def delete_task(self, task: CleanupTask) -> None:
        if task.kind is CleanupTaskKind.UPLOAD:
            raise ValueError("an upload record is not deleted; it expires by its TTL")
        with self._lock:
            self.rows.task_due_times.pop((task.kind, task.subject), None)
            if task.kind is CleanupTaskKind.DELETION_EVENT:
                self.rows.deleted_files.pop(task.subject, None)
            if task.kind is CleanupTaskKind.OBJECT:
                self.rows.object_owners.pop(task.subject, None)

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:
        with self._lock:
            self.rows.shards.pop(upload_id, None)
            self.rows.chunk_digests.pop(upload_id, None)
        return True

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        with self._lock:
            record = self.rows.records.get(upload_id)
            if record is None or record.state not in (UploadState.CANCELLED, UploadState.EXPIRED):
                raise ConcurrentUpdate
            self.rows.records[upload_id] = replace(record, purged=True, event_pending=False, version=record.version + 1)
            self.rows.task_due_times.pop((CleanupTaskKind.UPLOAD, upload_id), None)
            self.rows.ttls[upload_id,] = require_epoch_seconds(ttl_epoch_seconds)
            self.rows.task_due_times[CleanupTaskKind.STAGED_CHUNKS, upload_id] = staged_chunks_due_at

    def get_deleted_file(self, upload_id: str) -> DeletedFile | None:
        with self._lock:
            return self.rows.deleted_files.get(upload_id)

    # What S3 has, and who knows it

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        with self._lock:
            return {found: self.rows.records[found] for found in upload_ids if found in self.rows.records}

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, NameKey | None]:
        with self._lock:
            return {found: self.rows.object_owners[found] for found in upload_ids if found in self.rows.object_owners}

    def schedule_object(self, upload_id: str, owner: NameKey | None, *, due_at: int) -> None:
        with self._lock:
            if upload_id in self.rows.object_owners:
                raise ConcurrentUpdate
            self.rows.object_owners[upload_id] = owner
            self.rows.task_due_times[CleanupTaskKind.OBJECT, upload_id] = due_at

    def unschedule_task(self, task: CleanupTask) -> None:
        with self._lock:
            self._require_due(replace(task, kind=CleanupTaskKind.OBJECT))
            del self.rows.task_due_times[CleanupTaskKind.OBJECT, task.subject]

    def get_orphan_scan(self) -> OrphanScan | None:
        with self._lock:
            return self.rows.orphan_scan

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        with self._lock:
            found = self.rows.orphan_scan
            if scan.version != (1 if found is None else found.version + 1):
                raise ConcurrentUpdate
            self.rows.orphan_scan = scan

    def _require_due(self, task: CleanupTask) -> None:
        if self.rows.task_due_times.get((task.kind, task.subject)) != task.due_at:
            raise ConcurrentUpdate


def _sort_key(task: CleanupTask) -> list[str | int]:
    return [task.due_at, task.kind.value, task.subject]
