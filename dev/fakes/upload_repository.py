"""The ledger in memory: every condition and every effect of `ferry.ports.Ledger`, each method one atomic step."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dev.fakes.listings import match_lost_chunks, name_from_cursor, names_after, require_epoch_seconds
from dev.fakes.metadata_rows import NameKey, Rows
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.quotas import add_usage, quota_identity
from ferry.aws import cursors
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import DeletedFile, File
from ferry.model.objects import StoredObject
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Page


class MemoryUploadRepository:
    """An `UploadRepository` over a `MemoryTable`, whose rows tests may read and change."""

    def __init__(self, table: MemoryTable | None = None) -> None:
        self.table = table or MemoryTable()
        self.snapshot = self.table.snapshot
        self.restore = self.table.restore
        self._lock = self.table.lock

    @property
    def rows(self) -> Rows:
        return self.table.rows

    @property
    def was_restored(self) -> bool:
        return self.table.was_restored

    # Reads

    def get_file(self, ns: str, name: str) -> File | None:
        with self._lock:
            return self.rows.files.get((ns, name))

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None:
        with self._lock:
            return self.rows.current_uploads.get((ns, name))

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        with self._lock:
            return self.get_file(ns, name), self.get_current_upload(ns, name), self.rows.quotas.get(ns)

    def get_upload(self, upload_id: str) -> Upload | None:
        with self._lock:
            session = self.rows.records.get(upload_id)
            if session is None:
                return None
            stripes = self.rows.shards.get(upload_id, {})
            return Upload(session, tuple(stripes[number] for number in sorted(stripes)))

    def list_files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        listing = ("files", ns, prefix)
        after = name_from_cursor(cursor, listing, prefix)
        with self._lock:
            names = names_after(self.rows.files, ns, after)
            found = [self.rows.files[ns, name] for name in names if name.startswith(prefix)]
        more = cursors.encode(listing, [found[limit - 1].name]) if len(found) > limit else None
        return Page(found[:limit], more)

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        listing = ("open_uploads", ns)
        after = name_from_cursor(cursor, listing)
        with self._lock:
            names = names_after(self.rows.current_uploads, ns, after)
            page = [self.rows.current_uploads[ns, name] for name in names[:limit]]
        more = cursors.encode(listing, [page[-1].name]) if len(names) > limit else None
        return Page([slot for slot in page if slot.in_progress], more)

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        return cursors.encode(("open_uploads", current_upload.ns), [current_upload.name])

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]:
        with self._lock:
            return dict(self.rows.chunk_digests.get(upload_id, {}).get(part_number, {}))

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        with self._lock:
            return copy.deepcopy(self.rows.chunk_digests.get(upload_id, {}))

    # The life of an upload

    def create_upload(
        self, record: UploadRecord, *, expected: CurrentUpload | None, due_at: int, quota: Quota | None = None
    ) -> None:
        name = (record.ns, record.name)
        with self._lock:
            found = self.rows.current_uploads.get(name)
            _require(record.upload_id not in self.rows.records)
            _require(found is None if expected is None else _is_unchanged(found, expected) and not expected.in_progress)
            if record.counted_in_quota and quota is not None:
                used, size = self.rows.quotas[record.ns], record.layout.size
                _require(quota.max_bytes is None or used.used_bytes + size <= quota.max_bytes)
                _require(quota.max_uploads is None or used.open_uploads < quota.max_uploads)
                add_usage(self.rows, record.ns, size, 1)
            self.rows.records[record.upload_id] = record
            self.rows.shards[record.upload_id] = {
                number: ProgressShard(number, open=True, last_activity_at=record.created_at)
                for number in range(record.layout.shard_count)
            }
            self.rows.current_uploads[name] = CurrentUpload(*name, record.upload_id, in_progress=True)
            self.rows.ttls.pop(name, None)
            self.rows.task_due_times[CleanupTaskKind.UPLOAD, record.upload_id] = due_at

    def mark_open(self, upload_id: str, multipart_id: str | None, *, due_at: int, event_pending: bool = False) -> None:
        with self._lock:
            self._require_record(upload_id, UploadState.CREATING)
            self._update_record(
                upload_id, due_at=due_at, state=UploadState.OPEN, multipart_id=multipart_id, event_pending=event_pending
            )

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        with self._lock:
            claims = self.rows.chunk_digests.setdefault(upload_id, {}).setdefault(part_number, {})
            claims.setdefault(chunk_index, chunk_digest)
            return dict(claims)

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
        with self._lock:
            row = self.rows.shards.get(upload_id, {}).get(expected.index)
            epochs = (expected.epoch,) if expected.needs_compaction else (expected.epoch, expected.epoch + 1)
            if (
                row is None
                or not row.open
                or row.epoch not in epochs
                or (require_no_presigned and row.has_presigned_parts)
            ):
                raise ConcurrentUpdate(row)
            if bit in row.recent_bits or bit in row.previous_bits:
                raise ConcurrentUpdate(row)
            fold: dict[str, Any] = {}
            if expected.needs_compaction:
                fold = {
                    "bits": expected.compacted_bits,
                    "previous_bits": row.recent_bits,
                    "recent_bits": frozenset(),
                    "epoch": row.epoch + 1,
                }
            row = replace(row, **fold)
            return self._update_shard(
                upload_id,
                row,
                recent_bits=row.recent_bits | {bit},
                received_bytes=row.received_bytes + length_bytes,
                version=row.version + 1,
                last_activity_at=now,
            )

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        upload_id = upload.record.upload_id
        with self._lock:
            for row in [self._require_open_shard(upload_id, seen.index) for seen in upload.shards]:
                self._update_shard(
                    upload_id, row, has_presigned_parts=True, last_activity_at=now, version=row.version + 1
                )

    def record_activity(self, upload_id: str, *, now: int) -> None:
        with self._lock:
            row = self._require_open_shard(upload_id, 0)
            self._update_shard(upload_id, row, last_activity_at=now, version=row.version + 1)

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
        upload_id = upload.record.upload_id
        with self._lock:
            session = self._require_record(upload_id, UploadState.OPEN, UploadState.COMPLETING)
            _require(session.version == upload.record.version)
            handed_on = previous_lease_id is not None and session.lease_id == previous_lease_id
            _require(session.state is UploadState.OPEN or session.lease_expires_at < now or handed_on)
            _require([row.version for row in self._require_shards(upload)] == [seen.version for seen in upload.shards])
            self._close_shards(upload)
            self._update_record(
                upload_id,
                due_at=expires_at,
                state=UploadState.COMPLETING,
                lease_id=lease_id,
                lease_expires_at=expires_at,
                first_leased_at=now if session.first_leased_at is None else session.first_leased_at,
                lease_replace_existing=replace_existing,
                lease_crc32c=crc32c,
            )
            return Upload(self.rows.records[upload_id], tuple(self._require_shards(upload)))

    def release_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        stored_object: StoredObject | None,
        lost_chunks: Iterable[int],
        due_at: int,
    ) -> None:
        upload_id = upload.record.upload_id
        with self._lock:
            session = self._require_lease(upload_id, lease_id)
            if stored_object is None:
                stripes = match_lost_chunks(self._require_shards(upload), upload, lost_chunks)
                _require(all(row.epoch == seen.epoch for row, seen, lost in stripes if lost))
                for row, _, lost in stripes:
                    self._reopen_shard(upload, row, lost)
            self._update_record(
                upload_id,
                due_at=due_at,
                state=UploadState.OPEN,
                lease_id=None,
                lease_expires_at=0,
                lease_replace_existing=False,
                lease_crc32c=None,
                stored_object=stored_object or session.stored_object,
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
        name = (file.ns, file.name)
        with self._lock:
            self._require_lease(record.upload_id, record.lease_id)
            found = self.rows.files.get(name)
            _require((found and quota_identity(found)) == (replaced_file and quota_identity(replaced_file)))
            self._release_name(name, record.upload_id, require_epoch_seconds(ttl_epoch_seconds))
            self.rows.files[name] = file
            freed = replaced_file.size if replaced_file is not None and replaced_file.counted_in_quota else 0
            add_usage(self.rows, record.ns, -freed, -int(record.counted_in_quota))
            self._update_record(
                record.upload_id,
                due_at=publish_deadline,
                event_pending=publish_deadline is not None,
                state=UploadState.COMPLETE,
                file=file,
                replaced_upload_id=replaced_file and replaced_file.upload_id,
                ended_at=file.uploaded_at,
                lease_id=None,
                lease_expires_at=0,
            )
            if publish_deadline is None:
                self.rows.ttls[record.upload_id,] = ttl_epoch_seconds
            self.rows.object_owners[record.upload_id] = name
            self.rows.task_due_times[CleanupTaskKind.STAGED_CHUNKS, record.upload_id] = staged_chunks_due_at
            if replaced_file is not None:
                self.rows.object_owners[replaced_file.upload_id] = name
                self.rows.task_due_times[CleanupTaskKind.OBJECT, replaced_file.upload_id] = object_due_at

    def terminate(
        self, upload: Upload, state: UploadState, *, now: int, ttl_epoch_seconds: int, lease_id: str | None = None
    ) -> None:
        upload_id = upload.record.upload_id
        with self._lock:
            if lease_id is None:
                _require(upload.record.state in (UploadState.CREATING, UploadState.OPEN))
                session = self._require_record(upload_id, upload.record.state)
                _require(session.counted_in_quota == upload.record.counted_in_quota)
            else:
                session = self._require_lease(upload_id, lease_id)
            if state is UploadState.EXPIRED:
                _require(
                    [row.last_activity_at for row in self._require_shards(upload)]
                    == [seen.last_activity_at for seen in upload.shards]
                )
            self._require_shards(upload)
            self._release_name((session.ns, session.name), upload_id, require_epoch_seconds(ttl_epoch_seconds))
            self._close_shards(upload)
            if session.counted_in_quota:
                add_usage(self.rows, session.ns, -session.layout.size, -1)
            self._update_record(upload_id, due_at=now, state=state, ended_at=now, lease_id=None, lease_expires_at=0)

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        with self._lock:
            found = self._require_record(record.upload_id, record.state)
            self._update_record(record.upload_id, due_at=due_at, event_pending=False, version=found.version)
            if ttl_epoch_seconds is not None:
                self.rows.ttls[record.upload_id,] = require_epoch_seconds(ttl_epoch_seconds)

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        with self._lock:
            found = self.rows.files.get((file.ns, file.name))
            _require(found is not None and quota_identity(found) == quota_identity(file))
            add_usage(self.rows, file.ns, -file.size if file.counted_in_quota else 0, 0)
            del self.rows.files[file.ns, file.name]
            self.rows.object_owners[file.upload_id] = (file.ns, file.name)
            self.rows.task_due_times[CleanupTaskKind.OBJECT, file.upload_id] = object_due_at
            if publish_deadline is not None:
                self.rows.task_due_times[CleanupTaskKind.DELETION_EVENT, file.upload_id] = publish_deadline
                self.rows.deleted_files[file.upload_id] = DeletedFile(file, now)

    # Within the lock

    def _require_record(self, upload_id: str, *states: UploadState) -> UploadRecord:
        session = self.rows.records.get(upload_id)
        if session is None or session.state not in states:
            raise ConcurrentUpdate
        return session

    def _require_lease(self, upload_id: str, lease_id: str | None) -> UploadRecord:
        session = self._require_record(upload_id, UploadState.COMPLETING)
        _require(session.lease_id == lease_id)
        return session

    def _update_record(self, upload_id: str, **changes: Any) -> None:
        """Change the session; `due_at=None` takes it off the index, no `due` leaves it as it is."""
        if "due_at" in changes:
            due = changes.pop("due_at")
            if due is None:
                self.rows.task_due_times.pop((CleanupTaskKind.UPLOAD, upload_id), None)
            else:
                self.rows.task_due_times[CleanupTaskKind.UPLOAD, upload_id] = due
        session = self.rows.records[upload_id]
        self.rows.records[upload_id] = replace(session, **{"version": session.version + 1} | changes)

    def _update_shard(self, upload_id: str, row: ProgressShard, **changes: Any) -> ProgressShard:
        changed = self.rows.shards[upload_id][row.index] = replace(row, **changes)
        return changed

    def _require_open_shard(self, upload_id: str, shard_index: int) -> ProgressShard:
        row = self.rows.shards.get(upload_id, {}).get(shard_index)
        if row is None or not row.open:
            raise ConcurrentUpdate
        return row

    def _require_shards(self, upload: Upload) -> list[ProgressShard]:
        rows = self.rows.shards.get(upload.record.upload_id, {})
        _require(all(seen.index in rows for seen in upload.shards))
        return [rows[seen.index] for seen in upload.shards]

    def _close_shards(self, upload: Upload) -> None:
        for row in self._require_shards(upload):
            self._update_shard(upload.record.upload_id, row, open=False, epoch=row.epoch + 2)

    def _reopen_shard(self, upload: Upload, row: ProgressShard, lost: list[int]) -> None:
        changes: dict[str, Any] = {"open": True, "epoch": row.epoch + 2, "version": row.version + 1}
        grid = upload.record.layout
        if lost:
            bits = row.all_bits
            for index in lost:
                bits &= ~(1 << grid.bit_for_chunk(index))
            changes |= {
                "bits": bits,
                "recent_bits": frozenset(),
                "previous_bits": frozenset(),
                "received_bytes": row.received_bytes - sum(grid.chunk_length(index) for index in lost),
            }
        self._update_shard(upload.record.upload_id, row, **changes)

    def _release_name(self, name: NameKey, upload_id: str, ttl_epoch_seconds: int) -> None:
        slot = self.rows.current_uploads.get(name)
        if slot is None or slot.upload_id != upload_id:
            raise ConcurrentUpdate
        self.rows.current_uploads[name] = replace(slot, in_progress=False)
        self.rows.ttls[name] = ttl_epoch_seconds


def _require(condition: bool) -> None:
    if not condition:
        raise ConcurrentUpdate


def _is_unchanged(found: CurrentUpload | None, expected: CurrentUpload) -> bool:
    return found is not None and found.upload_id == expected.upload_id and found.in_progress == expected.in_progress
