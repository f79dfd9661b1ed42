"""`CleanupRepository` in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dev.fakes.listings import require_epoch_seconds
from dev.fakes.metadata_rows import NameKey, Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.aws import cursors
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan
from ferry.model.events import Event
from ferry.model.files import ObjectRecord
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Page
from ferry.rules.listing import deleted_file_position


class MemoryCleanupRepository:
    """A `CleanupRepository` over a `MemoryTable`, which it shares with the upload repository."""

    def __init__(self, table: MemoryTable) -> None:
        self.table = table
        self._lock = table.lock

    @property
    def rows(self) -> Rows:
        return self.table.rows

    # Tasks

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        listing = ("due_tasks",)
        after = None if cursor is None else cursors.decode(cursor, listing, "nss")
        with self._lock:
            due = [
                CleanupTask(kind, upload_id, due_at)
                for (kind, upload_id), due_at in self.rows.task_due_times.items()
                if due_at <= now
            ]
        due.sort(key=_sort_key)
        rest = [task for task in due if after is None or _sort_key(task) > after]
        next_cursor = cursors.encode(listing, _sort_key(rest[limit - 1])) if len(rest) > limit else None
        return Page(rest[:limit], next_cursor)

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        with self._lock:
            self._require_due(task)
            self.rows.task_due_times[task.kind, task.subject] = due_at

    def unschedule_task(self, task: CleanupTask) -> None:
        with self._lock:
            self._require_due(replace(task, kind=CleanupTaskKind.OBJECT))
            del self.rows.task_due_times[CleanupTaskKind.OBJECT, task.subject]

    def delete_task(self, task: CleanupTask) -> None:
        if task.kind is CleanupTaskKind.UPLOAD:
            raise ValueError("an upload record is not deleted; it expires by its TTL")
        with self._lock:
            self.rows.task_due_times.pop((task.kind, task.subject), None)
            if task.kind is CleanupTaskKind.FILE_EVENT:
                self.rows.file_events.pop(task.subject, None)
            if task.kind is CleanupTaskKind.OBJECT:
                self.rows.object_owners.pop(task.subject, None)
                self.rows.object_delete_times.pop(task.subject, None)
                self.rows.object_deleted_at.pop(task.subject, None)
                self.rows.completion_events.pop(task.subject, None)

    def delete_tasks(self, tasks: Iterable[CleanupTask]) -> None:
        for task in tasks:
            self.delete_task(task)

    def _require_due(self, task: CleanupTask) -> None:
        if self.rows.task_due_times.get((task.kind, task.subject)) != task.due_at:
            raise ConcurrentUpdate

    # Ended uploads

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        with self._lock:
            record = self.rows.records.get(upload_id)
            if record is None or record.state not in (UploadState.CANCELLED, UploadState.EXPIRED):
                raise ConcurrentUpdate
            self.rows.records[upload_id] = replace(record, purged=True, event_pending=False, version=record.version + 1)
            self.rows.ttls[upload_id,] = require_epoch_seconds(ttl_epoch_seconds)
            self.rows.task_due_times.pop((CleanupTaskKind.UPLOAD, upload_id), None)
            self.rows.task_due_times[CleanupTaskKind.STAGED_CHUNKS, upload_id] = staged_chunks_due_at

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:  # noqa: ARG002 - one step takes no time
        with self._lock:
            self.rows.shards.pop(upload_id, None)
        return True

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        with self._lock:
            records = self.rows.records
            return {upload_id: records[upload_id] for upload_id in upload_ids if upload_id in records}

    # Objects, deleted files and their events

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, NameKey | None]:
        with self._lock:
            owners = self.rows.object_owners
            return {upload_id: owners[upload_id] for upload_id in upload_ids if upload_id in owners}

    def get_object(self, upload_id: str) -> ObjectRecord | None:
        with self._lock:
            if upload_id not in self.rows.object_owners:
                return None
            return ObjectRecord(
                self.rows.object_owners[upload_id],
                self.rows.completion_events.get(upload_id),
                self.rows.object_delete_times.get(upload_id),
                self.rows.object_deleted_at.get(upload_id),
            )

    def clear_object_event(self, task: CleanupTask, *, due_at: int | None) -> None:
        with self._lock:
            self._require_due(task)
            self.rows.completion_events.pop(task.subject, None)
            if due_at is None:
                del self.rows.task_due_times[CleanupTaskKind.OBJECT, task.subject]
            else:
                self.rows.task_due_times[CleanupTaskKind.OBJECT, task.subject] = due_at

    def schedule_object(self, upload_id: str, owner: NameKey | None, *, due_at: int) -> None:
        with self._lock:
            if upload_id in self.rows.object_owners:
                raise ConcurrentUpdate
            self.rows.object_owners[upload_id] = owner
            self.rows.task_due_times[CleanupTaskKind.OBJECT, upload_id] = due_at

    def delete_deleted_file(self, ns: str, name: str, upload_id: str, *, deleted_at: int) -> bool:
        with self._lock:
            key = (ns, deleted_file_position(name, upload_id, deleted_at))
            return self.rows.deleted_files.pop(key, None) is not None

    def get_file_event(self, event_id: str) -> Event | None:
        with self._lock:
            return self.rows.file_events.get(event_id)

    # Orphan scan

    def get_orphan_scan(self) -> OrphanScan | None:
        with self._lock:
            return self.rows.orphan_scan

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        with self._lock:
            saved = self.rows.orphan_scan
            if scan.version != (1 if saved is None else saved.version + 1):
                raise ConcurrentUpdate
            self.rows.orphan_scan = scan


def _sort_key(task: CleanupTask) -> list[str | int]:
    return [task.due_at, task.kind.value, task.subject]
