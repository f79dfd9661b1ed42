"""Who waits just now, in one row of the ledger's table: `WAIT` (docs/decisions/0010)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Write, update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = ("WAIT", "W")
_APART = 10_000
"""A seat is the time at which it lapses, times this, and something random: two of the same time are two."""


class DynamoSeats:
    """`ferry.outbound.Seats`: a set of numbers that holds one for each who waits, and grows to `most` of them."""

    def __init__(self, client: DynamoDBClient, table: str, most: int) -> None:
        self._table = Table(client, table)
        self._most = most

    def take(self, *, until: int, now: int) -> int | None:
        seat = until * _APART + secrets.randbelow(_APART)
        take = self._change(adds={"seats": {seat}}, when="attribute_not_exists(#seats) OR size(#seats) < :most")
        try:
            self._table.write(take)
        except ConditionFailed as full:
            taken: frozenset[int] = (full.row or {}).get("seats", frozenset())
            if not (lapsed := {other for other in taken if other < now * _APART}):
                return None
            # Those who took them have died, or could not say that they left.
            self._table.write(self._change(takes={"seats": lapsed}))
            try:
                self._table.write(take)
            except ConditionFailed:
                return None
        return seat

    def leave(self, seat: int) -> None:
        self._table.write(self._change(takes={"seats": {seat}}))

    def _change(
        self, *, adds: dict[str, set[int]] | None = None, takes: dict[str, set[int]] | None = None, when: str = ""
    ) -> Write:
        return update(KEY, adds=adds, takes=takes, when=when, given={"most": self._most} if when else None)
