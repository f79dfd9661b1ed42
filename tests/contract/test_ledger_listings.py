"""The ledger's contract: listings by name, the index of what is due, and their cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from ferry.errors import InvalidField
from ferry.model import Due, DueKind, State
from ferry.ports import Ledger, Moved, Page
from tests.contract.rows import NS, TTL, begun, file_of, finished, opened, seen, session_of
from tests.fakes.clock import START

T = TypeVar("T")

NAMES = ["#", "%2e%2e", "F#", "Z", "a", "a b", "aa", "a\U0001f600", "partial", "ä", "שלום", "\uffee", "\U0001f600"]
"""By the bytes of their UTF-8, which is not the order of UTF-16."""


def ids() -> Callable[[], str]:
    numbers = iter(range(1, 1_000))
    return lambda: f"{next(numbers):032x}"


def walk(page_at: Callable[[str | None], Page[T]]) -> list[list[T]]:
    """All pages' items."""
    pages = []
    cursor = None
    while True:
        page = page_at(cursor)
        pages.append(list(page.items))
        cursor = page.cursor
        if cursor is None:
            return pages


def test_files_in_order(ledger: Ledger) -> None:
    """Files come by the bytes of their names, whole, and from their own namespace only."""
    next_id = ids()
    for name in reversed(NAMES):
        finished(ledger, next_id(), name=name)
    assert [file.name for file in ledger.files(NS, "", None, 100).items] == NAMES
    first = ledger.files(NS, "", None, 100).items[0]
    assert first == file_of(first.upload_id, name="#")
    assert ledger.files("ns2", "", None, 100) == Page([])
    assert ledger.files("n", "", None, 100) == Page([])


@pytest.mark.parametrize("limit", [1, 2, 3, 12, 13, 14])
def test_files_page_by_page(ledger: Ledger, limit: int) -> None:
    """Pages are full but the last, and no empty one follows."""
    next_id = ids()
    for name in NAMES:
        finished(ledger, next_id(), name=name)
    pages = walk(lambda cursor: ledger.files(NS, "", cursor, limit))
    assert [file.name for page in pages for file in page] == NAMES
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_files_by_prefix(ledger: Ledger) -> None:
    """A prefix is one of the name as it is, and may be longer than any."""
    next_id = ids()
    for name in NAMES:
        finished(ledger, next_id(), name=name)
    assert [file.name for file in ledger.files(NS, "a", None, 100).items] == ["a", "a b", "aa", "a\U0001f600"]
    pages = walk(lambda cursor: ledger.files(NS, "a", cursor, 3))
    assert [[file.name for file in page] for page in pages] == [["a", "a b", "aa"], ["a\U0001f600"]]
    assert ledger.files(NS, "b", None, 100) == Page([])
    assert ledger.files(NS, "a" * 3_000, None, 100) == Page([])


def test_a_cursor_outlives_its_file(ledger: Ledger) -> None:
    """The file a page ended with may be deleted before the next page is asked for."""
    next_id = ids()
    for name in "abc":
        finished(ledger, next_id(), name=name)
    page = ledger.files(NS, "", None, 2)
    ledger.delete_file(page.items[1], object_due=START, now=START)
    assert [file.name for file in ledger.files(NS, "", page.cursor, 2).items] == ["c"]


def test_open_slots(ledger: Ledger) -> None:
    """Slots in progress, by name; pages may be short or empty as long as they say so."""
    next_id = ids()
    for number in range(9):
        name = f"name {number}"
        if number % 3:
            finished(ledger, next_id(), name=name)
        else:
            opened(ledger, next_id(), name=name)
    for limit in (1, 2, 9, 100):
        pages = walk(partial(ledger.open_slots, NS, limit=limit))
        assert [slot.name for page in pages for slot in page] == ["name 0", "name 3", "name 6"]
        assert all(slot.open for page in pages for slot in page)
    assert walk(lambda cursor: ledger.open_slots("ns2", cursor, 10)) == [[]]


