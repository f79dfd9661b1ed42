"""`FileRepository` in memory, with every condition and every effect of the port. Each method is one atomic step."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.listings import names_from
from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.objects_of_files import store_event, take_file_away
from dev.fakes.quotas import add_usage, file_identity
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.events import PendingEvent
from ferry.model.files import CompletionEvent, DeletedFile, File
from ferry.model.quotas import Quota
from ferry.ports.errors import ConcurrentUpdate, NameConflict, UsageConflict
from ferry.ports.types import Slice


class MemoryFileRepository:
    """A `FileRepository` over a `MemoryTable`, which it shares with the upload repository."""

    def __init__(self, table: MemoryTable) -> None:
        self.table = table
        self._lock = table.lock

    @property
    def rows(self) -> Rows:
        return self.table.rows

    def get_file(self, ns: str, name: str) -> File | None:
        with self._lock:
            return self.rows.files.get((ns, name))

    def list_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[File]:
        with self._lock:
            names = names_from(self.rows.files, ns, prefix, start)
            return Slice([self.rows.files[ns, name] for name in names[:limit]], has_more=len(names) > limit)

    def get_quota(self, ns: str) -> Quota | None:
        with self._lock:
            return self.rows.quotas.get(ns)

    def announce_object(self, upload_id: str, owner: tuple[str, str], *, due_at: int) -> None:
        with self._lock:
            self.rows.object_owners[upload_id] = owner
            self.rows.task_due_times[CleanupTaskKind.OBJECT, upload_id] = due_at

    def put_file(
        self,
        file: File,
        *,
        replaced_file: File | None,
        quota: Quota | None,
        announced_due_at: int,
        object_due_at: int,
        publish_deadline: int | None = None,
    ) -> None:
        task = (CleanupTaskKind.OBJECT, file.upload_id)
        with self._lock:
            stored = self.rows.files.get((file.ns, file.name))
            if stored is not None and stored.upload_id == file.upload_id:
                return
            if (stored and file_identity(stored)) != (replaced_file and file_identity(replaced_file)):
                raise NameConflict(stored)
            if self.rows.task_due_times.get(task) != announced_due_at:
                raise ConcurrentUpdate
            freed_bytes = replaced_file.size if replaced_file is not None and replaced_file.counted_in_quota else 0
            added_bytes = (file.size if file.counted_in_quota else 0) - freed_bytes
            max_bytes = quota.max_bytes if quota is not None else None
            used_bytes = self.rows.quotas[file.ns].used_bytes if added_bytes else 0
            if max_bytes is not None and added_bytes > 0 and used_bytes + added_bytes > max_bytes:
                raise UsageConflict
            add_usage(self.rows, file.ns, added_bytes, 0)
            self.rows.files[file.ns, file.name] = file
            event = CompletionEvent(file, replaced_file.upload_id if replaced_file else None)
            self.table.completions[file.upload_id] = event
            if publish_deadline is None:
                del self.rows.task_due_times[task]
            else:
                self.rows.completion_events[file.upload_id] = event
                self.rows.task_due_times[task] = publish_deadline
            if replaced_file is not None:
                take_file_away(self.rows, replaced_file, deleted_at=file.uploaded_at, object_due_at=object_due_at)

    def clear_completion_event(self, upload_id: str) -> None:
        with self._lock:
            if upload_id not in self.rows.completion_events or upload_id in self.rows.object_delete_times:
                raise ConcurrentUpdate
            del self.rows.completion_events[upload_id]
            self.rows.task_due_times.pop((CleanupTaskKind.OBJECT, upload_id), None)

    def change_file(self, changed: File, *, expected: File) -> None:
        name = (changed.ns, changed.name)
        with self._lock:
            stored = self.rows.files.get(name)
            if stored is None or file_identity(stored) != file_identity(expected):
                raise ConcurrentUpdate
            self.rows.files[name] = replace(
                stored, content_type=changed.content_type, metadata=changed.metadata, revision=changed.revision
            )

    def list_deleted_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[DeletedFile]:
        with self._lock:
            positions = names_from(self.rows.deleted_files, ns, prefix, start)
            found = [self.rows.deleted_files[ns, position] for position in positions[:limit]]
            return Slice(found, has_more=len(positions) > limit)

    def delete_file(
        self, file: File, *, object_due_at: int, now: int, pending_event: PendingEvent | None = None
    ) -> None:
        with self._lock:
            stored = self.rows.files.get((file.ns, file.name))
            if stored is None or file_identity(stored) != file_identity(file):
                raise ConcurrentUpdate
            add_usage(self.rows, file.ns, -file.size if file.counted_in_quota else 0, 0)
            del self.rows.files[file.ns, file.name]
            take_file_away(self.rows, file, deleted_at=now, object_due_at=object_due_at)
            store_event(self.rows, pending_event)
