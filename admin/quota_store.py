"""`admin.recount.QuotaStore` over the metadata table (docs/decisions/0004).

Only the operator uses it: uploads count towards a quota in the transactions of the upload repository.
"""

from __future__ import annotations

from collections.abc import Iterable

from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.dynamo import Table
from ferry.aws.expressions import update
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState


class DynamoQuotaStore:
    """Limits and usage of namespaces. Each method makes one call unless its docstring says otherwise."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get_quota(self, ns: str) -> Quota | None:
        row = self._table.get(rows.quota_key(ns))
        return rows.quota_from_row(row) if row else None

    def get_quotas(self, namespaces: Iterable[str]) -> dict[str, Quota]:
        """Return the quotas of those namespaces that have one. One call for each hundred namespaces."""
        namespace_by_pk = {rows.quota_key(ns)[0]: ns for ns in namespaces}
        found = self._table.batch_get(rows.quota_key(ns) for ns in namespace_by_pk.values())
        return {namespace_by_pk[row["pk"]]: rows.quota_from_row(row) for row in found}

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        limits = dict(zip(rows.QUOTA_LIMITS, (max_bytes, max_uploads, max_file_bytes), strict=True))
        # Usage stays; a new quota's begins at 0.
        counts = dict.fromkeys(rows.QUOTA_USAGE, 0)
        return rows.quota_from_row(self._table.write(update(rows.quota_key(ns), limits, adds=counts, condition="")))

    def count_file(self, file: File) -> None:
        condition = f"#upload_id = :expected AND {writes.counted_unchanged(counted_in_quota=False)}"
        key, values = rows.file_key(file.ns, file.name), {"expected": file.upload_id}
        mark = update(key, {"counted_in_quota": True}, condition=condition, values=values)
        self._table.transact_write([mark, writes.add_usage(file.ns, file.size, 0)])

    def count_upload(self, record: UploadRecord) -> None:
        values = {"creating": UploadState.CREATING.value, "open": UploadState.OPEN.value}
        condition = f"#state IN (:creating, :open) AND {writes.counted_unchanged(counted_in_quota=False)}"
        mark = writes.record_transition(record.upload_id, {"counted_in_quota": True}, condition, values)
        self._table.transact_write([mark, writes.add_usage(record.ns, record.layout.size, 1)])
