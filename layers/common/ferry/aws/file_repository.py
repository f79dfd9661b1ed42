"""`FileRepository` in DynamoDB: the rows, conditions and transactions of docs/decisions/0001 and 0011."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ferry.aws import file_rows
from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.dynamo import Table, TransactionFailed
from ferry.aws.expressions import Row, Write, delete, put, update, with_old_row
from ferry.aws.file_listings import query_names
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.starts import NameState
from ferry.ports.errors import NameConflict, UsageConflict
from ferry.ports.types import Slice
from ferry.rules.listing import after_name

if TYPE_CHECKING:
    from ferry.model.events import PendingEvent
    from ferry.model.files import DeletedFile, File
    from ferry.model.quotas import Quota

_NAME_POSITION = 0
"""Position of the name's row in the transaction of `put_file`."""

_FIRST_USAGE_POSITION = 2
"""Position of the usage in the transaction of `put_file`, if it changes."""


class DynamoFileRepository:
    """`FileRepository` over the metadata table. Each method makes one call; the port names the exceptions."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get_file(self, ns: str, name: str) -> File | None:
        row = self._table.get(rows.file_key(ns, name))
        return rows.file_from_row(row) if row else None

    def get_files(self, ns: str, names: Iterable[str]) -> Mapping[str, File]:
        found = map(rows.file_from_row, self._table.batch_get(rows.file_key(ns, name) for name in names))
        return {file.name: file for file in found}

    def get_name_states(self, ns: str, names: Sequence[str]) -> Mapping[str, NameState]:
        kinds = (rows.file_key, rows.current_upload_key, rows.sequential_key)
        states: dict[str, NameState] = {}
        for row in self._table.batch_get(build_key(ns, name) for name in names for build_key in kinds):
            if row["sk"].startswith(rows.FILE_PREFIX):
                name = rows.file_from_row(row).name
                states[name] = replace(states.get(name, NameState()), has_file=True)
            elif row["sk"].startswith(rows.SEQUENTIAL_PREFIX):
                name = row["sk"].removeprefix(rows.SEQUENTIAL_PREFIX)
                states[name] = replace(states.get(name, NameState()), has_sequential="upload_ids" in row)
            else:
                current_upload = rows.current_upload_from_row(row)
                name = current_upload.name
                states[name] = replace(states.get(name, NameState()), current_upload=current_upload)
        return states

    def find_deleted_file(self, ns: str, name: str, upload_id: str | None = None) -> DeletedFile | None:
        """Return the first row of the name, or the first of an upload; DynamoDB filters what it has read."""
        values = {"pk": rows.names_pk(ns), "prefix": file_rows.DELETED_FILE_PREFIX + after_name(name)}
        key_condition = "#pk = :pk AND begins_with(#sk, :prefix)"
        if upload_id is None:
            found, _ = self._table.query(key_condition, values, limit=1)
            return file_rows.deleted_file_from_row(found[0]) if found else None
        start_key: Row | None = None
        while True:
            found, start_key = self._table.query(
                key_condition,
                values | {"upload_id": upload_id},
                filter_expression="#upload_id = :upload_id",
                start_key=start_key,
            )
            if found or start_key is None:
                return file_rows.deleted_file_from_row(found[0]) if found else None

    def list_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[File]:
        found, has_more = query_names(self._table, ns, rows.FILE_PREFIX, prefix, start=start, limit=limit)
        return Slice([rows.file_from_row(row) for row in found], has_more)

    def get_quota(self, ns: str) -> Quota | None:
        row = self._table.get(rows.quota_key(ns))
        return rows.quota_from_row(row) if row else None

    def announce_object(self, upload_id: str, owner: tuple[str, str], *, due_at: int) -> None:
        self._table.write(put(rows.object_to_row(upload_id, owner, due_at)))

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
        transaction = [
            with_old_row(writes.put_name(file, replaced_file)),
            writes.keep_object(
                file, replaced_file, announced_due_at=announced_due_at, publish_deadline=publish_deadline
            ),
            *writes.put_usage(file, replaced_file, quota),
        ]
        usage_positions = range(_FIRST_USAGE_POSITION, len(transaction))
        if replaced_file is not None:
            transaction += writes.take_file_away(
                replaced_file, deleted_at=file.uploaded_at, object_due_at=object_due_at
            )
        try:
            self._table.transact_write(transaction)
        except TransactionFailed as error:
            if _NAME_POSITION in error.failed:
                row = error.failed[_NAME_POSITION]
                stored = rows.file_from_row(row) if row else None
                if stored is not None and stored.upload_id == file.upload_id:
                    return
                raise NameConflict(stored) from error
            if any(position in error.failed for position in usage_positions):
                raise UsageConflict from error
            raise

    def clear_completion_event(self, upload_id: str) -> None:
        self._table.conditional_write(
            update(
                rows.task_key(CleanupTaskKind.OBJECT, upload_id),
                {"event": None, "event_due_at": None, **rows.UNSCHEDULED},
                condition="attribute_exists(#event) AND attribute_not_exists(#delete_at)",
            )
        )

    def change_file(self, changed: File, *, expected: File) -> None:
        changes = {
            "content_type": changed.content_type,
            "metadata": changed.metadata,
            "revision": changed.revision,
        }
        condition, values = writes.file_unchanged(expected)
        self._table.conditional_write(
            update(rows.file_key(changed.ns, changed.name), changes, condition=condition, values=values)
        )

    def list_deleted_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[DeletedFile]:
        found, has_more = query_names(self._table, ns, file_rows.DELETED_FILE_PREFIX, prefix, start=start, limit=limit)
        return Slice([file_rows.deleted_file_from_row(row) for row in found], has_more)

    def delete_file(
        self, file: File, *, object_due_at: int, now: int, pending_event: PendingEvent | None = None
    ) -> None:
        self._table.transact_write(
            [
                delete(rows.file_key(file.ns, file.name), *writes.file_unchanged(file)),
                *writes.take_file_away(file, deleted_at=now, object_due_at=object_due_at),
                *writes.free_usage(file),
                *writes.store_event(pending_event),
            ]
        )

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
        self._table.transact_write(
            [
                delete(rows.file_key(file.ns, file.name), *writes.file_unchanged(file)),
                writes.put_name(moved, replaced_file),
                writes.name_moved_object(moved),
                *_replace(replaced_file, object_due_at=object_due_at, now=now),
                *(writes.free_usage(replaced_file) if replaced_file is not None else []),
                *writes.store_event(pending_event),
            ]
        )

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
        file = deleted_file.file
        key = file_rows.deleted_file_key(file.ns, file.name, file.upload_id, deleted_file.deleted_at)
        self._table.transact_write(
            [
                delete(key, "attribute_exists(#pk)"),
                writes.put_name(restored, replaced_file),
                writes.keep_restored_object(restored, event_is_pending=event_is_pending),
                *_replace(replaced_file, object_due_at=object_due_at, now=now),
                *writes.put_usage(restored, replaced_file, quota),
                *writes.store_event(pending_event),
            ]
        )


def _replace(replaced_file: File | None, *, object_due_at: int, now: int) -> list[Write]:
    """Return the writes, beside that of the name's row, that take a replaced file away, if there is one."""
    if replaced_file is None:
        return []
    return writes.take_file_away(replaced_file, deleted_at=now, object_due_at=object_due_at)
