"""Permits for long polls, in the row `PERMITS` of the metadata table (docs/decisions/0010)."""

from __future__ import annotations

import secrets

from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Write, update

PERMITS_KEY = ("PERMITS", "P")

_RANDOM_RANGE = 10**15
"""A permit is its expiry multiplied by this, plus a random number below it, so that permits differ. A permit
has 28 digits; a DynamoDB number has 38."""


class DynamoPermitPool:
    """`PermitPool` over a set attribute with the held permits, whose size is limited by a condition."""

    def __init__(self, table: Table, max_permits: int) -> None:
        self._table = table
        self._max_permits = max_permits

    def acquire(self, *, expires_at: int, now: int) -> int | None:
        permit = expires_at * _RANDOM_RANGE + secrets.randbelow(_RANDOM_RANGE)
        add_permit = self._update_permits(
            adds={"permits": {permit}}, condition="attribute_not_exists(#permits) OR size(#permits) < :max_permits"
        )
        try:
            self._table.write(add_permit)
        except ConditionFailed as failed:
            held: frozenset[int] = (failed.row or {}).get("permits", frozenset())
            expired = {other for other in held if other < now * _RANDOM_RANGE}
            if not expired:
                return None
            # Their holders crashed, or their release failed.
            self._table.write(self._update_permits(set_deletes={"permits": expired}))
            try:
                self._table.write(add_permit)
            except ConditionFailed:
                return None
        return permit

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