def forged(*values: object) -> str:
    """A cursor as somebody might make one."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


GARBLED = [
    "",
    "x",
    "no base64!",
    "é",
    "AAAA",
    forged(),
    forged("files"),
    forged("files", NS, "p"),
    forged("files", NS, "p", "other prefix"),
    forged("files", NS, "p", ""),
    forged("files", NS, "p", 5),
    forged("files", NS, "p", None),
    forged("files", NS, "p", ["p"]),
    forged("files", NS, "p", "p\ud800"),
    forged("files", NS, "p", "p" * 1_023),
    forged("files", NS, "p", "p" * 100_000),
    forged("files", NS, "p", "p1", "p2"),
    "W" * 3_000,
]


@pytest.mark.parametrize("cursor", GARBLED, ids=range(len(GARBLED)))
def test_a_garbled_cursor(ledger: Ledger, cursor: str) -> None:
    """What this listing has not given is refused as the client's mistake, whichever listing it is shown to."""
    asked: list[Callable[[], object]] = [
        lambda: ledger.files(NS, "p", cursor, 10),
        lambda: ledger.open_slots(NS, cursor, 10),
        lambda: ledger.due(START, cursor, 10),
    ]
    for ask in asked:
        with pytest.raises(InvalidField) as refused:
            ask()
        assert refused.value.extra["errors"][0]["loc"] == ["cursor"]


def test_a_foreign_cursor(ledger: Ledger) -> None:
    """A cursor of another namespace, prefix or listing is refused."""
    next_id = ids()
    for name in ("pa", "pb", "pc"):
        finished(ledger, next_id(), name=name)
    opened(ledger, next_id(), name="pd")
    files = ledger.files(NS, "p", None, 1).cursor
    slots = ledger.open_slots(NS, None, 1).cursor
    due = ledger.due(10**13, None, 1).cursor
    assert None not in (files, slots, due)
    asked: list[Callable[[], object]] = [
        lambda: ledger.files("ns2", "p", files, 1),
        lambda: ledger.files(NS, "", files, 1),
        lambda: ledger.files(NS, "p", slots, 1),
        lambda: ledger.open_slots("ns2", slots, 1),
        lambda: ledger.open_slots(NS, files, 1),
        lambda: ledger.open_slots(NS, due, 1),
        lambda: ledger.due(10**13, files, 1),
    ]
    for ask in asked:
        with pytest.raises(InvalidField):
            ask()


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31, 100])
def test_due_page_by_page(ledger: Ledger, limit: int) -> None:
    """Every entry whose time has come, once; none whose time has not."""
    next_id = ids()
    expected = set()
    for number in range(40):
        upload_id = next_id()
        begun_due = START + number
        ledger.begin(session_of(upload_id, name=f"name {number}"), over=None, due=begun_due)
        if number < 30:
            expected.add(Due(DueKind.SESSION, upload_id, begun_due))
    pages = walk(lambda cursor: ledger.due(START + 29, cursor, limit))
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    entries = [entry for page in pages for entry in page]
    assert set(entries) == expected
    assert len(entries) == 30


def test_reschedule(ledger: Ledger) -> None:
    """A row is looked at again at another time, if it has the time that was seen."""
    upload_id = "a" * 32
    finished(ledger, "b" * 32, name="other")
    begun(ledger, upload_id)
    session = Due(DueKind.SESSION, upload_id, START + 1)
    stages = Due(DueKind.STAGES, "b" * 32, START + 20)
    assert set(ledger.due(START + 20, None, 10).items) == {session, stages}
    before = seen(ledger, upload_id)
    for entry in (session, stages):
        ledger.reschedule(entry, START + 1_000)
        with pytest.raises(Moved):
            ledger.reschedule(entry, START + 2_000)
    assert ledger.due(START + 999, None, 10).items == []
    assert {entry.due for entry in ledger.due(START + 1_000, None, 10).items} == {START + 1_000}
    assert seen(ledger, upload_id) == before
    with pytest.raises(Moved):
        ledger.reschedule(Due(DueKind.OBJECT, upload_id, START), START + 1)


def test_bury(ledger: Ledger) -> None:
    """A tomb whose work is done is gone, and gone once more; a session is none."""
    upload_id = "a" * 32
    ledger.end(opened(ledger, upload_id), State.CANCELLED, now=START, ttl=TTL)
    with pytest.raises(ValueError, match="tomb"):
        ledger.bury(Due(DueKind.SESSION, upload_id, START))
    ledger.swept(upload_id, stages_due=START + 5, ttl=TTL)
    entry = Due(DueKind.STAGES, upload_id, START + 5)
    assert ledger.due(START + 5, None, 10).items == [entry]
    for _ in range(2):
        ledger.bury(entry)
        assert ledger.due(START + 5, None, 10).items == []
    assert seen(ledger, upload_id).session.swept
