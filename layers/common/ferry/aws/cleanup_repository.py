"""`CleanupRepository` in DynamoDB: the rows and the index of docs/decisions/0001 and 0005."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ferry.aws import cursors, file_rows
from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Key, Row, delete, put, update
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.types import Clock, Page

if TYPE_CHECKING:
    from ferry.model.events import Event
    from ferry.model.files import ObjectRecord

DUE_TASKS_INDEX = "due_tasks"
"""The sparse index of rows with `due_shard` and `due_at`."""

DELETE_BATCH = 100
"""Rows read at once before they are deleted."""

_CURSOR_KIND = ("due_tasks",)

_ShardPosition = CleanupTask | str
"""Where the listing of an index shard continues: after a task, at its beginning, or nowhere."""

_BEGINNING = ""
_EXHAUSTED = "done"


class DynamoCleanupRepository:
    """`CleanupRepository` over the metadata table. Each method makes one call unless its docstring says otherwise."""

    def __init__(self, table: Table, clock: Clock = wall_clock) -> None:
        self._table = table
        self._clock = clock

    # Tasks

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        """Return due tasks, earliest first. One query for each index shard that is not exhausted.

        Each query reads a whole page, so the earliest tasks of all shards are known. Tasks beyond the page are read
        again by the next one.
        """
        positions = _decode_cursor(cursor, now)
        found: list[tuple[int, Row]] = []
        for shard, position in enumerate(positions):
            if position != _EXHAUSTED:
                found += [(shard, row) for row in self._query_due(shard, now, position, limit + 1)]
        found.sort(key=lambda entry: entry[1]["due_at"])
        page, rest = found[:limit], found[limit:]
        for shard, row in page:
            positions[shard] = rows.task_from_row(row)
        shards_with_more = {shard for shard, _ in rest}
        positions = [position if shard in shards_with_more else _EXHAUSTED for shard, position in enumerate(positions)]
        return Page(
            [rows.task_from_row(row) for _, row in page], _encode_cursor(positions) if shards_with_more else None
        )

    def _query_due(self, shard: int, now: int, position: _ShardPosition, limit: int) -> list[Row]:
        found, _ = self._table.query(
            "#due_shard = :shard AND #due_at <= :now",
            {"shard": str(shard), "now": now},
            index=DUE_TASKS_INDEX,
            limit=limit,
            start_key=rows.task_to_row(position) if isinstance(position, CleanupTask) else None,
        )
        return found

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        self._update_if_due(task, {"due_at": due_at})

    def unschedule_task(self, task: CleanupTask) -> None:
        self._update_if_due(CleanupTask(CleanupTaskKind.OBJECT, task.subject, task.due_at), rows.UNSCHEDULED)

    def _update_if_due(self, task: CleanupTask, changes: Mapping[str, int | None]) -> None:
        self._table.conditional_write(
            update(
                rows.task_key(task.kind, task.subject),
                changes,
                condition="#due_at = :due_at",
                values={"due_at": task.due_at},
            )
        )

    def delete_task(self, task: CleanupTask) -> None:
        self._table.write(delete(_deletable_key(task)))

    def delete_tasks(self, tasks: Iterable[CleanupTask]) -> None:
        self._table.batch_delete([_deletable_key(task) for task in tasks])

    # Ended uploads

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        changes = {"purged": True, "event_pending": None, "ttl": ttl_epoch_seconds, **rows.UNSCHEDULED}
        transition = writes.record_transition(
            upload_id,
            changes,
            "#state IN (:cancelled, :expired)",
            {"cancelled": UploadState.CANCELLED.value, "expired": UploadState.EXPIRED.value},
        )
        staged_chunks_task = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, staged_chunks_due_at)
        self._table.transact_write([transition, put(rows.task_to_row(staged_chunks_task))])

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:
        """Delete the shards. One query for each 100 of them, and one batch for each 25."""
        values = {"pk": rows.upload_pk(upload_id), "prefix": rows.SHARD_PREFIX}
        start_key: Row | None = None
        while self._clock() < deadline:
            found, start_key = self._table.query(
                "#pk = :pk AND begins_with(#sk, :prefix)", values, limit=DELETE_BATCH, start_key=start_key
            )
            self._table.batch_delete((row["pk"], row["sk"]) for row in found)
            if start_key is None:
                return True
        return False

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        found = self._table.batch_get(map(rows.record_key, upload_ids))
        return {record.upload_id: record for record in map(rows.record_from_row, found)}

    # Objects, deleted files and their events

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        found = self._table.batch_get(rows.task_key(CleanupTaskKind.OBJECT, upload_id) for upload_id in upload_ids)
        return dict(map(rows.owner_from_row, found))

    def get_object(self, upload_id: str) -> ObjectRecord | None:
        row = self._table.get(rows.task_key(CleanupTaskKind.OBJECT, upload_id))
        return file_rows.object_from_row(row) if row else None

    def clear_object_event(self, task: CleanupTask, *, due_at: int | None) -> None:
        schedule = rows.UNSCHEDULED if due_at is None else {"due_at": due_at}
        self._update_if_due(task, {"event": None, "event_due_at": None, **schedule})

    def schedule_object(self, upload_id: str, owner: tuple[str, str] | None, *, due_at: int) -> None:
        self._table.conditional_write(put(rows.object_to_row(upload_id, owner, due_at), "attribute_not_exists(#pk)"))

    def delete_deleted_file(self, ns: str, name: str, upload_id: str, *, deleted_at: int) -> bool:
        try:
            self._table.write(
                delete(file_rows.deleted_file_key(ns, name, upload_id, deleted_at), "attribute_exists(#pk)")
            )
        except ConditionFailed:
            return False
        return True

    def get_file_event(self, event_id: str) -> Event | None:
        row = self._table.get(file_rows.file_event_key(event_id))
        return file_rows.file_event_from_row(row) if row else None

    # Orphan scan

    def get_orphan_scan(self) -> OrphanScan | None:
        row = self._table.get(rows.ORPHAN_SCAN_KEY)
        return rows.orphan_scan_from_row(row) if row else None

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        row = rows.orphan_scan_to_row(scan)
        if scan.version == 1:
            self._table.conditional_write(put(row, "attribute_not_exists(#pk)"))
        else:
            self._table.conditional_write(put(row, "#version = :previous", {"previous": scan.version - 1}))


def _deletable_key(task: CleanupTask) -> Key:
    """Return the key of a task's row. Raises `ValueError` for the row of an upload record."""
    if task.kind is CleanupTaskKind.UPLOAD:
        raise ValueError("an upload record is not deleted; it expires by its TTL")
    return rows.task_key(task.kind, task.subject)


