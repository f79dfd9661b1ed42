"""Quotas in memory."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate


def file_identity(file: File) -> tuple[str, int, bool]:
    """Return what must be unchanged in a file that is changed, replaced or deleted."""
    return file.upload_id, file.revision, file.counted_in_quota


def add_usage(rows: Rows, ns: str, size: int, uploads: int) -> None:
    """Add bytes and open uploads to the usage of a namespace; both may be negative."""
    if size or uploads:
        quota = rows.quotas[ns]
        rows.quotas[ns] = replace(quota, used_bytes=quota.used_bytes + size, open_uploads=quota.open_uploads + uploads)


class MemoryQuotaStore:
    """A `QuotaStore` (admin.recount) over a `MemoryTable`."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table

    def get_quota(self, ns: str) -> Quota | None:
        return self._table.rows.quotas.get(ns)

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        with self._table.lock:
            quotas = self._table.rows.quotas
            usage = quotas.get(ns, Quota())
            quotas[ns] = Quota(max_bytes, max_uploads, max_file_bytes, usage.used_bytes, usage.open_uploads)
            return quotas[ns]

    def count_file(self, file: File) -> None:
        with self._table.lock:
            rows, name = self._table.rows, (file.ns, file.name)
            stored = rows.files.get(name)
            if stored is None or (stored.upload_id, stored.counted_in_quota) != (file.upload_id, False):
                raise ConcurrentUpdate
            if file.ns not in rows.quotas:
                raise ConcurrentUpdate
            rows.files[name] = replace(stored, counted_in_quota=True)
            add_usage(rows, file.ns, file.size, 0)

    def count_upload(self, record: UploadRecord) -> None:
        with self._table.lock:
            rows = self._table.rows
            stored = rows.records.get(record.upload_id)
            if stored is None or stored.counted_in_quota:
                raise ConcurrentUpdate
            if stored.state not in (UploadState.CREATING, UploadState.OPEN) or stored.ns not in rows.quotas:
                raise ConcurrentUpdate
            rows.records[record.upload_id] = replace(stored, counted_in_quota=True, version=stored.version + 1)
            add_usage(rows, stored.ns, stored.layout.size, 1)
