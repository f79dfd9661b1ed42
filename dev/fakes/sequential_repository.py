"""`SequentialRepository` in memory, with every condition and every effect of the port. Each method is one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dev.fakes.quotas import add_usage
from dev.fakes.upload_rows import MemoryUploadRows, require
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import CurrentUpload, Upload, UploadRecord
from ferry.ports.errors import UsageConflict
from ferry.ports.sequential_repository import CompletionLease


class MemorySequentialRepository(MemoryUploadRows):
    """A `SequentialRepository` over a `MemoryTable`."""

    def create_sequential(self, record: UploadRecord, *, due_at: int, quota: Quota | None = None) -> None:
        with self._lock:
            require(record.upload_id not in self.rows.records)
            if record.counted_in_quota and quota is not None:
                usage = self.rows.quotas[record.ns]
                if quota.max_uploads is not None and usage.open_uploads >= quota.max_uploads:
                    raise UsageConflict
                self._require_room(record.ns, record.layout.size, quota)
                add_usage(self.rows, record.ns, record.layout.size, 1)
            self.rows.records[record.upload_id] = record
            self.rows.shards[record.upload_id] = {}
            if not record.is_partial:
                self._add_id(record)
            self.rows.task_due_times[CleanupTaskKind.UPLOAD, record.upload_id] = due_at

    def change_sequential(
        self,
        upload: Upload,
        changed: UploadRecord,
        *,
        lease: CompletionLease | None = None,
        now: int,
        quota: Quota | None = None,
    ) -> Upload:
        record = upload.record
        with self._lock:
            self._require_unchanged(upload)
            added_bytes = changed.layout.size - record.layout.size
            if record.counted_in_quota and added_bytes:
                self._require_room(record.ns, added_bytes, quota)
                add_usage(self.rows, record.ns, added_bytes, 0)
            stored = replace(upload, record=replace(changed, version=record.version + 1))
            if lease is not None:
                stored = lease.apply(replace(upload, record=changed), now=now)
                self.rows.task_due_times[CleanupTaskKind.UPLOAD, record.upload_id] = lease.expires_at
            # Other writes may have cleared the pending event: they do not change the version.
            event_pending = self.rows.records[record.upload_id].event_pending
            self.rows.records[record.upload_id] = replace(stored.record, event_pending=event_pending)
            return stored

    def get_name_uploads(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Sequence[str]]:
        with self._lock:
            file, current_upload = self.rows.files.get((ns, name)), self.rows.current_uploads.get((ns, name))
            return file, current_upload, self.get_sequential_ids(ns, name)

    def get_sequential_ids(self, ns: str, name: str) -> Sequence[str]:
        with self._lock:
            return sorted(self.rows.sequential_ids.get((ns, name), ()))

    def _add_id(self, record: UploadRecord) -> None:
        self.rows.sequential_ids.setdefault((record.ns, record.name), set()).add(record.upload_id)

    def _require_unchanged(self, upload: Upload) -> UploadRecord:
        record = self._require_record(upload.record.upload_id, upload.record.state)
        require(record.version == upload.record.version)
        return record

    def _require_room(self, ns: str, added_bytes: int, quota: Quota | None) -> None:
        limit = quota.max_bytes if quota is not None else None
        if limit is not None and self.rows.quotas[ns].used_bytes + added_bytes > limit:
            raise UsageConflict
