"""Who waits just now, in one row of the ledger's table: `WAIT` (docs/decisions/0010)."""

from __future__ import annotations

import secrets

from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Write, update

PERMITS_KEY = ("PERMITS", "P")
_RANDOM_RANGE = 10_000
"""A seat is the time at which it lapses, times this, and something random: two of the same time are two."""


class DynamoPermitPool:
    """`ferry.outbound.Seats`: a set of numbers that holds one for each who waits, and grows to `most` of them."""

    def __init__(self, table: Table, max_permits: int) -> None:
        self._table = table
        self._max_permits = max_permits

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        seat = expires_at * _RANDOM_RANGE + secrets.randbelow(_RANDOM_RANGE)
        take = self._update_permits(
            adds={"permits": {seat}}, condition="attribute_not_exists(#permits) OR size(#permits) < :max_permits"
        )
        try:
            self._table.write(take)
        except ConditionFailed as full:
            taken: frozenset[int] = (full.row or {}).get("permits", frozenset())
            if not (lapsed := {other for other in taken if other < now * _RANDOM_RANGE}):
                return None
            # Those who took them have died, or could not say that they left.
            self._table.write(self._update_permits(set_deletes={"permits": lapsed}))
            try:
                self._table.write(take)
            except ConditionFailed:
                return None
        return seat

    def release(self, permit: int) -> None:
        self._table.write(self._update_permits(set_deletes={"permits": {permit}}))

    def _update_permits(
        self,
        *,
        adds: dict[str, set[int]] | None = None,
        set_deletes: dict[str, set[int]] | None = None,
        condition: str = "",
    ) -> Write:
        return update(
            PERMITS_KEY,
            adds=adds,
            set_deletes=set_deletes,
            condition=condition,
            values={"max_permits": self._max_permits} if condition else None,
        )
