"""The ledger's contract: the life of an upload, from `begin` to `finish`, `end` and `swept`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.model import Due, DueKind, Slot, State, StoredObject
from ferry.ports import Ledger, Moved
from tests.contract.rows import (
    ID,
    IDLE,
    LARGEST,
    LATER,
    NAME,
    NS,
    OTHER,
    STRIPED,
    THIRD,
    TTL,
    begun,
    file_of,
    finished,
    leased,
    opened,
    record,
    seen,
    session_of,
    take,
)
from tests.fakes.clock import START

MADE = StoredObject('"0123-3"', 20, 0xFFFFFFFF, 2**32)


def dues(ledger: Ledger) -> set[Due]:
    """All that is due, ever."""
    return set(ledger.due(10**14, None, 100).items)


def test_nothing_is_there_at_first(ledger: Ledger) -> None:
    """An empty ledger says None everywhere, and an id made up to name other rows is one of no upload."""
    assert ledger.file(NS, NAME) is None
    assert ledger.slot(NS, NAME) is None
    assert [ledger.upload(upload_id) for upload_id in (ID, f"{ID}#0", "x" * 5_000)] == [None, None, None]
    assert dues(ledger) == set()


def test_begin_keeps_every_field_and_takes_the_slot(ledger: Ledger) -> None:
    """What was put is what is read; stripes are open, nothing is received, the session is due."""
    session = replace(
        session_of(grid=STRIPED),
        metadata={"colour": "grün", "empty": ""},
        crc32c=0,
        fingerprint="inode 5",
        replace=True,
    )
    ledger.begin(session, over=None, due=START + 1)
    upload = seen(ledger)
    assert upload.session == session
    assert [(row.stripe, row.open, row.touched, row.all_bits, row.received) for row in upload.stripes] == [
        (number, True, START, 0, 0) for number in range(3)
    ]
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, ID, open=True)
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + 1)}


@pytest.mark.parametrize(
    "over",
    [None, Slot(NS, NAME, ID, open=True), Slot(NS, NAME, OTHER, open=False)],
    ids=["as if absent", "in progress", "another"],
)
def test_begin_does_not_take_a_slot_in_progress(ledger: Ledger, over: Slot | None) -> None:
    """While an upload is in progress no other begins, and nothing of it is written."""
    begun(ledger)
    with pytest.raises(Moved):
        ledger.begin(session_of(OTHER), over=over, due=START + 1)
    assert ledger.upload(OTHER) is None
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, ID, open=True)


def test_begin_takes_a_slot_that_is_as_it_was_read(ledger: Ledger) -> None:
    """An ended upload's slot is taken over once; who read it before that has lost."""
    ledger.end(begun(ledger), State.CANCELLED, now=START + 1, ttl=TTL)
    over = ledger.slot(NS, NAME)
    ledger.begin(session_of(OTHER), over=over, due=START + 1)
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, OTHER, open=True)
    with pytest.raises(Moved):
        ledger.begin(session_of(THIRD), over=over, due=START + 1)
    with pytest.raises(Moved):
        ledger.begin(session_of(THIRD), over=None, due=START + 1)


def test_opened_once(ledger: Ledger) -> None:
    """creating → open happens once, notes the multipart upload and the new time, and moves the version."""
    before = begun(ledger).session
    ledger.opened(ID, "multipart", due=START + IDLE)
    assert seen(ledger).session == replace(
        before, state=State.OPEN, multipart_id="multipart", version=before.version + 1
    )
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + IDLE)}
    for upload_id in (ID, OTHER):
        with pytest.raises(Moved):
            ledger.opened(upload_id, "another", due=START + IDLE)
    assert seen(ledger).session.multipart_id == "multipart"


def test_an_empty_file_is_opened_without_a_multipart_upload(ledger: Ledger) -> None:
    """There is nothing to upload, so there is no multipart id."""
    begun(ledger)
    ledger.opened(ID, None, due=START + IDLE)
    assert (seen(ledger).session.state, seen(ledger).session.multipart_id) == (State.OPEN, None)


