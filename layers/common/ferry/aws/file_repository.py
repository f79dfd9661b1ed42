"""`FileRepository` in DynamoDB: the rows, conditions and transactions of docs/decisions/0001 and 0011."""

from __future__ import annotations

from ferry.aws import metadata_rows as rows
from ferry.aws import metadata_writes as writes
from ferry.aws.dynamo import Table
from ferry.aws.expressions import delete, put
from ferry.aws.file_listings import query_names
from ferry.model.files import DeletedFile, File
from ferry.ports.types import Slice


class DynamoFileRepository:
    """`FileRepository` over the metadata table. Each method makes one call; the port names the exceptions."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get_file(self, ns: str, name: str) -> File | None:
        row = self._table.get(rows.file_key(ns, name))
        return rows.file_from_row(row) if row else None

    def list_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[File]:
        found, has_more = query_names(self._table, ns, rows.FILE_PREFIX, prefix, start=start, limit=limit)
        return Slice([rows.file_from_row(row) for row in found], has_more)

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        transaction = [
            delete(rows.file_key(file.ns, file.name), *writes.file_unchanged(file)),
            put(rows.object_to_row(file.upload_id, (file.ns, file.name), object_due_at)),
            *writes.free_usage(file),
        ]
        if publish_deadline is not None:
            transaction.append(put(rows.deleted_file_to_row(DeletedFile(file, now), publish_deadline)))
        self._table.transact_write(transaction)
