"""What an operator does with the ledger's quotas (docs/decisions/0004); starts and ends count in the ledger itself."""

from __future__ import annotations

from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.dynamo import Table
from ferry.aws.expressions import update
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState


class DynamoQuotaStore:
    """`ferry.quotas.Quotas` over the ledger's table. Each method is one call."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get_quota(self, ns: str) -> Quota | None:
        row = self._table.get(rows.quota_key(ns))
        return rows.quota_from_row(row) if row else None

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        limits = dict(zip(rows.QUOTA_LIMITS, (max_bytes, max_uploads, max_file_bytes), strict=True))
        # What is counted stays; where nothing was, it begins at nothing.
        counts = dict.fromkeys(rows.QUOTA_USAGE, 0)
        return rows.quota_from_row(self._table.write(update(rows.quota_key(ns), limits, adds=counts, condition="")))

    def count_file(self, file: File) -> None:
        when = f"#upload_id = :seen AND {writes.counted_unchanged(counted_in_quota=False)}"
        key, given = rows.file_key(file.ns, file.name), {"seen": file.upload_id}
        mark = update(key, {"counted_in_quota": True}, condition=when, values=given)
        self._table.transact_write([mark, writes.add_usage(file.ns, file.size, 0)])

    def count_upload(self, record: UploadRecord) -> None:
        given = {"creating": UploadState.CREATING.value, "open": UploadState.OPEN.value}
        when = f"#state IN (:creating, :open) AND {writes.counted_unchanged(counted_in_quota=False)}"
        mark = writes.record_transition(record.upload_id, {"counted_in_quota": True}, when, given)
        self._table.transact_write([mark, writes.add_usage(record.ns, record.layout.size, 1)])