def test_lease_closes_every_stripe(ledger: Ledger) -> None:
    """A lease notes who completes until when and what was asked; no chunk is recorded any more."""
    before = opened(ledger, grid=STRIPED)
    take(ledger, before)
    upload = seen(ledger)
    assert upload.session == replace(
        before.session,
        state=State.COMPLETING,
        attempt="mine",
        lease_until=START + 60_000,
        leased_at=START + 10,
        lease_replace=True,
        lease_crc32c=7,
        version=before.session.version + 1,
    )
    assert [(row.open, row.epoch) for row in upload.stripes] == [(False, row.epoch + 2) for row in before.stripes]
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + 60_000)}
    for index in (1, 200, 9_216):
        with pytest.raises(Moved):
            record(ledger, before, index)


def test_lease_is_taken_over_only_when_it_has_lapsed(ledger: Ledger) -> None:
    """A live lease stands; a lapsed one is taken over by one of those who saw it, the first time of all is kept."""
    upload = leased(ledger)
    for now in (START + 11, START + 60_000):
        with pytest.raises(Moved):
            take(ledger, upload, "other", now)
    take(ledger, upload, "other", START + 60_001)
    with pytest.raises(Moved):
        take(ledger, upload, "third", START + 60_001)
    session = seen(ledger).session
    assert (session.attempt, session.leased_at) == ("other", START + 10)


def test_a_lease_that_is_handed_on_is_taken_over_once(ledger: Ledger) -> None:
    """Naming its attempt takes over a live lease; naming another does not, and neither does naming it again."""
    upload = leased(ledger)
    with pytest.raises(Moved):
        take(ledger, upload, "worker", after="another")
    take(ledger, upload, "worker", after="mine")
    for stale in (upload, seen(ledger)):
        with pytest.raises(Moved):
            take(ledger, stale, "second", after="mine")
    session = seen(ledger).session
    assert (session.state, session.attempt, session.leased_at) == (State.COMPLETING, "worker", START + 10)
    ledger.unlease(seen(ledger), attempt="worker", made=None, forget=(), due=START + IDLE)
    with pytest.raises(Moved):
        take(ledger, upload, "late", after="mine")


def test_lease_needs_the_version_that_was_read(ledger: Ledger) -> None:
    """Who read the session before it was given back knows too little to lease it."""
    upload = opened(ledger)
    take(ledger, upload)
    ledger.unlease(seen(ledger), attempt="mine", made=None, forget=(), due=START + IDLE)
    with pytest.raises(Moved):
        take(ledger, upload, "other")
    take(ledger, seen(ledger), "other")


def test_lease_of_what_is_not_open(ledger: Ledger) -> None:
    """creating and ended sessions are not leased."""
    upload = begun(ledger)
    with pytest.raises(Moved):
        take(ledger, upload)
    ledger.end(upload, State.CANCELLED, now=START + 1, ttl=TTL)
    with pytest.raises(Moved):
        take(ledger, seen(ledger))


def test_unlease_opens_again(ledger: Ledger) -> None:
    """The session is as before the lease, but further; who computed before the lease is fenced out."""
    before = opened(ledger)
    record(ledger, before, 1)
    take(ledger, seen(ledger))
    closed = seen(ledger)
    ledger.unlease(closed, attempt="mine", made=None, forget=(), due=START + IDLE)
    after = seen(ledger)
    assert after.session == replace(before.session, leased_at=START + 10, version=closed.session.version + 1)
    assert (after.chunks(), after.received) == (closed.chunks(), closed.received)
    assert after.version > closed.version
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + IDLE)}
    with pytest.raises(Moved):
        record(ledger, before, 2)
    record(ledger, after, 2)
    assert seen(ledger).chunks() == [1, 2]


