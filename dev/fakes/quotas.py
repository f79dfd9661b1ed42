"""Quotas in memory, over the rows of a ledger in memory."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate


def quota_identity(file: File) -> tuple[str, bool]:
    """What must be as it was read of a file that goes."""
    return file.upload_id, file.counted_in_quota


def add_usage(rows: Rows, ns: str, size: int, uploads: int) -> None:
    if size or uploads:
        used = rows.quotas[ns]
        rows.quotas[ns] = replace(used, used_bytes=used.used_bytes + size, open_uploads=used.open_uploads + uploads)


class MemoryQuotaStore:
    """`ferry.quotas.Quotas`. Each method is one atomic step of the ledger."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table

    def get_quota(self, ns: str) -> Quota | None:
        return self._table.rows.quotas.get(ns)

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        quotas = self._table.rows.quotas
        used = quotas.get(ns, Quota())
        quotas[ns] = Quota(max_bytes, max_uploads, max_file_bytes, used.used_bytes, used.open_uploads)
        return quotas[ns]

    def count_file(self, file: File) -> None:
        rows, name = self._table.rows, (file.ns, file.name)
        found = rows.files.get(name)
        if found is None or quota_identity(found) != (file.upload_id, False) or file.ns not in rows.quotas:
            raise ConcurrentUpdate
        rows.files[name] = replace(file, counted_in_quota=True)
        add_usage(rows, file.ns, file.size, 0)

    def count_upload(self, record: UploadRecord) -> None:
        rows = self._table.rows
        found = rows.records.get(record.upload_id)
        if found is None or found.counted_in_quota or found.state not in (UploadState.CREATING, UploadState.OPEN):
            raise ConcurrentUpdate
        if found.ns not in rows.quotas:
            raise ConcurrentUpdate
        rows.records[record.upload_id] = replace(found, counted_in_quota=True, version=found.version + 1)
        add_usage(rows, found.ns, found.layout.size, 1)
