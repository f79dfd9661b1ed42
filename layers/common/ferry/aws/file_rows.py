"""The rows of deleted files, pending events of files, objects, and starts under `rename` (docs/decisions/0011).

| row | pk | sk |
|---|---|---|
| deleted file | `N#<namespace>` | `D#<name>`, NUL, 13 digits that fall as time passes, 6 characters of the upload id |
| file event | `T#file_event#<id of the event>` | `T` |
| start under `rename` | `R#<id of the start>` | `R` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ferry.aws import metadata_rows as rows
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.events import Event, EventKind, PendingEvent
from ferry.model.files import CompletionEvent, DeletedFile, ObjectRecord
from ferry.model.starts import RenamedStart
from ferry.rules.listing import FIRST_CHARACTER, deleted_file_position

if TYPE_CHECKING:
    from ferry.aws.expressions import Key, Row

DELETED_FILE_PREFIX = "D#"


def deleted_file_key(ns: str, name: str, upload_id: str, deleted_at: int) -> Key:
    return rows.names_pk(ns), DELETED_FILE_PREFIX + deleted_file_position(name, upload_id, deleted_at)


def deleted_file_to_row(deleted_file: DeletedFile) -> Row:
    file, deleted_at = deleted_file.file, deleted_file.deleted_at
    return {
        **rows.key_attributes(deleted_file_key(file.ns, file.name, file.upload_id, deleted_at)),
        **rows.file_attributes(file),
        "deleted_at": deleted_at,
        "restorable_until": deleted_file.restorable_until,
    }


def deleted_file_from_row(row: Row) -> DeletedFile:
    name = row["sk"].removeprefix(DELETED_FILE_PREFIX).partition(FIRST_CHARACTER)[0]
    file = rows.file_from_attributes(row, ns=row["pk"].removeprefix(rows.NAMESPACE_PREFIX), name=name)
    return DeletedFile(file, row["deleted_at"], row["restorable_until"])


def file_event_key(event_id: str) -> Key:
    return rows.task_key(CleanupTaskKind.FILE_EVENT, event_id)


def file_event_to_row(pending_event: PendingEvent) -> Row:
    """Return the row of a FILE_EVENT task. It contains the file, whose own row may change."""
    event, file = pending_event.event, pending_event.event.file
    assert file is not None
    return {
        **rows.task_to_row(pending_event.task),
        **rows.file_attributes(file),
        "ns": file.ns,
        "name": file.name,
        "event_kind": event.kind.value,
        "occurred_at": event.occurred_at,
        "replaced_upload_id": event.replaced_upload_id,
        "previous_name": event.previous_name,
    }


def file_event_from_row(row: Row) -> Event:
    return Event.of_file(
        EventKind(row["event_kind"]),
        rows.file_from_attributes(row, ns=row["ns"], name=row["name"]),
        row["occurred_at"],
        replaced_upload_id=row.get("replaced_upload_id"),
        previous_name=row.get("previous_name"),
    )


def completion_event_attributes(event: CompletionEvent) -> dict[str, Any]:
    """Return the pending event of an object's row. It names its file, because the owner of the object may change."""
    return {
        **rows.file_attributes(event.file),
        "ns": event.file.ns,
        "name": event.file.name,
        "replaced_upload_id": event.replaced_upload_id,
    }


def object_from_row(row: Row) -> ObjectRecord:
    event = row.get("event")
    pending_event = event and CompletionEvent(
        rows.file_from_attributes(event, ns=event["ns"], name=event["name"]), event.get("replaced_upload_id")
    )
    return ObjectRecord(rows.owner_from_row(row)[1], pending_event, row.get("delete_at"), row.get("deleted_at"))


def renamed_start_key(start_id: str) -> Key:
    return f"R#{start_id}", "R"


def renamed_start_to_row(start: RenamedStart, ttl_epoch_seconds: int) -> Row:
    key = rows.key_attributes(renamed_start_key(start.start_id))
    return {**key, "upload_id": start.upload_id, "ttl": ttl_epoch_seconds}


def renamed_start_from_row(row: Row) -> RenamedStart:
    return RenamedStart(row["pk"].removeprefix("R#"), row["upload_id"])
