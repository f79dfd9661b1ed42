"""The ledger's contract: a lease is taken over exactly what was read, and tells what stands then."""

from __future__ import annotations

import pytest

from ferry.model import Slot
from ferry.ports import Ledger, Moved
from tests.contract.rows import ID, IDLE, NAME, NS, OTHER, STRIPED, begun, file_of, finished, opened, record, seen, take
from tests.fakes.clock import START


@pytest.mark.parametrize("stripe", [0, 2])
def test_a_lease_tells_the_upload_as_it_stands_then(ledger: Ledger, stripe: int) -> None:
    """Nobody need read again: what is returned is what a read would give, the first time and when it is taken over."""
    opened(ledger, grid=STRIPED)
    record(ledger, seen(ledger), 128 * stripe + 1)
    first = take(ledger, seen(ledger))
    assert first == seen(ledger)
    assert take(ledger, first, "second", now=START + 60_001) == seen(ledger)
    assert seen(ledger).session.leased_at == START + 10


@pytest.mark.parametrize("moved", ["recorded", "recorded in the last stripe", "touched", "signed"])
def test_a_lease_needs_every_stripe_as_it_was_read(ledger: Ledger, moved: str) -> None:
    """A chunk recorded, a URL signed, any activity since the read: who judged without it must read again."""
    before = opened(ledger, grid=STRIPED)
    {
        "recorded": lambda: record(ledger, before, 1),
        "recorded in the last stripe": lambda: record(ledger, before, 257),
        "touched": lambda: ledger.touch(ID, now=START + 1),
        "signed": lambda: ledger.mark_direct(before, now=START + 1),
    }[moved]()
    with pytest.raises(Moved):
        take(ledger, before)
    assert all(row.open for row in seen(ledger).stripes)
    take(ledger, seen(ledger))


def test_a_name_is_looked_up_in_one(ledger: Ledger) -> None:
    """Its file and its slot, each if there is one."""
    assert ledger.look_up(NS, NAME) == (None, None, None)
    begun(ledger, name="begun")
    assert ledger.look_up(NS, "begun") == (None, Slot(NS, "begun", ID, open=True), None)
    finished(ledger, OTHER)
    assert ledger.look_up(NS, NAME) == (file_of(OTHER), Slot(NS, NAME, OTHER, open=False), None)
    ledger.delete_file(file_of(OTHER), object_due=START + IDLE, now=START)
    assert ledger.look_up(NS, NAME) == (None, Slot(NS, NAME, OTHER, open=False), None)
