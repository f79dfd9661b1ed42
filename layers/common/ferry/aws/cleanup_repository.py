"""The ledger's rows as the clean-up looks at them: what is due, what knows an object, how far the search has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import Table
from ferry.aws.expressions import Row, delete, put, update
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan
from ferry.model.files import DeletedFile
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.types import Clock, Page

DUE_TASKS_INDEX = "due_tasks"
DELETE_BATCH = 100
_CURSOR_KIND = ("due_tasks",)
_EXHAUSTED = "done"


class DynamoCleanupRepository:
    """The part of `ferry.ports.Ledger` that is the clean-up's."""

    def __init__(self, table: Table, clock: Clock = wall_clock) -> None:
        self._table = table
        self._clock = clock

    # What is due

    def list_due_tasks(self, now: int, cursor: str | None, limit: int) -> Page[CleanupTask]:
        """One query for each shard, so that none waits for another's end; what is not taken is read again."""
        starts = _decode_cursor(cursor, now)
        found: list[tuple[int, int, Row]] = []
        for shard, start in enumerate(starts):
            if start == _EXHAUSTED:
                continue
            given = {"shard": str(shard), "now": now}
            after = rows.task_to_row(start) if isinstance(start, CleanupTask) else None
            page, _ = self._table.query(
                "#due_shard = :shard AND #due_at <= :now",
                given,
                limit=limit + 1,
                start_key=after,
                index=DUE_TASKS_INDEX,
            )
            found += [(row["due_at"], shard, row) for row in page]
        found.sort(key=lambda entry: entry[0])  # stable: within a shard as the index has them
        taken, left = found[:limit], {shard for _, shard, _ in found[limit:]}
        for _, shard, row in taken:
            starts[shard] = rows.task_from_row(row)
        starts = [start if shard in left else _EXHAUSTED for shard, start in enumerate(starts)]
        return Page([rows.task_from_row(row) for _, _, row in taken], _encode_cursor(starts) if left else None)

    def reschedule_task(self, task: CleanupTask, due_at: int) -> None:
        key = rows.task_key(task.kind, task.subject)
        self._table.conditional_write(
            update(key, {"due_at": due_at}, condition="#due_at = :seen", values={"seen": task.due_at})
        )

    def delete_task(self, task: CleanupTask) -> None:
        if task.kind is CleanupTaskKind.UPLOAD:
            raise ValueError("a session is no tomb")
        self._table.conditional_write(delete(rows.task_key(task.kind, task.subject)))

    def delete_upload_rows(self, upload_id: str, *, deadline: int) -> bool:
        """A query for each of four partitions and for each hundred rows, and a batch for every 25."""
        stripes = {"pk": rows.upload_pk(upload_id), "stripes": rows.SHARD_PREFIX}
        partitions: list[tuple[str, dict[str, str]]] = [("#pk = :pk AND begins_with(#sk, :stripes)", stripes)]
        partitions += [("#pk = :pk", {"pk": pk}) for pk in rows.chunk_digest_pks(upload_id)]
        for when, given in partitions:
            start: Row | None = None
            while True:
                if self._clock() >= deadline:
                    return False
                found, start = self._table.query(when, given, limit=DELETE_BATCH, start_key=start)
                self._table.batch_delete((row["pk"], row["sk"]) for row in found)
                if start is None:
                    break
        return True

    def mark_purged(self, upload_id: str, *, staged_chunks_due_at: int, ttl_epoch_seconds: int) -> None:
        given = {"cancelled": UploadState.CANCELLED.value, "expired": UploadState.EXPIRED.value}
        changes = {"purged": True, "event_pending": None, "ttl": ttl_epoch_seconds, **rows.UNSCHEDULED}
        self._table.transact_write(
            [
                writes.record_transition(upload_id, changes, "#state IN (:cancelled, :expired)", given),
                put(rows.task_to_row(CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, staged_chunks_due_at))),
            ]
        )

    def get_deleted_file(self, upload_id: str) -> DeletedFile | None:
        row = self._table.get(rows.deleted_file_key(upload_id))
        return rows.deleted_file_from_row(row) if row else None

    # What S3 has, and who knows it

    def get_upload_records(self, upload_ids: Iterable[str]) -> Mapping[str, UploadRecord]:
        found = self._table.batch_get(map(rows.record_key, upload_ids))
        return {session.upload_id: session for session in map(rows.record_from_row, found)}

    def get_object_owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        found = self._table.batch_get(rows.task_key(CleanupTaskKind.OBJECT, upload_id) for upload_id in upload_ids)
        known = map(rows.owner_from_row, found)
        return {upload_id: None if name is None else (ns, name) for upload_id, ns, name in known}

    def schedule_object(self, upload_id: str, owner: tuple[str, str] | None, *, due_at: int) -> None:
        self._table.conditional_write(put(rows.object_to_row(upload_id, owner, due_at), "attribute_not_exists(#pk)"))

    def unschedule_task(self, task: CleanupTask) -> None:
        key = rows.task_key(CleanupTaskKind.OBJECT, task.subject)
        self._table.conditional_write(
            update(key, rows.UNSCHEDULED, condition="#due_at = :seen", values={"seen": task.due_at})
        )

    def get_orphan_scan(self) -> OrphanScan | None:
        row = self._table.get(rows.ORPHAN_SCAN_KEY)
        return rows.orphan_scan_from_row(row) if row else None

    def save_orphan_scan(self, scan: OrphanScan) -> None:
        row = rows.orphan_scan_to_row(scan)
        if scan.version == 1:
            self._table.conditional_write(put(row, "attribute_not_exists(#pk)"))
        else:
            self._table.conditional_write(put(row, "#version = :seen", {"seen": scan.version - 1}))


def _encode_cursor(starts: Iterable[CleanupTask | str]) -> str:
    """Where each shard goes on: after an entry, at its beginning, or nowhere."""
    at: list[str | int] = []
    for start in starts:
        at += [start.due_at, start.kind.value, start.subject] if isinstance(start, CleanupTask) else [0, start, ""]
    return cursors.encode(_CURSOR_KIND, at)


def _decode_cursor(cursor: str | None, now: int) -> list[CleanupTask | str]:
    if cursor is None:
        return [""] * rows.DUE_SHARDS
    at = cursors.decode(cursor, _CURSOR_KIND, "nss" * rows.DUE_SHARDS)
    return [_decode_start(shard, at[3 * shard : 3 * shard + 3], now) for shard in range(rows.DUE_SHARDS)]


def _decode_start(due_shard: int, position: list[str | int], now: int) -> CleanupTask | str:
    due, kind, subject = int(position[0]), str(position[1]), str(position[2])
    if (due, subject) == (0, "") and kind in ("", _EXHAUSTED):
        return kind
    if due > now or kind not in list(CleanupTaskKind) or not subject or rows.due_shard_for(subject) != str(due_shard):
        raise cursors.invalid_cursor()
    return CleanupTask(CleanupTaskKind(kind), subject, due)
