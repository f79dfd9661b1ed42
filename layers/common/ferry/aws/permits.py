"""Permits for long polls, in the row `PERMITS` of the metadata table (docs/decisions/0010)."""

from __future__ import annotations

import hashlib
import secrets

from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, Write, update
from ferry.rules.permit_shares import permit_tiers

PERMITS_KEY = ("PERMITS", "P")

_ALL = "held"
"""The attribute with the permits of all namespaces. Earlier versions had permits of another form in `permits`."""

_NAMESPACE_PREFIX = "ns_"
"""Each namespace that holds permits has an attribute with them; its name is this prefix and a digest."""

_RANDOM_RANGE = 10**9
"""A permit is its expiry multiplied by this, plus a random number below it, so that permits differ. A permit
has 22 digits, which take 12 bytes; a DynamoDB number has up to 38 digits."""

_MAX_NAMESPACES_PER_WRITE = 50
"""Namespaces whose expired permits one write removes, so that its expression stays below DynamoDB's 4 KB."""


class DynamoPermitPool:
    """`PermitPool` over sets of the held permits, whose sizes are limited by a condition."""

    def __init__(self, table: Table, max_permits: int) -> None:
        self._table = table
        self._condition, self._values = _acquire_condition(max_permits)

    def acquire(self, ns: str, *, expires_at: int, now: int) -> int | None:
        permit = expires_at * _RANDOM_RANGE + secrets.randbelow(_RANDOM_RANGE)
        own = _attribute(ns)
        add_permit = update(
            PERMITS_KEY,
            adds={_ALL: {permit}, own: {permit}},
            condition=self._condition.replace("#own", f"#{own}"),
            values=self._values,
        )
        try:
            self._table.write(add_permit)
        except ConditionFailed as failed:
            expired = _expired_permits(failed.row or {}, now)
            if not expired:
                return None
            # The requests that held them crashed, or failed to release them.
            self._table.write(_delete_permits(expired))
            try:
                self._table.write(add_permit)
            except ConditionFailed:
                return None
        return permit

    def release(self, ns: str, permit: int) -> None:
        self._table.write(_delete_permits({_ALL: {permit}, _attribute(ns): {permit}}))


def _attribute(ns: str) -> str:
    """Return the attribute of a namespace. Namespaces whose digests begin alike would share one, and their limit."""
    return _NAMESPACE_PREFIX + hashlib.sha256(ns.encode()).hexdigest()[:8]


def _acquire_condition(max_permits: int) -> tuple[str, dict[str, int]]:
    """Return the condition under which the namespace with the attribute `#own` may acquire a permit, and its values.

    DynamoDB removes a set with its last member, so a namespace without an attribute holds no permit.
    """
    first, *others = permit_tiers(max_permits)
    cases = [f"attribute_not_exists(#{_ALL})", f"size(#{_ALL}) <= :held_0 AND attribute_not_exists(#own)"]
    values = {"held_0": first.max_held}
    for number, tier in enumerate(others, 1):
        cases.append(f"size(#{_ALL}) <= :held_{number} AND size(#own) <= :own_{number}")
        values |= {f"held_{number}": tier.max_held, f"own_{number}": tier.max_own}
    return " OR ".join(cases), values


def _expired_permits(row: Row, now: int) -> dict[str, set[int]]:
    """Return the expired permits by attribute, those of a limited number of namespaces."""
    expired = {
        name: {permit for permit in held if permit < now * _RANDOM_RANGE}
        for name, held in row.items()
        if name == _ALL or name.startswith(_NAMESPACE_PREFIX)
    }
    by_namespace = {name: permits for name, permits in expired.items() if name != _ALL and permits}
    later = list(by_namespace)[_MAX_NAMESPACES_PER_WRITE:]
    everywhere = expired.get(_ALL, set()).difference(*(by_namespace.pop(name) for name in later))
    return by_namespace | ({_ALL: everywhere} if everywhere else {})


def _delete_permits(permits: dict[str, set[int]]) -> Write:
    return update(PERMITS_KEY, set_deletes=permits, condition="")
