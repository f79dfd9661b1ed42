"""How namespaces share the permits for long polls."""

from __future__ import annotations

from dataclasses import dataclass

PERMITS_PER_FREE_ONE = 3
"""Permits that a namespace may hold for each permit that remains free: alone it gets three quarters of all."""


@dataclass(frozen=True, slots=True)
class PermitTier:
    """One case in which a namespace may acquire a further permit."""

    max_held: int
    """Permits that all namespaces hold at most."""
    max_own: int
    """Permits that this namespace holds at most."""


def permit_tiers(max_permits: int) -> list[PermitTier]:
    """Return the cases in which a namespace may acquire a permit: one of them must apply.

    A namespace may acquire a permit while it holds at most `PERMITS_PER_FREE_ONE` times as many as remain free
    afterwards. So the last one is for a namespace that holds none, and busy namespaces get equal numbers. The number
    that remains free is rounded down in steps of a half, because a DynamoDB condition compares and does not calculate.
    `max_own` of the last tier never rejects: it is at least `max_held`.
    """
    tiers = [PermitTier(max_permits - 1, 0)]
    last = -(-(max_permits - 1) // (PERMITS_PER_FREE_ONE + 1))
    remaining = 0
    while remaining < last:
        remaining = min(last, remaining + max(1, remaining // 2))
        tiers.append(PermitTier(max_permits - 1 - remaining, PERMITS_PER_FREE_ONE * remaining))
    return tiers
