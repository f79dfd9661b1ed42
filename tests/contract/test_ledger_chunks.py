"""The ledger's contract: claims, and the counting of chunks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ferry.model import Claim, Progress, State
from ferry.ports import Ledger, Moved
from tests.contract.conftest import DYNAMODB_LOCAL, MEMORY
from tests.contract.rows import ID, LATER, OTHER, STRIPED, TTL, leased, opened, record, seen
from tests.fakes.clock import START

FIRST = Claim(bytes(range(16)), 0)
SECOND = Claim(bytes(16), 0xFFFFFFFF)


AT_FIRST = Progress(0, open=True, touched=START)
"""How a stripe looks before anything was recorded."""


def put(ledger: Ledger, bit: int, seen: Progress = AT_FIRST, *, only_chunks: bool = False) -> Progress:
    return ledger.record(ID, seen, bit, 10, only_chunks=only_chunks, now=START + 100 + bit)


def row(ledger: Ledger) -> Progress:
    return seen(ledger).stripes[0]


def test_the_first_claim_stays(ledger: Ledger) -> None:
    """The same claim passes again; another one is answered with the first."""
    assert ledger.claim(ID, 1, 1, FIRST) == {1: FIRST}
    assert ledger.claim(ID, 1, 1, FIRST) == {1: FIRST}
    assert ledger.claim(ID, 1, 1, SECOND) == {1: FIRST}
    assert ledger.claim(ID, 1, 1, replace(FIRST, crc32c=1)) == {1: FIRST}
    assert ledger.claims(ID, 1) == {1: FIRST}


def test_claims_are_of_their_part(ledger: Ledger) -> None:
    """A part's claims are answered together, those of other parts and uploads are not among them."""
    ledger.claim(ID, 1, 1, FIRST)
    assert ledger.claim(ID, 1, 2, SECOND) == {1: FIRST, 2: SECOND}
    for part in (2, 3, 4, 10_000):
        assert ledger.claim(ID, part, part * 2, FIRST) == {part * 2: FIRST}
    ledger.claim(OTHER, 1, 1, SECOND)
    assert ledger.claims(ID, 1) == {1: FIRST, 2: SECOND}
    assert ledger.claims(ID, 7) == {}
    assert ledger.all_claims(ID) == {
        1: {1: FIRST, 2: SECOND},
        2: {4: FIRST},
        3: {6: FIRST},
        4: {8: FIRST},
        10_000: {20_000: FIRST},
    }


def test_record_counts_and_touches(ledger: Ledger) -> None:
    """The answer is the row as it stands: the bit, the bytes, the version and the time; the epoch stays."""
    opened(ledger)
    assert put(ledger, 3) == Progress(
        0, open=True, touched=START + 103, recent=frozenset({3}), received=10, epoch=0, version=1
    )
    assert put(ledger, 0) == Progress(
        0, open=True, touched=START + 100, recent=frozenset({0, 3}), received=20, epoch=0, version=2
    )
    assert seen(ledger).received == 20


def test_record_counts_once(ledger: Ledger) -> None:
    """The same chunk again is refused, with the row that has it; nothing is counted."""
    opened(ledger)
    stands = put(ledger, 3)
    with pytest.raises(Moved) as moved:
        put(ledger, 3)
    assert moved.value.progress == stands == row(ledger)


def test_record_where_there_is_nothing(ledger: Ledger) -> None:
    """An upload or a stripe that is not there is not brought to life."""
    with pytest.raises(Moved) as moved:
        put(ledger, 3)
    assert moved.value.progress is None
    opened(ledger)
    with pytest.raises(Moved):
        put(ledger, 3, replace(AT_FIRST, stripe=1))
    assert len(seen(ledger).stripes) == 1


def test_record_after_the_close(ledger: Ledger) -> None:
    """Whatever closed the upload fences out who was late, however much of it was seen."""
    closed = leased(ledger).stripes[0]
    for read in (AT_FIRST, closed):
        with pytest.raises(Moved) as moved:
            put(ledger, 3, read)
        assert moved.value.progress == closed


