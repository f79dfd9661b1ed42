"""What an operator does with the ledger's quotas (docs/decisions/0004); starts and ends count in the ledger itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.aws import ledger_rows as rows
from ferry.aws import ledger_writes as writes
from ferry.aws.dynamo import Table
from ferry.aws.expressions import update
from ferry.model import File, Quota, Session, State

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoQuotas:
    """`ferry.quotas.Quotas` over the ledger's table. Each method is one call."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def quota(self, ns: str) -> Quota | None:
        row = self._table.get(rows.quota_key(ns))
        return rows.quota_of(row) if row else None

    def limit(self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file: int | None) -> Quota:
        limits = dict(zip(rows.LIMITS, (max_bytes, max_uploads, max_file), strict=True))
        # What is counted stays; where nothing was, it begins at nothing.
        counts = dict.fromkeys(rows.COUNTS, 0)
        return rows.quota_of(self._table.write(update(rows.quota_key(ns), limits, adds=counts, when="")))

    def count_file(self, file: File) -> None:
        when = f"#upload_id = :seen AND {writes.as_read(counted=False)}"
        key, given = rows.file_key(file.ns, file.name), {"seen": file.upload_id}
        mark = update(key, {"counted": True}, when=when, given=given)
        self._table.transact([mark, writes.counted(file.ns, file.size, 0)])

    def count_upload(self, session: Session) -> None:
        given = {"creating": State.CREATING.value, "open": State.OPEN.value}
        when = f"#state IN (:creating, :open) AND {writes.as_read(counted=False)}"
        mark = writes.transition(session.upload_id, {"counted": True}, when, given)
        self._table.transact([mark, writes.counted(session.ns, session.grid.size, 1)])
