"""`admin.registry.Registry` over DynamoDB, and DynamoDB's own time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from admin.registry import Act, Change
from ferry.aws.access_table import CLIENT, AccessTable, client_of, client_put, keyring_put
from ferry.aws.clock import wall_clock
from ferry.aws.errors import translated
from ferry.errors import BackendUnavailable
from ferry.ports import Clock, Moved
from ferry.trust import Client, Keyring

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ACT = "AUDIT#"
_CANCELED = "TransactionCanceledException"
_MOVED = {"ConditionalCheckFailed", "TransactionConflict"}
_SKEW = 2_000


class AdminTable(AccessTable):
    """The reads of the functions, and what only an operator does."""

    def clients(self) -> Iterator[Client]:
        items = sorted(self._scan(CLIENT), key=lambda item: str(item["pk"]["S"]))
        return (client_of(item) for item in items)

    def acts(self) -> Iterator[Act]:
        items = sorted(self._scan(ACT), key=lambda item: str(item["pk"]["S"]), reverse=True)
        return (_act_of(item) for item in items)

    def commit(self, act: Act, *, client: Change[Client] | None = None, keyring: Change[Keyring] | None = None) -> None:
        puts = [{"Item": _act_item(act), "ConditionExpression": "attribute_not_exists(pk)"}]
        if client is not None:
            puts.append(client_put(client.new, over=client.over))
        if keyring is not None:
            puts.append(keyring_put(keyring.new, over=keyring.over))
        items: Any = [{"Put": {"TableName": self._table, **put}} for put in puts]
        try:
            # The SDK gives all tries of one call the same token, so that a lost answer is not taken for a lost race.
            with translated(_CANCELED):
                self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes and codes <= _MOVED:
                raise Moved from error
            raise BackendUnavailable from error

    def _scan(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
        )
        with translated():
            for page in pages:
                yield from page["Items"]


def server_clock(client: DynamoDBClient, own: Clock = wall_clock) -> Clock:
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
            difference = theirs - own()
            # Their time has whole seconds, and the answer took its way.
            offset = difference if abs(difference) > _SKEW else 0

    register: Callable[..., object] = client.meta.events.register
    register("after-call.dynamodb", note)
    return lambda: own() + offset


def _act_item(act: Act) -> dict[str, Any]:
    time = datetime.fromtimestamp(act.at / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "pk": {"S": f"{ACT}{time}#{secrets.token_hex(4)}"},
        "at": {"N": str(act.at)},
        "actor": {"S": act.actor},
        "event": {"S": act.event},
        "subject": {"S": act.subject},
        "details": {"M": {name: {"S": value} for name, value in act.details.items()}},
    }


def _act_of(item: dict[str, Any]) -> Act:
    return Act(
        at=int(item["at"]["N"]),
        actor=item["actor"]["S"],
        event=item["event"]["S"],
        subject=item["subject"]["S"],
        details={name: value["S"] for name, value in item["details"]["M"].items()},
    )
