"""`UploadRepository` in memory, with every condition and every effect of the port. Each method is one atomic step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dev.fakes.listings import match_lost_chunks, require_epoch_seconds
from dev.fakes.objects_of_files import take_file_away
from dev.fakes.open_uploads import open_uploads, position_from_cursor, position_of
from dev.fakes.quotas import add_usage, file_identity
from dev.fakes.upload_rows import MemoryUploadRows, require
from ferry.aws import cursors
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import File, IfExists
from ferry.model.objects import StoredObject
from ferry.model.progress import ProgressShard
from ferry.model.quotas import Quota
from ferry.model.starts import RenamedStart
from ferry.model.uploads import ChunkDigest, CurrentUpload, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Page


class MemoryUploadRepository(MemoryUploadRows):
    """An `UploadRepository` over a `MemoryTable`."""

    # Reads

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None:
        with self._lock:
            return self.rows.current_uploads.get((ns, name))

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        with self._lock:
            return self.rows.files.get((ns, name)), self.get_current_upload(ns, name), self.rows.quotas.get(ns)

    def get_renamed_start(
        self, ns: str, name: str, start_id: str
    ) -> tuple[File | None, CurrentUpload | None, Quota | None, RenamedStart | None]:
        with self._lock:
            upload_id = self.rows.renamed_starts.get(start_id)
            return *self.get_name(ns, name), None if upload_id is None else RenamedStart(start_id, upload_id)

    def get_upload(self, upload_id: str) -> Upload | None:
        with self._lock:
            record = self.rows.records.get(upload_id)
            if record is None:
                return None
            shards = self.rows.shards.get(upload_id, {})
            return Upload(record, tuple(shards[index] for index in sorted(shards)))

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        position = position_from_cursor(cursor, ns)
        with self._lock:
            found = [upload for upload in open_uploads(self.rows, ns) if position_of(upload) > position]
        next_cursor = self.cursor_after(found[limit - 1]) if len(found) > limit else None
        return Page(found[:limit], next_cursor)

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        return cursors.encode(("open_uploads", current_upload.ns), position_of(current_upload))

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]:
        with self._lock:
            return self._part_digests(upload_id, part_number)

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        with self._lock:
            part_numbers = self.rows.chunk_digests.get(upload_id, {})
            return {number: self._part_digests(upload_id, number) for number in part_numbers}

    # Uploads

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
        name = (record.ns, record.name)
        with self._lock:
            require(record.upload_id not in self.rows.records)
            require(self.rows.current_uploads.get(name) == expected)
            require(expected is None or not expected.in_progress)
            if renamed_start is not None:
                stored_start = self.rows.renamed_starts.get(renamed_start.start_id)
                require(stored_start == (expected_start and expected_start.upload_id))
            if record.counted_in_quota and quota is not None:
                usage, size = self.rows.quotas[record.ns], record.layout.size
                require(quota.max_bytes is None or usage.used_bytes + size <= quota.max_bytes)
                require(quota.max_uploads is None or usage.open_uploads < quota.max_uploads)
                add_usage(self.rows, record.ns, size, 1)
            if renamed_start is not None:
                self.rows.renamed_starts[renamed_start.start_id] = renamed_start.upload_id
            self.rows.records[record.upload_id] = record
            self.rows.shards[record.upload_id] = {
                index: ProgressShard(index, open=True, last_activity_at=record.created_at)
                for index in range(record.layout.shard_count)
            }
            self.rows.current_uploads[name] = CurrentUpload(*name, record.upload_id, in_progress=True)
            self.rows.ttls.pop(name, None)
            self.rows.task_due_times[CleanupTaskKind.UPLOAD, record.upload_id] = due_at

    def mark_open(
        self, upload_id: str, multipart_id: str | None, *, now: int, due_at: int, event_pending: bool = False
    ) -> None:
        with self._lock:
            self._require_record(upload_id, UploadState.CREATING)
            self._update_record(
                upload_id,
                due_at=due_at,
                state=UploadState.OPEN,
                multipart_id=multipart_id,
                opened_at=now,
                event_pending=event_pending,
            )

    def change_options(self, upload: Upload, *, if_exists: IfExists, requires_checksum: bool) -> Upload:
        upload_id = upload.record.upload_id
        with self._lock:
            require(self.rows.records[upload_id].version == upload.record.version)
            self._update_record(upload_id, if_exists=if_exists, requires_checksum=requires_checksum)
            return replace(upload, record=self.rows.records[upload_id])

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        with self._lock:
            digests = self.rows.chunk_digests.setdefault(upload_id, {}).setdefault(part_number, {})
            digests.setdefault(chunk_index, chunk_digest)
            return self._part_digests(upload_id, part_number)

    def replace_chunk_digest(
        self, upload: Upload, chunk_index: int, *, expected: ChunkDigest, chunk_digest: ChunkDigest, now: int
    ) -> None:
        upload_id, read = upload.record.upload_id, upload.shard_for_chunk(chunk_index)
        layout = upload.record.layout
        part_number, bit = layout.part_for_chunk(chunk_index), layout.bit_for_chunk(chunk_index)
        with self._lock:
            digests = self.rows.chunk_digests.get(upload_id, {}).get(part_number, {})
            stored = digests.get(chunk_index)
            require(stored is not None and stored == expected and stored.stored_at == expected.stored_at)
            shard = self._require_open_shard(upload_id, read.index)
            require(shard.epoch == read.epoch and not shard.has_bit(bit))
            digests[chunk_index] = replace(chunk_digest, replaced=(stored and stored.replaced) or stored)
            self._update_shard(
                upload_id,
                shard,
                has_replaced_digests=True,
                last_activity_at=now,
                epoch=shard.epoch + 2,
                version=shard.version + 1,
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
        with self._lock:
            shard = self.rows.shards.get(upload_id, {}).get(expected.index)
            max_epoch = expected.epoch if expected.needs_compaction else expected.epoch + 1
            if shard is None or not shard.open or not expected.epoch <= shard.epoch <= max_epoch:
                raise ConcurrentUpdate(shard)
            if bit in shard.recent_bits | shard.previous_bits or (require_no_presigned and shard.has_presigned_parts):
                raise ConcurrentUpdate(shard)
            if expected.needs_compaction:
                shard = replace(
                    shard,
                    bits=expected.compacted_bits,
                    previous_bits=shard.recent_bits,
                    recent_bits=frozenset(),
                    epoch=shard.epoch + 1,
                )
            return self._update_shard(
                upload_id,
                shard,
                recent_bits=shard.recent_bits | {bit},
                received_bytes=shard.received_bytes + length_bytes,
                version=shard.version + 1,
                last_activity_at=now,
            )

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        upload_id = upload.record.upload_id
        with self._lock:
            for shard in [self._require_open_shard(upload_id, read.index) for read in upload.shards]:
                self._update_shard(
                    upload_id, shard, has_presigned_parts=True, last_activity_at=now, version=shard.version + 1
                )

    def mark_parts_presigned(self, upload_id: str, part_numbers: Iterable[int], *, now: int) -> None:
        del now
        with self._lock:
            self.rows.presigned_parts.update((upload_id, number) for number in part_numbers)

    def record_activity(self, upload: Upload, *, now: int) -> Upload:
        upload_id, read = upload.record.upload_id, upload.shards[0]
        with self._lock:
            shard = self.rows.shards.get(upload_id, {}).get(0)
            if shard is None or shard.open is not read.open or (not shard.open and shard.epoch != read.epoch):
                raise ConcurrentUpdate
            return upload.with_shard(
                self._update_shard(upload_id, shard, last_activity_at=now, version=shard.version + 1)
            )

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
        upload_id = upload.record.upload_id
        with self._lock:
            record = self._require_record(upload_id, UploadState.OPEN, UploadState.COMPLETING)
            require(record.version == upload.record.version)
            has_previous_lease = previous_lease_id is not None and record.lease_id == previous_lease_id
            require(record.state is UploadState.OPEN or record.lease_expires_at < now or has_previous_lease)
            require([shard.version for shard in self._require_shards(upload)] == [s.version for s in upload.shards])
            self._close_shards(upload, last_activity_at=now)
            takes_over_expired = record.state is UploadState.COMPLETING and previous_lease_id is None
            self._update_record(
                upload_id,
                due_at=expires_at,
                state=UploadState.COMPLETING,
                lease_id=lease_id,
                lease_expires_at=expires_at,
                first_leased_at=(record.first_leased_at if takes_over_expired else None) or now,
                lease_if_exists=if_exists,
                lease_if_match=if_match,
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
            record = self._require_lease(upload_id, lease_id)
            if stored_object is None:
                shards = match_lost_chunks(self._require_shards(upload), upload, lost_chunks)
                require(all(stored.epoch == read.epoch for stored, read, lost in shards if lost))
                for stored, _, lost in shards:
                    self._reopen_shard(upload, stored, lost)
            self._update_record(
                upload_id,
                due_at=due_at,
                state=UploadState.OPEN,
                lease_id=None,
                lease_expires_at=0,
                lease_if_exists=IfExists.FAIL,
                lease_if_match=None,
                lease_crc32c=None,
                stored_object=stored_object or record.stored_object,
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
            stored = self.rows.files.get(name)
            require((stored and file_identity(stored)) == (replaced_file and file_identity(replaced_file)))
            self._release_name(record, require_epoch_seconds(ttl_epoch_seconds))
            self.rows.files[name] = file
            freed_bytes = 0 if replaced_file is None else replaced_file.counted_bytes
            add_usage(self.rows, record.ns, -freed_bytes, -int(record.counted_in_quota))
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
                take_file_away(self.rows, replaced_file, deleted_at=file.uploaded_at, object_due_at=object_due_at)

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
        upload_id = upload.record.upload_id
        with self._lock:
            if lease_id is None:
                require(upload.record.state in (UploadState.CREATING, UploadState.OPEN))
                record = self._require_record(upload_id, upload.record.state)
                require(record.counted_in_quota == upload.record.counted_in_quota)
                require(record.sequential is None or record.version == upload.record.version)
            else:
                record = self._require_lease(upload_id, lease_id)
            shards = self._require_shards(upload)
            if state is UploadState.EXPIRED:
                require([shard.last_activity_at for shard in shards] == [s.last_activity_at for s in upload.shards])
            elif had_received is False:
                require([shard.version for shard in shards] == [s.version for s in upload.shards])
            self._release_name(record, require_epoch_seconds(ttl_epoch_seconds))
            self._close_shards(upload)
            if record.counted_in_quota:
                add_usage(self.rows, record.ns, -record.layout.size, -1)
            self._update_record(
                upload_id,
                due_at=now,
                state=state,
                ended_at=now,
                lease_id=None,
                lease_expires_at=0,
                was_restarted=bool(had_received),
            )

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        with self._lock:
            stored = self._require_record(record.upload_id, record.state)
            self._update_record(record.upload_id, due_at=due_at, event_pending=False, version=stored.version)
            if ttl_epoch_seconds is not None:
                self.rows.ttls[record.upload_id,] = require_epoch_seconds(ttl_epoch_seconds)
