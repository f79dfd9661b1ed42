"""How namespaces share the permits for long polls."""

from __future__ import annotations

from collections import Counter

import pytest

from ferry.rules.permit_shares import permit_tiers

SIZES = [1, 2, 3, 4, 5, 10, 37, 100, 500]


def hold_until_stable(max_permits: int, namespaces: list[str]) -> Counter[str]:
    """Return the permits of each namespace after all have taken turns in acquiring one until none gets more."""
    tiers, held = permit_tiers(max_permits), Counter(dict.fromkeys(namespaces, 0))
    changed = True
    while changed:
        changed = False
        for ns in namespaces:
            if any(held.total() <= tier.max_held and held[ns] <= tier.max_own for tier in tiers):
                held[ns] += 1
                changed = True
    return held


@pytest.mark.parametrize("max_permits", SIZES)
def test_one_namespace_holds_at_most_three_quarters(max_permits: int) -> None:
    """A namespace alone holds three quarters of the permits, and leaves one at least where there are two."""
    held = hold_until_stable(max_permits, ["busy"])["busy"]
    assert held <= max(1, max_permits - 1)
    assert held >= max_permits * 3 // 4


@pytest.mark.parametrize("max_permits", [4, 10, 37, 100, 500])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_busy_namespaces_hold_equal_numbers(max_permits: int, count: int) -> None:
    """Namespaces that all want more hold equal numbers, up to one."""
    held = hold_until_stable(max_permits, [f"busy-{number}" for number in range(count)])
    assert max(held.values()) - min(held.values()) <= 1
    assert held.total() <= max_permits


@pytest.mark.parametrize("max_permits", SIZES[1:])
def test_newcomer_gets_permit_beside_busy_namespaces(max_permits: int) -> None:
    """A namespace that holds none gets a permit although two others want as many as possible."""
    tiers = permit_tiers(max_permits)
    for count in (1, 2) if max_permits > 2 else (1,):
        held = hold_until_stable(max_permits, [f"busy-{number}" for number in range(count)]).total()
        assert any(held <= tier.max_held for tier in tiers), (count, held)


@pytest.mark.parametrize("max_permits", [*SIZES, 1_000])
def test_tiers_fit_a_condition(max_permits: int) -> None:
    """The last tier rejects by the number of all permits alone, and a DynamoDB condition has room for all tiers."""
    tiers = permit_tiers(max_permits)
    assert tiers[-1].max_own >= tiers[-1].max_held
    assert len(tiers) <= 16
