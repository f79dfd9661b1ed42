"""The ledger in DynamoDB: the rows, conditions and transactions of docs/decisions/0001."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, delete, put, update
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import DeletedFile, File
from ferry.model.objects import StoredObject
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Clock, Page

ROW_TTL_SECONDS = 30 * 86_400
"""For how long stripes and claims stay if nothing ever erases them: beyond any upload's age. Seconds."""


class DynamoUploadRepository:
    """`ferry.ports.Ledger` over one table. Each method is one call unless it says more.

    botocore repeats a call whose answer was lost. A conditional write that had taken effect then fails its own
    condition and is reported as `Moved`: whoever reads again finds it done. Transactions carry a token instead.
    """

    def __init__(self, table: Table, clock: Clock = wall_clock) -> None:
        self._table = table
        self._clock = clock

    # Reads

    def get_file(self, ns: str, name: str) -> File | None:
        row = self._table.get(rows.file_key(ns, name))
        return rows.file_from_row(row) if row else None

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None:
        row = self._table.get(rows.current_upload_key(ns, name))
        return rows.current_upload_from_row(row) if row else None

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        keys = [rows.file_key(ns, name), rows.current_upload_key(ns, name), rows.quota_key(ns)]
        file, slot, quota = self._table.transact_get(keys)
        return (
            rows.file_from_row(file) if file else None,
            rows.current_upload_from_row(slot) if slot else None,
            rows.quota_from_row(quota) if quota else None,
        )

    def get_upload(self, upload_id: str) -> Upload | None:
        if len(upload_id.encode()) > rows.MAX_KEY_TEXT_BYTES:
            return None
        return rows.upload_from_rows(self._table.query_all("#pk = :pk", {"pk": rows.upload_pk(upload_id)}))

    def list_files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        listing = ("files", ns, prefix)
        after = _name_from_cursor(cursor, listing, prefix)
        if len(prefix.encode()) > rows.MAX_KEY_TEXT_BYTES:
            return Page([])
        found, more = self._query_names(
            ns, rows.FILE_PREFIX + prefix, after and rows.FILE_PREFIX + after, limit=limit + 1
        )
        files = [rows.file_from_row(row) for row in found[:limit]]
        if len(found) > limit or more:
            return Page(files, cursors.encode(listing, [files[-1].name]))
        return Page(files)

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        listing = ("open_uploads", ns)
        after = _name_from_cursor(cursor, listing)
        found, more = self._query_names(
            ns,
            rows.CURRENT_UPLOAD_PREFIX,
            after and rows.CURRENT_UPLOAD_PREFIX + after,
            limit=limit,
            filter_expression="attribute_exists(#in_progress)",
        )
        name = more["sk"].removeprefix(rows.CURRENT_UPLOAD_PREFIX) if more else None
        return Page(
            [rows.current_upload_from_row(row) for row in found], cursors.encode(listing, [name]) if name else None
        )

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        return cursors.encode(("open_uploads", current_upload.ns), [current_upload.name])

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]:
        row = self._table.get(rows.chunk_digest_key(upload_id, part_number))
        return rows.chunk_digests_from_row(row) if row else {}

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        """Three queries, and one more for each further MB."""
        return {
            int(row["sk"]): rows.chunk_digests_from_row(row)
            for pk in rows.chunk_digest_pks(upload_id)
            for row in self._table.query_all("#pk = :pk", {"pk": pk})
        }

    # The life of an upload

    def create_upload(
        self, record: UploadRecord, *, expected: CurrentUpload | None, due_at: int, quota: Quota | None = None
    ) -> None:
        slot = rows.current_upload_to_row(CurrentUpload(record.ns, record.name, record.upload_id, in_progress=True))
        ttl = record.created_at // 1000 + ROW_TTL_SECONDS
        stripes = [
            ProgressShard(number, open=True, last_activity_at=record.created_at)
            for number in range(record.layout.shard_count)
        ]
        if expected is None:
            take = put(slot, "attribute_not_exists(#pk)")
        else:
            if expected.in_progress:
                raise ConcurrentUpdate
            take = put(slot, "#upload_id = :seen AND attribute_not_exists(#in_progress)", {"seen": expected.upload_id})
        self._table.transact_write(
            [
                put(rows.record_to_row(record, due_at), "attribute_not_exists(#pk)"),
                take,
                *([writes.reserve_quota(record, quota)] if record.counted_in_quota and quota else []),
                *(put(rows.shard_to_row(record.upload_id, stripe, ttl)) for stripe in stripes),
            ]
        )

    def mark_open(self, upload_id: str, multipart_id: str | None, *, due_at: int, event_pending: bool = False) -> None:
        changes = {
            "state": UploadState.OPEN.value,
            "multipart_id": multipart_id,
            "due_at": due_at,
            "event_pending": event_pending or None,
        }
        self._table.conditional_write(
            writes.record_transition(upload_id, changes, "#state = :creating", {"creating": UploadState.CREATING.value})
        )

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        name, value = rows.chunk_digest_name(chunk_index), rows.chunk_digest_to_bytes(chunk_digest)
        write = update(
            rows.chunk_digest_key(upload_id, part_number),
            {name: value},
            extra_sets=["#ttl = if_not_exists(#ttl, :ttl)"],
            condition=f"attribute_not_exists(#{name}) OR #{name} = :claim",
            values={"claim": value, "ttl": self._clock() // 1000 + ROW_TTL_SECONDS},
        )
        try:
            return rows.chunk_digests_from_row(self._table.write(write))
        except ConditionFailed as failed:
            return rows.chunk_digests_from_row(failed.row or {})

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
        when = (
            "attribute_exists(#open) AND #epoch BETWEEN :epoch AND :latest "
            "AND NOT contains(#recent_bits, :bit) AND NOT contains(#previous_bits, :bit)"
        )
        changes: dict[str, Any] = {"last_activity_at": now}
        adds: dict[str, Any] = {"received_bytes": length_bytes, "version": 1}
        if expected.needs_compaction:
            changes |= {
                "bits": rows.bits_to_bytes(expected.compacted_bits),
                "epoch": expected.epoch + 1,
                "recent_bits": {bit},
            }
        else:
            adds["recent_bits"] = {bit}
        write = update(
            rows.shard_key(upload_id, expected.index),
            changes,
            adds=adds,
            extra_sets=["#previous_bits = #recent_bits"] if expected.needs_compaction else [],
            condition=when + (" AND attribute_not_exists(#has_presigned_parts)" if require_no_presigned else ""),
            values={"epoch": expected.epoch, "latest": expected.epoch + (not expected.needs_compaction), "bit": bit},
        )
        try:
            return rows.shard_from_row(self._table.write(write))
        except ConditionFailed as failed:
            raise ConcurrentUpdate(rows.shard_from_row(failed.row) if failed.row else None) from failed

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        self._table.transact_write(
            writes.touch_shard(upload.record.upload_id, row.index, now, has_presigned_parts=True)
            for row in upload.shards
        )

    def record_activity(self, upload_id: str, *, now: int) -> None:
        self._table.conditional_write(writes.touch_shard(upload_id, 0, now))

    def acquire_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        expires_at: int,
        now: int,
        replace_existing: bool,
        crc32c: int | None,
        previous_lease_id: str | None = None,
    ) -> Upload:
        changes = {
            "state": UploadState.COMPLETING.value,
            "lease_id": lease_id,
            "lease_expires_at": expires_at,
            "lease_replace_existing": replace_existing,
            "lease_crc32c": crc32c,
            "due_at": expires_at,
        }
        given: dict[str, Any] = {
            "seen": upload.record.version,
            "open": UploadState.OPEN.value,
            "completing": UploadState.COMPLETING.value,
            "now": now,
        }
        free = "#lease_expires_at < :now"
        if previous_lease_id is not None:
            free, given["after"] = f"({free} OR #lease_id = :after)", previous_lease_id
        take = writes.record_transition(
            upload.record.upload_id,
            changes,
            f"#version = :seen AND (#state = :open OR (#state = :completing AND {free}))",
            given,
            extra_sets=["#first_leased_at = if_not_exists(#first_leased_at, :now)"],
        )
        self._table.transact_write([take, *writes.close_shards(upload, unchanged_attribute="version")])
        return upload.with_lease(
            lease_id=lease_id, expires_at=expires_at, now=now, replace_existing=replace_existing, crc32c=crc32c
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
            "due_at": due_at,
            "lease_id": None,
            "lease_crc32c": None,
        }
        changes |= {"lease_expires_at": 0, "lease_replace_existing": False}
        if stored_object is not None:
            changes["stored_object"] = rows.stored_object_attributes(stored_object)
        give_back = writes.transition_under_lease(upload.record.upload_id, lease_id, changes)
        self._table.transact_write(
            [give_back, *(writes.reopen_shards(upload, lost_chunks) if stored_object is None else [])]
        )

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
        upload_id = record.upload_id
        point = (
            put(rows.file_to_row(file), "attribute_not_exists(#pk)")
            if replaced_file is None
            else put(rows.file_to_row(file), *writes.file_unchanged(replaced_file))
        )
        changes = {
            "state": UploadState.COMPLETE.value,
            "file": rows.record_file_attributes(file),
            "replaced_upload_id": replaced_file and replaced_file.upload_id,
            "ended_at": file.uploaded_at,
            "lease_id": None,
            "lease_expires_at": 0,
            **writes.pending_event_fields(upload_id, publish_deadline, ttl_epoch_seconds),
        }
        steps = [
            point,
            writes.transition_under_lease(upload_id, record.lease_id or "", changes),
            writes.release_name(record, ttl_epoch_seconds),
            put(rows.object_to_row(upload_id, (file.ns, file.name), None)),
            put(rows.task_to_row(CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, staged_chunks_due_at))),
            *writes.convert_usage(record, replaced_file),
        ]
        if replaced_file is not None:
            steps.append(
                put(rows.object_to_row(replaced_file.upload_id, (replaced_file.ns, replaced_file.name), object_due_at))
            )
        self._table.transact_write(steps)

    def terminate(
        self, upload: Upload, state: UploadState, *, now: int, ttl_epoch_seconds: int, lease_id: str | None = None
    ) -> None:
        session = upload.record
        changes = {"state": state.value, "ended_at": now, "lease_id": None, "lease_expires_at": 0}
        changes |= rows.schedule_attributes(session.upload_id, now)
        if lease_id is not None:
            close = writes.transition_under_lease(session.upload_id, lease_id, changes)
        elif session.state in (UploadState.CREATING, UploadState.OPEN):
            still = f"#state = :seen AND {writes.counted_unchanged(counted_in_quota=session.counted_in_quota)}"
            close = writes.record_transition(session.upload_id, changes, still, {"seen": session.state.value})
        else:
            raise ConcurrentUpdate
        stripes = writes.close_shards(
            upload, unchanged_attribute="last_activity_at" if state is UploadState.EXPIRED else ""
        )
        self._table.transact_write(
            [close, writes.release_name(session, ttl_epoch_seconds), *stripes, *writes.release_usage(session)]
        )

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        changes: dict[str, Any] = {"event_pending": None, "ttl": ttl_epoch_seconds}
        changes |= rows.UNSCHEDULED if due_at is None else {"due_at": due_at}
        key, given = rows.record_key(record.upload_id), {"seen": record.state.value}
        self._table.conditional_write(update(key, changes, condition="#state = :seen", values=given))

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        steps = [
            delete(rows.file_key(file.ns, file.name), *writes.file_unchanged(file)),
            put(rows.object_to_row(file.upload_id, (file.ns, file.name), object_due_at)),
            *writes.free_usage(file),
        ]
        if publish_deadline is not None:
            steps.append(put(rows.deleted_file_to_row(DeletedFile(file, now), publish_deadline)))
        self._table.transact_write(steps)

    # Within

    def _query_names(
        self, ns: str, prefix: str, after: str | None, *, limit: int, filter_expression: str = ""
    ) -> tuple[list[Row], Row | None]:
        pk = rows.names_pk(ns)
        return self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {"pk": pk, "prefix": prefix},
            limit=limit,
            start_key=None if after is None else {"pk": pk, "sk": after},
            filter_expression=filter_expression,
        )


def _name_from_cursor(cursor: str | None, listing: tuple[str, ...], prefix: str = "") -> str | None:
    if cursor is None:
        return None
    (name,) = cursors.decode(cursor, listing, "s")
    if not name or not str(name).startswith(prefix):
        raise cursors.invalid_cursor()
    return str(name)
