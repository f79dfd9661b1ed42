"""Changes of the rows of files' objects in memory, which several repositories make."""

from __future__ import annotations

from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.events import PendingEvent
from ferry.model.files import DeletedFile, File
from ferry.rules.listing import deleted_file_position


def take_file_away(rows: Rows, file: File, *, deleted_at: int, object_due_at: int) -> None:
    """Store a file that is replaced or deleted, and schedule its object. A pending completion stays due before."""
    key = (file.ns, deleted_file_position(file.name, file.upload_id, deleted_at))
    rows.deleted_files[key] = DeletedFile(file, deleted_at, object_due_at)
    rows.object_deleted_at[file.upload_id] = deleted_at
    rows.object_owners[file.upload_id] = (file.ns, file.name)
    rows.object_delete_times[file.upload_id] = object_due_at
    if file.upload_id not in rows.completion_events:
        rows.task_due_times[CleanupTaskKind.OBJECT, file.upload_id] = object_due_at


def store_event(table: MemoryTable, pending_event: PendingEvent | None) -> None:
    """Store an event of a file in the outbox, if there is one."""
    if pending_event is not None:
        event, rows = pending_event.event, table.rows
        assert table.was_restored or event.id not in table.file_changes, "two changes have one event"
        rows.file_events[event.id] = table.file_changes[event.id] = event
        rows.task_due_times[CleanupTaskKind.FILE_EVENT, event.id] = pending_event.publish_deadline
