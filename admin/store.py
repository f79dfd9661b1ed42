"""`admin.ports.AdminStore` over DynamoDB, and DynamoDB's clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from admin.ports import AuditEntry, ConditionalPut
from ferry.aws.auth_table import CLIENT_PREFIX, AuthTable, client_from_row, client_write, key_set_write
from ferry.aws.clock import wall_clock
from ferry.aws.errors import map_errors
from ferry.aws.expressions import Row, Write, decode_row, encode_row, put
from ferry.errors import BackendUnavailable
from ferry.model.auth import Client, KeySet
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AUDIT_PREFIX = "AUDIT#"
_TRANSACTION_CANCELED = "TransactionCanceledException"
_CONFLICT_CODES = {"ConditionalCheckFailed", "TransactionConflict"}
_MAX_CLOCK_SKEW_MS = 2_000
"""Difference to the server's clock up to which the local clock is used as it is."""


class DynamoAdminStore(AuthTable):
    """The auth table: the reads that functions make, and what only the operator does."""

    def list_clients(self) -> Iterator[Client]:
        rows = sorted(self._scan(CLIENT_PREFIX), key=lambda row: str(row["pk"]))
        return (client_from_row(row) for row in rows)

    def list_audit_entries(self) -> Iterator[AuditEntry]:
        rows = sorted(self._scan(AUDIT_PREFIX), key=lambda row: str(row["pk"]), reverse=True)
        return (_audit_entry_from_row(row) for row in rows)

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        writes: list[Write] = [put(_audit_entry_to_row(entry), "attribute_not_exists(#pk)")]
        if client is not None:
            writes.append(client_write(client.new, expected=client.expected))
        if key_set is not None:
            writes.append(key_set_write(key_set.new, expected=key_set.expected))
        items: Any = [{write.kind: {"TableName": self._table, **write.params}} for write in writes]
        try:
            # The SDK sends all attempts of a call with one token, so a lost response does not look like a conflict.
            with map_errors(_TRANSACTION_CANCELED):
                self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes and codes <= _CONFLICT_CODES:
                raise ConcurrentUpdate from error
            raise BackendUnavailable from error

    def _scan(self, prefix: str) -> Iterator[Row]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues=encode_row({":prefix": prefix}),
        )
        with map_errors():
            for page in pages:
                yield from map(decode_row, page["Items"])


class DryRunStore(DynamoAdminStore):
    """The auth table, read only: `commit` writes nothing."""

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        """Do nothing."""


def server_clock(client: DynamoDBClient, local_clock: Clock = wall_clock) -> Clock:
    """Return a clock that follows the latest `Date` header of DynamoDB; before the first, the local one."""
    offset = 0

    def update_offset(http_response: Any, **_: object) -> None:
        nonlocal offset
        date = http_response.headers.get("date")
        try:
            server_time = int(parsedate_to_datetime(date).timestamp() * 1000) if date else None
        except ValueError:
            return
        if server_time is not None:
            difference = server_time - local_clock()
            # The header has whole seconds, and the response took time to arrive.
            offset = difference if abs(difference) > _MAX_CLOCK_SKEW_MS else 0

    register: Callable[..., object] = client.meta.events.register
    register("after-call.dynamodb", update_offset)
    return lambda: local_clock() + offset


def _audit_entry_to_row(entry: AuditEntry) -> Row:
    time = datetime.fromtimestamp(entry.occurred_at / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "pk": f"{AUDIT_PREFIX}{time}#{secrets.token_hex(4)}",
        "occurred_at": entry.occurred_at,
        "actor": entry.actor,
        "event": entry.event,
        "subject": entry.subject,
        "details": entry.details,
    }


def _audit_entry_from_row(row: Row) -> AuditEntry:
    return AuditEntry(
        occurred_at=row["occurred_at"],
        actor=row["actor"],
        event=row["event"],
        subject=row["subject"],
        details=row["details"],
    )
