"""The ledger's contract: who knows an object, many rows at once, and how far the search for orphans has come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.model import Due, DueKind, Phase, Search
from ferry.ports import Ledger, Moved
from tests.contract.rows import ID, NAME, NS, OTHER, THIRD, begun, finished, opened, seen
from tests.fakes.clock import START


def test_an_object_has_a_row_from_the_switch_of_the_pointer_on(ledger: Ledger) -> None:
    """It names its file while the file is there, when it was replaced, and when it was deleted."""
    opened(ledger, THIRD, name="open")
    assert ledger.owners([ID, OTHER, THIRD]) == {}
    finished(ledger, ID)
    assert ledger.owners([ID]) == {ID: (NS, NAME)}
    assert DueKind.OBJECT not in {entry.kind for entry in ledger.due(10**13, None, 10).items}
    file = finished(ledger, OTHER)
    assert ledger.owners([ID, OTHER, THIRD, ID]) == {ID: (NS, NAME), OTHER: (NS, NAME)}
    ledger.delete_file(file, object_due=START + 40, now=START)
    assert ledger.owners([OTHER]) == {OTHER: (NS, NAME)}
    tombs = {entry for entry in ledger.due(10**13, None, 10).items if entry.kind is DueKind.OBJECT}
    assert tombs == {Due(DueKind.OBJECT, ID, START + 30), Due(DueKind.OBJECT, OTHER, START + 40)}
    ledger.bury(Due(DueKind.OBJECT, ID, START + 30))
    assert ledger.owners([ID, OTHER]) == {OTHER: (NS, NAME)}


def test_an_object_is_given_a_row(ledger: Ledger) -> None:
    """Once, with the name it has or with none; a row that is there stays as it is."""
    ledger.keep(ID, None, due=START + 5)
    ledger.keep(OTHER, (NS, "é"), due=START + 6)
    finished(ledger, THIRD)
    for upload_id in (ID, OTHER, THIRD):
        with pytest.raises(Moved):
            ledger.keep(upload_id, (NS, "other"), due=START + 7)
    assert ledger.owners([ID, OTHER, THIRD]) == {ID: None, OTHER: (NS, "é"), THIRD: (NS, NAME)}
    dues = {(entry.subject, entry.due) for entry in ledger.due(START + 10, None, 10).items}
    assert dues == {(ID, START + 5), (OTHER, START + 6)}


def test_an_object_is_acquitted(ledger: Ledger) -> None:
    """It is due no more, and its row still names its file; only as it was seen."""
    ledger.keep(ID, (NS, NAME), due=START + 5)
    entry = Due(DueKind.OBJECT, ID, START + 5)
    with pytest.raises(Moved):
        ledger.acquit(replace(entry, due=START + 4))
    ledger.acquit(entry)
    assert ledger.due(10**13, None, 10).items == []
    assert ledger.owners([ID]) == {ID: (NS, NAME)}
    for gone in (entry, Due(DueKind.OBJECT, OTHER, START)):
        with pytest.raises(Moved):
            ledger.acquit(gone)


def test_many_sessions_and_owners_at_once(ledger: Ledger) -> None:
    """More than one call's worth, some of them not there, some asked for twice."""
    ids = [f"{number:032x}" for number in range(1, 231)]
    for number, upload_id in enumerate(ids[::2]):
        begun(ledger, upload_id, name=f"name {number}")
        ledger.keep(upload_id, None, due=START)
    found = ledger.sessions([*ids, *ids])
    assert set(found) == set(ids[::2])
    assert found[ids[0]] == seen(ledger, ids[0]).session
    assert ledger.owners(ids) == dict.fromkeys(ids[::2])
    assert ledger.sessions([]) == {}
    assert ledger.owners([]) == {}


def test_the_search_has_one_position(ledger: Ledger) -> None:
    """Written only by whoever has read the one before; no other row is in its way."""
    assert ledger.search() is None
    first = Search(START, Phase.STAGES, "a cursor")
    ledger.save_search(first)
    assert ledger.search() == first
    with pytest.raises(Moved):
        ledger.save_search(first)
    second = Search(START + 1, Phase.DONE, None, version=2)
    ledger.save_search(second)
    for stale in (first, second, replace(second, version=4)):
        with pytest.raises(Moved):
            ledger.save_search(stale)
    assert ledger.search() == second
    assert ledger.due(10**13, None, 10).items == []
