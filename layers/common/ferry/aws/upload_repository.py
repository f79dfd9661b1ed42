"""`UploadRepository` in DynamoDB: the rows, conditions and transactions of docs/decisions/0001.

`metadata_rows` defines the rows and their keys. `metadata_writes` has the writes that several transactions contain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ferry.aws import chunk_digests, cursors, file_rows, metadata_listings
from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, Write, put, update
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import File, IfExists
from ferry.model.progress import ProgressShard
from ferry.model.uploads import ChunkDigest, CurrentUpload, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.model.objects import StoredObject
    from ferry.model.quotas import Quota
    from ferry.model.starts import RenamedStart
    from ferry.ports.types import Clock, Page


class DynamoUploadRepository:
    """`UploadRepository` over the metadata table.

    Each method makes one call; the port names the exceptions.

    botocore may repeat a write whose response was lost. The repetition then fails its condition. So after a
    `ConcurrentUpdate` the caller reads again: the change may already be stored. DynamoDB recognizes a repeated
    transaction by its token.
    """

    def __init__(self, table: Table, clock: Clock = wall_clock) -> None:
        self._table = table
        self._clock = clock

    # Names

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None:
        row = self._table.get(rows.current_upload_key(ns, name))
        return rows.current_upload_from_row(row) if row else None

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        keys = [rows.file_key(ns, name), rows.current_upload_key(ns, name), rows.quota_key(ns)]
        return _name_from_rows(*self._table.transact_get(keys))

    def get_renamed_start(
        self, ns: str, name: str, start_id: str
    ) -> tuple[File | None, CurrentUpload | None, Quota | None, RenamedStart | None]:
        name_keys = [rows.file_key(ns, name), rows.current_upload_key(ns, name), rows.quota_key(ns)]
        *name_rows, start_row = self._table.transact_get([*name_keys, file_rows.renamed_start_key(start_id)])
        return *_name_from_rows(*name_rows), file_rows.renamed_start_from_row(start_row) if start_row else None

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        return metadata_listings.list_open_uploads(self._table, ns, cursor, limit)

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        return metadata_listings.cursor_after(current_upload)

    # Uploads

    def get_upload(self, upload_id: str) -> Upload | None:
        if len(upload_id.encode()) > cursors.MAX_KEY_TEXT_BYTES:
            return None
        return rows.upload_from_rows(self._table.query_all("#pk = :pk", {"pk": rows.upload_pk(upload_id)}))

    def create_upload(
        self,
        record: UploadRecord,
        *,
        expected: CurrentUpload | None,
        due_at: int,
        quota: Quota | None = None,
        renamed_start: RenamedStart | None = None,
        expected_start: RenamedStart | None = None,
    ) -> None:
        if expected is not None and expected.in_progress:
            raise ConcurrentUpdate
        current_upload = CurrentUpload(record.ns, record.name, record.upload_id, in_progress=True)
        current_upload_row = rows.current_upload_to_row(current_upload)
        shards = [
            ProgressShard(index, open=True, last_activity_at=record.created_at)
            for index in range(record.layout.shard_count)
        ]
        ttl_epoch_seconds = record.created_at // SECOND_MS + chunk_digests.ROW_TTL_SECONDS
        start_writes = (
            [writes.put_renamed_start(renamed_start, expected_start, ttl_epoch_seconds)] if renamed_start else []
        )
        self._table.transact_write(
            [
                put(rows.record_to_row(record, due_at), "attribute_not_exists(#pk)"),
                put(current_upload_row, "attribute_not_exists(#pk)")
                if expected is None
                else put(
                    current_upload_row,
                    "#upload_id = :expected AND attribute_not_exists(#in_progress)",
                    {"expected": expected.upload_id},
                ),
                *([writes.reserve_quota(record, quota)] if record.counted_in_quota and quota else []),
                *start_writes,
                *(put(rows.shard_to_row(record.upload_id, shard, ttl_epoch_seconds)) for shard in shards),
            ]
        )

    def mark_open(
        self, upload_id: str, multipart_id: str | None, *, now: int, due_at: int, event_pending: bool = False
    ) -> None:
        changes = {"state": UploadState.OPEN.value, "multipart_id": multipart_id, "opened_at": now, "due_at": due_at}
        changes["event_pending"] = event_pending or None
        self._table.conditional_write(
            writes.record_transition(upload_id, changes, "#state = :creating", {"creating": UploadState.CREATING.value})
        )

    def terminate(
        self,
        upload: Upload,
        state: UploadState,
        *,
        now: int,
        ttl_epoch_seconds: int,
        lease_id: str | None = None,
        had_received: bool | None = None,
    ) -> None:
        record = upload.record
        changes = {
            "state": state.value,
            "ended_at": now,
            "lease_id": None,
            "lease_expires_at": 0,
            "was_restarted": had_received or None,
            **rows.schedule_attributes(record.upload_id, now),
        }
        if lease_id is not None:
            transition = writes.transition_under_lease(record.upload_id, lease_id, changes)
        elif record.state in (UploadState.CREATING, UploadState.OPEN):
            condition = f"#state = :state AND {writes.counted_unchanged(counted_in_quota=record.counted_in_quota)}"
            values: dict[str, Any] = {"state": record.state.value}
            if record.sequential is not None:
                # It has no shards. Its activity, too, is in the record, so the version says whether it is as read.
                condition, values = f"{condition} AND #version = :read", {**values, "read": record.version}
            transition = writes.record_transition(record.upload_id, changes, condition, values)
        else:
            raise ConcurrentUpdate
        self._table.transact_write(
            [
                transition,
                *writes.release_name(record, ttl_epoch_seconds),
                *writes.close_shards(upload, unchanged_attribute=_unchanged_attribute(state, had_received)),
                *writes.release_usage(record),
            ]
        )

    def change_options(self, upload: Upload, *, if_exists: IfExists, requires_checksum: bool) -> Upload:
        record = upload.record
        changes = {"if_exists": if_exists.value, "requires_checksum": requires_checksum or None}
        self._table.conditional_write(
            writes.record_transition(record.upload_id, changes, "#version = :read", {"read": record.version})
        )
        return upload.with_options(if_exists=if_exists, requires_checksum=requires_checksum)

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        changes = {
            "event_pending": None,
            "ttl": ttl_epoch_seconds,
            **(rows.UNSCHEDULED if due_at is None else {"due_at": due_at}),
        }
        self._table.conditional_write(
            update(
                rows.record_key(record.upload_id),
                changes,
                condition="#state = :state",
                values={"state": record.state.value},
            )
        )

    # Chunks and parts

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]:
        row = self._table.get(rows.chunk_digest_key(upload_id, part_number))
        return chunk_digests.digests_from_row(row) if row else {}

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        """Return all digests. Three queries; one more for each further MB of rows."""
        return {
            int(row["sk"]): chunk_digests.digests_from_row(row)
            for pk in rows.chunk_digest_pks(upload_id)
            for row in self._table.query_all("#pk = :pk", {"pk": pk})
        }

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        write = chunk_digests.put_digest(upload_id, part_number, chunk_index, chunk_digest)
        try:
            return chunk_digests.digests_from_row(self._table.write(write))
        except ConditionFailed as failed:
            return chunk_digests.digests_from_row(failed.row or {})

    def replace_chunk_digest(
        self, upload: Upload, chunk_index: int, *, expected: ChunkDigest, chunk_digest: ChunkDigest, now: int
    ) -> None:
        upload_id, layout = upload.record.upload_id, upload.record.layout
        part_number, bit = layout.part_for_chunk(chunk_index), layout.bit_for_chunk(chunk_index)
        self._table.transact_write(
            [
                chunk_digests.replace_digest(upload_id, part_number, chunk_index, expected, chunk_digest),
                chunk_digests.fence_shard(upload_id, upload.shard_for_chunk(chunk_index), bit, now),
            ]
        )

    def record_chunk(
        self,
        upload_id: str,
        expected: ProgressShard,
        bit: int,
        length_bytes: int,
        *,
        require_no_presigned: bool,
        now: int,
    ) -> ProgressShard:
        write = writes.record_chunk(
            upload_id, expected, bit, length_bytes, require_no_presigned=require_no_presigned, now=now
        )
        try:
            return rows.shard_from_row(self._table.write(write))
        except ConditionFailed as failed:
            raise ConcurrentUpdate(rows.shard_from_row(failed.row) if failed.row else None) from failed

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        self._table.transact_write(
            writes.touch_shard(upload.record.upload_id, shard, now, has_presigned_parts=True) for shard in upload.shards
        )

    def mark_parts_presigned(self, upload_id: str, part_numbers: Iterable[int], *, now: int) -> None:
        marks = [chunk_digests.mark_presigned(upload_id, number, now) for number in part_numbers]
        if len(marks) == 1:  # A transaction would cost twice the write units.
            self._table.write(marks[0])
        else:
            self._table.transact_write(marks)

    def record_activity(self, upload: Upload, *, now: int) -> Upload:
        try:
            row = self._table.write(writes.touch_shard(upload.record.upload_id, upload.shards[0], now))
        except ConditionFailed as failed:
            raise ConcurrentUpdate from failed
        return upload.with_shard(rows.shard_from_row(row))

    # Completion

    def acquire_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        expires_at: int,
        now: int,
        if_exists: IfExists,
        crc32c: int | None,
        if_match: str | None = None,
        previous_lease_id: str | None = None,
    ) -> Upload:
        takes_over_expired = upload.record.state is UploadState.COMPLETING and previous_lease_id is None
        transition = _lease_transition(
            upload.record,
            writes.lease_fields(lease_id, expires_at, if_exists, crc32c, if_match),
            now=now,
            previous_lease_id=previous_lease_id,
            takes_over_expired=takes_over_expired,
        )
        self._table.transact_write([transition, *writes.close_shards(upload, unchanged_attribute="version", now=now)])
        # The conditions compare versions, so nothing else has changed since the read. No second read is needed.
        return upload.with_lease(
            lease_id=lease_id,
            expires_at=expires_at,
            now=now,
            if_exists=if_exists,
            crc32c=crc32c,
            if_match=if_match,
            takes_over_expired=takes_over_expired,
        )

    def release_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        stored_object: StoredObject | None,
        lost_chunks: Iterable[int],
        due_at: int,
    ) -> None:
        changes: dict[str, Any] = {
            "state": UploadState.OPEN.value,
            "lease_id": None,
            "lease_expires_at": 0,
            "lease_if_exists": IfExists.FAIL.value,
            "lease_if_match": None,
            "lease_crc32c": None,
            "due_at": due_at,
        }
        if stored_object is not None:
            changes["stored_object"] = rows.stored_object_attributes(stored_object)
        transition = writes.transition_under_lease(upload.record.upload_id, lease_id, changes)
        shard_writes = writes.reopen_shards(upload, lost_chunks) if stored_object is None else ()
        self._table.transact_write([transition, *shard_writes])

    def commit_file(
        self,
        record: UploadRecord,
        file: File,
        *,
        replaced_file: File | None,
        staged_chunks_due_at: int,
        object_due_at: int,
        ttl_epoch_seconds: int,
        publish_deadline: int | None = None,
    ) -> None:
        upload_id, owner = record.upload_id, (file.ns, file.name)
        changes = {
            "state": UploadState.COMPLETE.value,
            "file": rows.record_file_attributes(record, file),
            "replaced_upload_id": replaced_file and replaced_file.upload_id,
            "ended_at": file.uploaded_at,
            "lease_id": None,
            "lease_expires_at": 0,
            **writes.pending_event_fields(upload_id, publish_deadline, ttl_epoch_seconds),
        }
        staged_chunks_task = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, staged_chunks_due_at)
        transaction = [
            writes.put_name(file, replaced_file),
            writes.transition_under_lease(upload_id, record.lease_id or "", changes),
            *writes.release_name(record, ttl_epoch_seconds),
            put(rows.object_to_row(upload_id, owner, due_at=None)),
            put(rows.task_to_row(staged_chunks_task)),
            *writes.convert_usage(record, replaced_file),
        ]
        if replaced_file is not None:
            transaction += writes.take_file_away(
                replaced_file, deleted_at=file.uploaded_at, object_due_at=object_due_at
            )
        self._table.transact_write(transaction)


def _lease_transition(
    record: UploadRecord,
    lease: Mapping[str, Any],
    *,
    now: int,
    previous_lease_id: str | None,
    takes_over_expired: bool,
) -> Write:
    """Return the write that sets `lease_fields`, if the record is as it was read and its lease is free."""
    values: dict[str, Any] = {
        "version": record.version,
        "open": UploadState.OPEN.value,
        "completing": UploadState.COMPLETING.value,
        "now": now,
    }
    lease_is_free = "#lease_expires_at < :now"
    if previous_lease_id is not None:
        lease_is_free = f"({lease_is_free} OR #lease_id = :previous)"
        values["previous"] = previous_lease_id
    condition = f"#version = :version AND (#state = :open OR (#state = :completing AND {lease_is_free}))"
    if not takes_over_expired:
        return writes.record_transition(record.upload_id, {**lease, "first_leased_at": now}, condition, values)
    keep_first = "#first_leased_at = if_not_exists(#first_leased_at, :now)"
    return writes.record_transition(record.upload_id, lease, condition, values, extra_sets=[keep_first])


def _unchanged_attribute(state: UploadState, had_received: bool | None) -> Literal["", "last_activity_at", "version"]:
    """Return the attribute of every shard that must be as it was read when an upload ends."""
    if state is UploadState.EXPIRED:
        return "last_activity_at"  # An upload with new activity must not expire. It can still be cancelled.
    return "version" if had_received is False else ""


def _name_from_rows(
    file_row: Row | None, current_upload_row: Row | None, quota_row: Row | None
) -> tuple[File | None, CurrentUpload | None, Quota | None]:
    return (
        rows.file_from_row(file_row) if file_row else None,
        rows.current_upload_from_row(current_upload_row) if current_upload_row else None,
        rows.quota_from_row(quota_row) if quota_row else None,
    )