@pytest.fixture
def folds_at_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stripe is folded by whoever sees two recent chunks."""
    monkeypatch.setattr("ferry.model.FOLD_AT", 2)


@pytest.mark.usefixtures("folds_at_two")
def test_a_fold_moves_on_in_two_steps(ledger: Ledger) -> None:
    """recent → before → bits, along with a record; the epoch counts, nothing is lost or counted twice."""
    opened(ledger)
    put(ledger, 0)
    before = put(ledger, 9)
    first = put(ledger, 1_000, before)
    assert first == replace(
        before,
        recent=frozenset({1_000}),
        before=frozenset({0, 9}),
        epoch=1,
        version=3,
        received=30,
        touched=START + 1_100,
    )
    second = put(ledger, 6, put(ledger, 5, first))
    assert (second.bits, second.before, second.recent) == (0b1000000001, frozenset({1_000, 5}), frozenset({6}))
    assert (second.epoch, second.version, second.received) == (2, 5, 50)
    third = put(ledger, 8, put(ledger, 7, second))
    assert (third.bits, third.before) == (0b1000000001 | 1 << 1_000 | 1 << 5, frozenset({6, 7}))
    assert row(ledger) == third


@pytest.mark.usefixtures("folds_at_two")
def test_a_fold_keeps_what_came_between(ledger: Ledger) -> None:
    """A chunk recorded between the read and the fold is not lost."""
    opened(ledger)
    put(ledger, 0)
    before = put(ledger, 1)
    put(ledger, 7)
    assert put(ledger, 8, before).before == frozenset({0, 1, 7})


@pytest.mark.usefixtures("folds_at_two")
def test_only_one_folds(ledger: Ledger) -> None:
    """Of two who saw the same row one folds; the other is shown the row as it is, and can go on from there."""
    opened(ledger)
    put(ledger, 0)
    before = put(ledger, 1)
    folded = put(ledger, 2, before)
    with pytest.raises(Moved) as moved:
        put(ledger, 3, before)
    assert moved.value.progress == folded
    assert put(ledger, 3, folded).received == 40


@pytest.mark.usefixtures("folds_at_two")
def test_a_fold_disturbs_no_record(ledger: Ledger) -> None:
    """Who saw the chunk missing one fold ago may record it, once; after two folds it must read again."""
    opened(ledger)
    put(ledger, 0)
    once = put(ledger, 2, put(ledger, 1))
    for bit in (0, 1, 2):
        with pytest.raises(Moved):
            put(ledger, bit)
    put(ledger, 3)
    twice = put(ledger, 4, row(ledger))
    assert (once.epoch, twice.epoch) == (1, 2)
    for bit in (0, 2, 3, 5):
        with pytest.raises(Moved):
            put(ledger, bit)
    assert put(ledger, 5, once).received == 60


def test_record_of_a_later_epoch(ledger: Ledger) -> None:
    """An epoch that has not begun is not that of any row."""
    opened(ledger)
    with pytest.raises(Moved):
        put(ledger, 0, replace(AT_FIRST, epoch=1))


def test_only_chunks(ledger: Ledger) -> None:
    """Once URLs may have been signed, a record that rests on there being none is refused; others go on."""
    upload = opened(ledger, grid=STRIPED)
    record(ledger, upload, 1, only_chunks=True)
    ledger.mark_direct(upload, now=START + 500)
    marked = seen(ledger)
    assert [(stripe.direct, stripe.touched, stripe.version) for stripe in marked.stripes] == [
        (True, START + 500, 2),
        (True, START + 500, 1),
        (True, START + 500, 1),
    ]
    for index in (2, 129, 257):
        with pytest.raises(Moved):
            record(ledger, upload, index, only_chunks=True)
        record(ledger, upload, index)
    ledger.mark_direct(marked, now=START + 600)
    assert seen(ledger).touched == START + 600


def test_touch(ledger: Ledger) -> None:
    """Activity is noted on the first stripe, while it is open."""
    with pytest.raises(Moved):
        ledger.touch(ID, now=START + 1)
    upload = opened(ledger, grid=STRIPED)
    ledger.touch(ID, now=START + 1)
    assert [stripe.touched for stripe in seen(ledger).stripes] == [START + 1, START, START]
    assert seen(ledger).version == upload.version + 1
    ledger.end(seen(ledger), State.CANCELLED, now=START + 2, ttl=TTL)
    with pytest.raises(Moved):
        ledger.touch(ID, now=START + 3)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto checks a condition and writes in two steps, with no lock between
def test_many_senders_at_once(ledger: Ledger) -> None:
    """However many record the same chunks at once, each counts once."""
    opened(ledger)

    def attempt(number: int) -> bool:
        try:
            put(ledger, number % 20)
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(100))) == 20
    assert (row(ledger).received, row(ledger).recent) == (200, frozenset(range(20)))


def test_erase_rows(ledger: Ledger) -> None:
    """Stripes and claims go, of this upload only; the session stays. Again is no error."""
    opened(ledger, grid=STRIPED)
    opened(ledger, OTHER, name="other", grid=STRIPED)
    for upload_id in (ID, OTHER):
        for part in range(1, 41):
            ledger.claim(upload_id, part, part, FIRST)
    assert ledger.erase_rows(ID, until=LATER)
    assert seen(ledger).stripes == ()
    assert ledger.all_claims(ID) == {}
    assert len(seen(ledger, OTHER).stripes) == 3
    assert len(ledger.all_claims(OTHER)) == 40
    assert ledger.erase_rows(ID, until=LATER)