def test_unlease_forgets_chunks(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgotten chunks count no more, wherever they were noted, and can be recorded again."""
    monkeypatch.setattr("ferry.model.FOLD_AT", 1)
    opened(ledger, grid=STRIPED)
    for index in (1, 2, 129, 9_216, 3):
        record(ledger, seen(ledger), index)
    take(ledger, seen(ledger))
    ledger.unlease(seen(ledger), attempt="mine", made=None, forget=[2, 3, 9_216, 9_215], due=START + IDLE)
    after = seen(ledger)
    assert (after.chunks(), after.received) == ([1, 129], 2 * 65_536)
    assert all(row.open for row in after.stripes)
    record(ledger, after, 2)
    assert seen(ledger).chunks() == [1, 2, 129]


def test_unlease_with_the_object_made_takes_no_more_chunks(ledger: Ledger) -> None:
    """An object that exists is noted, and the stripes stay closed."""
    upload = leased(ledger)
    ledger.unlease(upload, attempt="mine", made=MADE, forget=(), due=START + IDLE)
    after = seen(ledger)
    assert (after.session.state, after.session.made, after.session.attempt) == (State.OPEN, MADE, None)
    with pytest.raises(Moved):
        record(ledger, after, 1)
    with pytest.raises(Moved):
        ledger.mark_direct(after, now=START + 1)
    take(ledger, after, "other")


def test_only_the_holder_of_the_lease_writes(ledger: Ledger) -> None:
    """Every write out of completing demands the lease; none of the others changes anything."""
    upload = leased(ledger)
    other = replace(upload.session, attempt="other")
    with pytest.raises(Moved):
        ledger.unlease(upload, attempt="other", made=None, forget=(), due=1)
    with pytest.raises(Moved):
        ledger.finish(other, file_of(), over=None, stages_due=1, object_due=1, ttl=TTL)
    with pytest.raises(Moved):
        ledger.end(upload, State.EXPIRED, now=START + 1, ttl=TTL, attempt="other")
    assert seen(ledger) == upload
    assert ledger.file(NS, NAME) is None
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + 60_000)}


def test_finish_switches_the_pointer(ledger: Ledger) -> None:
    """The file is there, the session has it as its answer, the slot is free, the stages are to be removed."""
    upload = leased(ledger)
    file = file_of()
    ledger.finish(upload.session, file, over=None, stages_due=START + 20, object_due=START + 30, ttl=TTL)
    assert ledger.file(NS, NAME) == file
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, ID, open=False)
    session = seen(ledger).session
    assert (session.state, session.answer, session.ended) == (State.COMPLETE, file, file.uploaded_at)
    assert session.version == upload.session.version + 1
    assert dues(ledger) == {Due(DueKind.STAGES, ID, START + 20)}
    with pytest.raises(Moved):
        ledger.finish(upload.session, file, over=None, stages_due=1, object_due=1, ttl=TTL)


def test_finish_over_another_file_leaves_a_tomb_for_its_object(ledger: Ledger) -> None:
    """A replaced file's object is to be removed, later."""
    old = finished(ledger, OTHER)
    finished(ledger, ID)
    found = ledger.file(NS, NAME)
    assert found == file_of(ID)
    assert found != old
    assert dues(ledger) == {
        Due(DueKind.STAGES, OTHER, START + 20),
        Due(DueKind.STAGES, ID, START + 20),
        Due(DueKind.OBJECT, OTHER, START + 30),
    }


def test_finish_only_over_the_file_that_was_read(ledger: Ledger) -> None:
    """A file that came, went or changed meanwhile stops the switch, and nothing at all is written."""
    old = finished(ledger, OTHER)
    upload = leased(ledger, ID)
    before = dues(ledger)
    for over in (None, replace(old, upload_id=THIRD)):
        with pytest.raises(Moved):
            ledger.finish(upload.session, file_of(), over=over, stages_due=1, object_due=1, ttl=TTL)
    assert ledger.file(NS, NAME) == old
    assert seen(ledger) == upload
    assert dues(ledger) == before
    ledger.delete_file(old, object_due=START + 40, now=START)
    with pytest.raises(Moved):
        ledger.finish(upload.session, file_of(), over=old, stages_due=1, object_due=1, ttl=TTL)
    ledger.finish(upload.session, file_of(), over=None, stages_due=1, object_due=1, ttl=TTL)


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED])
@pytest.mark.parametrize("prepare", [begun, opened])
def test_end(ledger: Ledger, state: State, prepare: object) -> None:
    """creating and open uploads end: closed, due at once, the slot free for another."""
    assert callable(prepare)
    upload = prepare(ledger, grid=STRIPED)
    ledger.end(upload, state, now=START + 50, ttl=TTL)
    after = seen(ledger)
    assert after.session == replace(upload.session, state=state, ended=START + 50, version=upload.session.version + 1)
    assert [(row.open, row.epoch) for row in after.stripes] == [(False, 2)] * 3
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, ID, open=False)
    assert dues(ledger) == {Due(DueKind.SESSION, ID, START + 50)}
    with pytest.raises(Moved):
        record(ledger, upload, 1)
    with pytest.raises(Moved):
        ledger.end(upload, state, now=START + 50, ttl=TTL)


