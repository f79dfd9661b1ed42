"""Conditions and changes of upload rows in memory, which the methods of the repository are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.progress import ProgressShard
from ferry.model.uploads import ChunkDigest, Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate


class MemoryUploadRows:
    """The rows of uploads in a `MemoryTable`. Callers of the private methods hold the table's lock."""

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

    def _require_record(self, upload_id: str, *states: UploadState) -> UploadRecord:
        record = self.rows.records.get(upload_id)
        if record is None or record.state not in states:
            raise ConcurrentUpdate
        return record

    def _require_lease(self, upload_id: str, lease_id: str | None) -> UploadRecord:
        record = self._require_record(upload_id, UploadState.COMPLETING)
        require(record.lease_id == lease_id)
        return record

    def _update_record(self, upload_id: str, **changes: Any) -> None:
        """Change the record and increment its version. `due_at`: when it is due; None: no longer; absent: unchanged."""
        if "due_at" in changes:
            due_at = changes.pop("due_at")
            if due_at is None:
                self.rows.task_due_times.pop((CleanupTaskKind.UPLOAD, upload_id), None)
            else:
                self.rows.task_due_times[CleanupTaskKind.UPLOAD, upload_id] = due_at
        record = self.rows.records[upload_id]
        self.rows.records[upload_id] = replace(record, **{"version": record.version + 1} | changes)

    def _update_shard(self, upload_id: str, shard: ProgressShard, **changes: Any) -> ProgressShard:
        changed = self.rows.shards[upload_id][shard.index] = replace(shard, **changes)
        return changed

    def _part_digests(self, upload_id: str, part_number: int) -> dict[int, ChunkDigest]:
        """Return the digests of a part's chunks, by chunk index."""
        is_presigned = (upload_id, part_number) in self.rows.presigned_parts
        digests = self.rows.chunk_digests.get(upload_id, {}).get(part_number, {})
        return {index: replace(digest, is_part_presigned=is_presigned) for index, digest in digests.items()}

    def _require_open_shard(self, upload_id: str, shard_index: int) -> ProgressShard:
        shard = self.rows.shards.get(upload_id, {}).get(shard_index)
        if shard is None or not shard.open:
            raise ConcurrentUpdate
        return shard

    def _require_shards(self, upload: Upload) -> list[ProgressShard]:
        """Return the stored shards of an upload, all of which must exist."""
        stored = self.rows.shards.get(upload.record.upload_id, {})
        require(all(shard.index in stored for shard in upload.shards))
        return [stored[shard.index] for shard in upload.shards]

    def _close_shards(self, upload: Upload, **changes: Any) -> None:
        for shard in self._require_shards(upload):
            self._update_shard(upload.record.upload_id, shard, open=False, epoch=shard.epoch + 2, **changes)

    def _reopen_shard(self, upload: Upload, shard: ProgressShard, lost_chunks: list[int]) -> None:
        changes: dict[str, Any] = {"open": True, "epoch": shard.epoch + 2, "version": shard.version + 1}
        if lost_chunks:
            layout, bits = upload.record.layout, shard.all_bits
            for chunk_index in lost_chunks:
                bits &= ~(1 << layout.bit_for_chunk(chunk_index))
            changes |= {
                "bits": bits,
                "recent_bits": frozenset(),
                "previous_bits": frozenset(),
                "received_bytes": shard.received_bytes - sum(map(layout.chunk_length, lost_chunks)),
            }
        self._update_shard(upload.record.upload_id, shard, **changes)

    def _release_name(self, record: UploadRecord, ttl_epoch_seconds: int) -> None:
        name, upload_id = (record.ns, record.name), record.upload_id
        if record.sequential is not None:
            self.rows.sequential_ids.get(name, set()).discard(upload_id)
            return
        current_upload = self.rows.current_uploads.get(name)
        if current_upload is None or current_upload.upload_id != upload_id:
            raise ConcurrentUpdate
        self.rows.current_uploads[name] = replace(current_upload, in_progress=False)
        self.rows.ttls[name] = ttl_epoch_seconds


def require(condition: bool) -> None:
    if not condition:
        raise ConcurrentUpdate
