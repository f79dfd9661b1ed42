"""`FileRepository` in memory, with every condition and every effect of the port. Each method is one atomic step."""

from __future__ import annotations

from dev.fakes.listings import names_from
from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.quotas import add_usage, file_identity
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import DeletedFile, File
from ferry.ports.errors import ConcurrentUpdate
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

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        with self._lock:
            stored = self.rows.files.get((file.ns, file.name))
            if stored is None or file_identity(stored) != file_identity(file):
                raise ConcurrentUpdate
            add_usage(self.rows, file.ns, -file.size if file.counted_in_quota else 0, 0)
            del self.rows.files[file.ns, file.name]
            self.rows.object_owners[file.upload_id] = (file.ns, file.name)
            self.rows.task_due_times[CleanupTaskKind.OBJECT, file.upload_id] = object_due_at
            if publish_deadline is not None:
                self.rows.task_due_times[CleanupTaskKind.DELETION_EVENT, file.upload_id] = publish_deadline
                self.rows.deleted_files[file.upload_id] = DeletedFile(file, now)