def _encode_cursor(positions: Iterable[_ShardPosition]) -> str:
    values: list[str | int] = []
    for position in positions:
        values += (
            [position.due_at, position.kind.value, position.subject]
            if isinstance(position, CleanupTask)
            else [0, position, ""]
        )
    return cursors.encode(_CURSOR_KIND, values)


def _decode_cursor(cursor: str | None, now: int) -> list[_ShardPosition]:
    """Return the position in each index shard."""
    if cursor is None:
        return [_BEGINNING] * rows.DUE_SHARDS
    values = cursors.decode(cursor, _CURSOR_KIND, "nss" * rows.DUE_SHARDS)
    return [_decode_position(shard, values[3 * shard : 3 * shard + 3], now) for shard in range(rows.DUE_SHARDS)]


def _decode_position(shard: int, values: list[str | int], now: int) -> _ShardPosition:
    due_at, kind, subject = int(values[0]), str(values[1]), str(values[2])
    if (due_at, subject) == (0, "") and kind in (_BEGINNING, _EXHAUSTED):
        return kind
    if due_at > now or kind not in list(CleanupTaskKind) or not subject or rows.due_shard_for(subject) != str(shard):
        raise cursors.invalid_cursor()
    return CleanupTask(CleanupTaskKind(kind), subject, due_at)