def test_expire_spares_what_was_touched(ledger: Ledger) -> None:
    """Activity since the read saves an upload from expiry, on whatever stripe it was; not from being cancelled."""
    upload = opened(ledger, grid=STRIPED)
    record(ledger, upload, 129, now=START + 77)
    with pytest.raises(Moved):
        ledger.end(upload, State.EXPIRED, now=START + 78, ttl=TTL)
    assert seen(ledger).session == upload.session
    ledger.end(upload, State.CANCELLED, now=START + 78, ttl=TTL)


def test_end_of_a_session_that_was_opened_since_it_was_read(ledger: Ledger) -> None:
    """Who saw `creating` knows no multipart id, and could not clean up after an open one."""
    upload = begun(ledger)
    ledger.opened(ID, "multipart", due=START + IDLE)
    with pytest.raises(Moved):
        ledger.end(upload, State.CANCELLED, now=START + 1, ttl=TTL)


def test_end_under_a_lease(ledger: Ledger) -> None:
    """Completing uploads end only by whoever holds the lease."""
    upload = leased(ledger)
    with pytest.raises(Moved):
        ledger.end(upload, State.CANCELLED, now=START + 50, ttl=TTL)
    ledger.end(upload, State.EXPIRED, now=START + 50, ttl=TTL, attempt="mine")
    session = seen(ledger).session
    assert (session.state, session.attempt, session.ended) == (State.EXPIRED, None, START + 50)
    assert ledger.slot(NS, NAME) == Slot(NS, NAME, ID, open=False)


def test_end_of_a_finished_upload(ledger: Ledger) -> None:
    """What is complete stays complete."""
    finished(ledger)
    upload = seen(ledger)
    for attempt in (None, "mine"):
        with pytest.raises(Moved):
            ledger.end(upload, State.CANCELLED, now=START + 50, ttl=TTL, attempt=attempt)
    assert seen(ledger) == upload


def test_swept(ledger: Ledger) -> None:
    """What has left nothing behind is due no more, but its stages are looked at once again."""
    ledger.end(opened(ledger), State.CANCELLED, now=START + 50, ttl=TTL)
    ledger.swept(ID, stages_due=START + 90, ttl=TTL)
    assert seen(ledger).session.swept
    assert dues(ledger) == {Due(DueKind.STAGES, ID, START + 90)}
    opened(ledger, OTHER)
    with pytest.raises(Moved):
        ledger.swept(OTHER, stages_due=START + 90, ttl=TTL)


def test_delete_file(ledger: Ledger) -> None:
    """The pointer goes, its object gets a tomb; only the file that was read is deleted."""
    old = finished(ledger, OTHER)
    file = finished(ledger, ID)
    with pytest.raises(Moved):
        ledger.delete_file(old, object_due=START + 40, now=START)
    ledger.delete_file(file, object_due=START + 40, now=START)
    assert ledger.file(NS, NAME) is None
    assert Due(DueKind.OBJECT, ID, START + 40) in dues(ledger)
    with pytest.raises(Moved):
        ledger.delete_file(file, object_due=START + 50, now=START)
    assert Due(DueKind.OBJECT, ID, START + 50) not in dues(ledger)


def test_the_largest_upload_fits_into_each_transaction(ledger: Ledger) -> None:
    """Ninety stripes begin, are marked, leased, opened again and finished."""
    upload = opened(ledger, grid=LARGEST)
    assert len(upload.stripes) == 90
    record(ledger, upload, 276_480)
    ledger.mark_direct(upload, now=START + 5)
    take(ledger, seen(ledger))
    ledger.unlease(seen(ledger), attempt="mine", made=None, forget=[276_480], due=START + IDLE)
    assert seen(ledger).received == 0
    take(ledger, seen(ledger), "again")
    ledger.end(seen(ledger), State.EXPIRED, now=START + 50, ttl=TTL, attempt="again")
    assert seen(ledger).session.state is State.EXPIRED
    assert ledger.erase_rows(ID, until=LATER)
    assert seen(ledger).stripes == ()
