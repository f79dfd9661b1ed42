"""Changes of the rows of files' objects in memory, which several repositories make."""

from __future__ import annotations

from dev.fakes.metadata_rows import Rows
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import File


def take_file_away(rows: Rows, file: File, *, object_due_at: int) -> None:
    """Schedule the object of a file that is replaced or deleted. A pending completion stays due before."""
    rows.object_owners[file.upload_id] = (file.ns, file.name)
    rows.object_delete_times[file.upload_id] = object_due_at
    if file.upload_id not in rows.completion_events:
        rows.task_due_times[CleanupTaskKind.OBJECT, file.upload_id] = object_due_at
