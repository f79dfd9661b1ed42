"""`SequentialRepository` in DynamoDB: the rows, conditions and transactions of docs/decisions/0013."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws import sequential_rows
from ferry.aws.chunk_digests import ROW_TTL_SECONDS
from ferry.aws.dynamo import Table, TransactionFailed
from ferry.aws.expressions import Row, Write, put
from ferry.model.uploads import CurrentUpload, Upload, UploadRecord
from ferry.ports.errors import UsageConflict
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.model.files import File
    from ferry.model.quotas import Quota
    from ferry.ports.sequential_repository import CompletionLease

_USAGE_POSITION = 1
"""Position of the usage in the transactions that change it."""


class DynamoSequentialRepository:
    """`SequentialRepository` over the metadata table. Each method makes one call; the port names the exceptions."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_sequential(self, record: UploadRecord, *, due_at: int, quota: Quota | None = None) -> None:
        usage = [writes.reserve_quota(record, quota)] if record.counted_in_quota and quota is not None else []
        name = [] if record.is_partial else [writes.add_sequential_id(record, _name_ttl(record.created_at))]
        creation = put(rows.record_to_row(record, due_at), "attribute_not_exists(#pk)")
        self._transact([creation, *usage, *name], has_usage=bool(usage))

    def change_sequential(
        self,
        upload: Upload,
        changed: UploadRecord,
        *,
        lease: CompletionLease | None = None,
        now: int,
        quota: Quota | None = None,
    ) -> Upload:
        record, state = upload.record, changed.sequential
        if state is None:
            raise ValueError("only a sequential upload is changed here")
        changes: dict[str, Any] = {
            "size": changed.layout.size,
            "multipart_id": changed.multipart_id,
            "sequential": sequential_rows.to_attributes(state),
        }
        stored = replace(upload, record=replace(changed, version=record.version + 1))
        if lease is not None:
            stored = lease.apply(replace(upload, record=changed), now=now)
            changes |= writes.lease_fields(lease.lease_id, lease.expires_at, lease.if_exists, changed.crc32c)
            changes["first_leased_at"] = now
        transition = writes.record_transition(
            record.upload_id,
            changes,
            "#version = :read AND #state = :state",
            {"read": record.version, "state": record.state.value},
        )
        usage = writes.reserve_growth(record, changed.layout.size - record.layout.size, quota)
        if usage:
            self._transact([transition, *usage], has_usage=True)
        else:
            self._table.conditional_write(transition)
        return stored

    def get_name_uploads(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Sequence[str]]:
        keys = [rows.file_key(ns, name), rows.current_upload_key(ns, name), rows.sequential_key(ns, name)]
        file_row, current_upload_row, ids_row = self._table.transact_get(keys)
        return (
            rows.file_from_row(file_row) if file_row else None,
            rows.current_upload_from_row(current_upload_row) if current_upload_row else None,
            _ids_from_row(ids_row),
        )

    def get_sequential_ids(self, ns: str, name: str) -> Sequence[str]:
        return _ids_from_row(self._table.get(rows.sequential_key(ns, name)))

    def _transact(self, transaction: list[Write], *, has_usage: bool) -> None:
        try:
            self._table.transact_write(transaction)
        except TransactionFailed as error:
            if has_usage and _USAGE_POSITION in error.failed:
                raise UsageConflict from error
            raise


def _ids_from_row(row: Row | None) -> list[str]:
    return sorted(row.get("upload_ids", ())) if row else []


def _name_ttl(created_at: int) -> int:
    return created_at // SECOND_MS + ROW_TTL_SECONDS
