"""`FileRepository` in memory, with every condition and every effect of the port. Each method is one atomic step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from ferry.model.starts import NameState
from ferry.ports.errors import ConcurrentUpdate, NameConflict, UsageConflict
from ferry.ports.types import Slice
from ferry.rules.listing import after_name, deleted_file_position


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

    def get_files(self, ns: str, names: Iterable[str]) -> Mapping[str, File]:
        with self._lock:
            return {name: self.rows.files[ns, name] for name in names if (ns, name) in self.rows.files}

    def get_name_states(self, ns: str, names: Sequence[str]) -> Mapping[str, NameState]:
        with self._lock:
            states = {
                name: NameState(
                    (ns, name) in self.rows.files,
                    self.rows.current_uploads.get((ns, name)),
                    bool(self.rows.sequential_ids.get((ns, name))),
                )
                for name in names
            }
            return {name: state for name, state in states.items() if state != NameState()}

    def find_deleted_file(self, ns: str, name: str, upload_id: str | None = None) -> DeletedFile | None:
        with self._lock:
            for position in names_from(self.rows.deleted_files, ns, after_name(name), ""):
                found = self.rows.deleted_files[ns, position]
                if upload_id in (None, found.file.upload_id):
                    return found
        return None

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
            self._add_put_usage(file, replaced_file, quota)
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
            add_usage(self.rows, file.ns, -file.counted_bytes, 0)
            del self.rows.files[file.ns, file.name]
            take_file_away(self.rows, file, deleted_at=now, object_due_at=object_due_at)
            store_event(self.table, pending_event)

    def move_file(
        self,
        file: File,
        moved: File,
        *,
        replaced_file: File | None,
        object_due_at: int,
        now: int,
        pending_event: PendingEvent | None = None,
    ) -> None:
        with self._lock:
            self._require_files((file.ns, file.name, file), (moved.ns, moved.name, replaced_file))
            if replaced_file is not None:
                freed_bytes = replaced_file.counted_bytes
                add_usage(self.rows, file.ns, -freed_bytes, 0)
                take_file_away(self.rows, replaced_file, deleted_at=now, object_due_at=object_due_at)
            del self.rows.files[file.ns, file.name]
            self.rows.files[moved.ns, moved.name] = moved
            self.rows.object_owners[moved.upload_id] = (moved.ns, moved.name)
            store_event(self.table, pending_event)

    def restore_file(
        self,
        deleted_file: DeletedFile,
        restored: File,
        *,
        replaced_file: File | None,
        quota: Quota | None,
        event_is_pending: bool,
        object_due_at: int,
        now: int,
        pending_event: PendingEvent | None = None,
    ) -> None:
        file, upload_id = deleted_file.file, restored.upload_id
        key = (file.ns, deleted_file_position(file.name, upload_id, deleted_file.deleted_at))
        with self._lock:
            self._require_files((restored.ns, restored.name, replaced_file))
            if key not in self.rows.deleted_files or event_is_pending != (upload_id in self.rows.completion_events):
                raise ConcurrentUpdate
            self._add_put_usage(restored, replaced_file, quota)
            if replaced_file is not None:
                take_file_away(self.rows, replaced_file, deleted_at=now, object_due_at=object_due_at)
            del self.rows.deleted_files[key]
            self.rows.files[restored.ns, restored.name] = restored
            self.rows.object_owners[upload_id] = (restored.ns, restored.name)
            self.rows.object_delete_times.pop(upload_id, None)
            self.rows.object_deleted_at.pop(upload_id, None)
            if not event_is_pending:
                self.rows.task_due_times.pop((CleanupTaskKind.OBJECT, upload_id), None)
            store_event(self.table, pending_event)

    # Callers of these hold the lock.

    def _require_files(self, *expected: tuple[str, str, File | None]) -> None:
        """Raise `ConcurrentUpdate` unless each name has the expected file; None: it has none."""
        for ns, name, file in expected:
            stored = self.rows.files.get((ns, name))
            if (stored and file_identity(stored)) != (file and file_identity(file)):
                raise ConcurrentUpdate

    def _add_put_usage(self, file: File, replaced_file: File | None, quota: Quota | None) -> None:
        """Add a file to the usage, without the one that it replaces. Raises `UsageConflict` if there is no room."""
        freed_bytes = 0 if replaced_file is None else replaced_file.counted_bytes
        added_bytes = file.counted_bytes - freed_bytes
        max_bytes = quota.max_bytes if quota is not None else None
        if added_bytes and file.ns not in self.rows.quotas:
            raise UsageConflict
        used_bytes = self.rows.quotas[file.ns].used_bytes if added_bytes else 0
        if max_bytes is not None and added_bytes > 0 and used_bytes + added_bytes > max_bytes:
            raise UsageConflict
        add_usage(self.rows, file.ns, added_bytes, 0)
