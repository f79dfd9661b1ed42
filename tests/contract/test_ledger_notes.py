"""What the ledger notes of events that are still to be told (docs/decisions/0003)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.model import Deletion, Due, DueKind, State
from ferry.ports import Ledger, Moved
from tests.contract.rows import (
    ID,
    IDLE,
    NAME,
    NS,
    OTHER,
    TTL,
    begun,
    file_of,
    finished,
    leased,
    opened,
    seen,
    session_of,
)
from tests.fakes.clock import START

SESSION_DUE = Due(DueKind.SESSION, ID, START + 60)
NOTE = Due(DueKind.DELETED, ID, START + 60)


def dues(ledger: Ledger) -> set[Due]:
    return set(ledger.due(START + 2 * IDLE, None, 100).items)


def test_a_start_is_noted_until_the_upload_is_opened(ledger: Ledger) -> None:
    """From the transaction that begins it, so that no crash can lose it."""
    ledger.begin(replace(session_of(), untold=True), over=None, due=START + 1)
    assert seen(ledger).session.untold
    ledger.opened(ID, "multipart", due=START + IDLE)
    assert not seen(ledger).session.untold


def test_a_start_that_could_not_be_told_stays_noted(ledger: Ledger) -> None:
    """And is due when the opening said so, until it is told; nobody sees a new version for that."""
    begun(ledger)
    ledger.opened(ID, "multipart", due=START + 60, untold=True)
    noted = seen(ledger)
    assert noted.session.untold
    assert dues(ledger) == {SESSION_DUE}
    ledger.told(noted.session, due=START + IDLE)
    assert seen(ledger).session == replace(noted.session, untold=False)
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + IDLE)}


def test_a_note_goes_along_to_the_end(ledger: Ledger) -> None:
    """An upload that ends before its start was told still says so; once swept it does not."""
    begun(ledger)
    ledger.opened(ID, "multipart", due=START + 60, untold=True)
    ledger.end(seen(ledger), State.CANCELLED, now=START + 50, ttl=TTL)
    assert seen(ledger).session.untold
    ledger.swept(ID, stages_due=START + 90, ttl=TTL)
    assert not seen(ledger).session.untold


def test_a_completion_is_noted_and_due(ledger: Ledger) -> None:
    """With what it replaced, in the transaction that switches the pointer."""
    old = finished(ledger, OTHER)
    session = leased(ledger).session
    ledger.finish(session, file_of(), over=old, stages_due=1, object_due=1, ttl=TTL, tell_by=START + 60)
    noted = seen(ledger).session
    assert (noted.state, noted.untold, noted.replaced) == (State.COMPLETE, True, OTHER)
    assert SESSION_DUE in dues(ledger)
    ledger.told(noted, due=None, ttl=TTL)
    assert seen(ledger).session == replace(noted, untold=False)
    assert SESSION_DUE not in dues(ledger)
    ledger.told(noted, due=None, ttl=TTL)


def test_without_events_a_completion_notes_nothing(ledger: Ledger) -> None:
    """A start that could not be told is then no longer to be: nobody is told anything."""
    begun(ledger)
    ledger.opened(ID, "multipart", due=START + 60, untold=True)
    upload = seen(ledger)
    ledger.lease(upload, attempt="mine", until=START + 70, now=START + 10, replace=False, crc32c=None)
    ledger.finish(seen(ledger).session, file_of(), over=None, stages_due=START + 20, object_due=1, ttl=TTL)
    session = seen(ledger).session
    assert (session.untold, session.replaced) == (False, None)
    assert dues(ledger) == {Due(DueKind.STAGES, ID, START + 20)}


def test_only_the_state_that_was_told_of_is_cleared(ledger: Ledger) -> None:
    """Whoever told a start must not clear the note of the completion that has come since."""
    seen_open = opened(ledger).session
    finished(ledger, OTHER, name="another")
    ledger.end(seen(ledger), State.CANCELLED, now=START + 50, ttl=TTL)
    with pytest.raises(Moved):
        ledger.told(seen_open, due=START + IDLE)
    assert dues(ledger) >= {Due(DueKind.SESSION, ID, START + 50)}


def test_a_deletion_is_noted_as_the_file_was(ledger: Ledger) -> None:
    """Its row is gone, and its session may be: the note has all there is to tell. Dropping it is idempotent."""
    file = finished(ledger)
    ledger.delete_file(file, object_due=START + 40, now=START + 7, tell_by=START + 60)
    assert ledger.file(NS, NAME) is None
    assert ledger.deletion(ID) == Deletion(file, START + 7)
    assert dues(ledger) >= {NOTE, Due(DueKind.OBJECT, ID, START + 40)}
    for _ in range(2):
        ledger.bury(NOTE)
    assert ledger.deletion(ID) is None
    assert NOTE not in dues(ledger)
    assert Due(DueKind.OBJECT, ID, START + 40) in dues(ledger)


def test_a_deletion_that_is_not_to_be_told_notes_nothing(ledger: Ledger) -> None:
    """The tomb of the object alone."""
    ledger.delete_file(finished(ledger), object_due=START + 40, now=START + 7)
    assert ledger.deletion(ID) is None
    assert dues(ledger) == {Due(DueKind.STAGES, ID, START + 20), Due(DueKind.OBJECT, ID, START + 40)}
