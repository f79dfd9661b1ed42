"""`admin.ports.Registry` over DynamoDB, and DynamoDB's own time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from admin.ports import AuditEntry, ConditionalPut
from ferry.aws.auth_table import CLIENT_PREFIX, AuthTable, client_from_item, client_put_params, key_set_put_params
from ferry.aws.clock import wall_clock
from ferry.aws.errors import map_errors
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


class DynamoAdminStore(AuthTable):
    """The reads of the functions, and what only an operator does."""

    def list_clients(self) -> Iterator[Client]:
        items = sorted(self._scan(CLIENT_PREFIX), key=lambda item: str(item["pk"]["S"]))
        return (client_from_item(item) for item in items)

    def list_audit_entries(self) -> Iterator[AuditEntry]:
        items = sorted(self._scan(AUDIT_PREFIX), key=lambda item: str(item["pk"]["S"]), reverse=True)
        return (_audit_entry_from_row(item) for item in items)

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        puts = [{"Item": _audit_entry_to_row(entry), "ConditionExpression": "attribute_not_exists(pk)"}]
        if client is not None:
            puts.append(client_put_params(client.new, expected=client.expected))
        if key_set is not None:
            puts.append(key_set_put_params(key_set.new, expected=key_set.expected))
        items: Any = [{"Put": {"TableName": self._table, **put}} for put in puts]
        try:
            # The SDK gives all tries of one call the same token, so that a lost answer is not taken for a lost race.
            with map_errors(_TRANSACTION_CANCELED):
                self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes and codes <= _CONFLICT_CODES:
                raise ConcurrentUpdate from error
            raise BackendUnavailable from error

    def _scan(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
        )
        with map_errors():
            for page in pages:
                yield from page["Items"]


def server_clock(client: DynamoDBClient, local_clock: Clock = wall_clock) -> Clock:
    """The time by the latest answer of DynamoDB; until there is one, this machine's."""
    offset = 0

    def note(http_response: Any, **_: object) -> None:
        nonlocal offset
        date = http_response.headers.get("date")
        try:
            theirs = int(parsedate_to_datetime(date).timestamp() * 1000) if date else None
        except ValueError:
            return
        if theirs is not None:
            difference = theirs - local_clock()
            # Their time has whole seconds, and the answer took its way.
            offset = difference if abs(difference) > _MAX_CLOCK_SKEW_MS else 0

    register: Callable[..., object] = client.meta.events.register
    register("after-call.dynamodb", note)
    return lambda: local_clock() + offset


def _audit_entry_to_row(entry: AuditEntry) -> dict[str, Any]:
    time = datetime.fromtimestamp(entry.occurred_at / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "pk": {"S": f"{AUDIT_PREFIX}{time}#{secrets.token_hex(4)}"},
        "occurred_at": {"N": str(entry.occurred_at)},
        "actor": {"S": entry.actor},
        "event": {"S": entry.event},
        "subject": {"S": entry.subject},
        "details": {"M": {name: {"S": value} for name, value in entry.details.items()}},
    }


def _audit_entry_from_row(row: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        occurred_at=int(row["occurred_at"]["N"]),
        actor=row["actor"]["S"],
        event=row["event"]["S"],
        subject=row["subject"]["S"],
        details={name: value["S"] for name, value in row["details"]["M"].items()},
    )
