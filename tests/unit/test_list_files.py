"""Listings of files and folders, page by page, against a sorted model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.fakes.faults import CallLog
from ferry.errors import InvalidField
from ferry.files import list as listings
from ferry.files.list import FileListing, ListQuery, list_files
from ferry.rules.filenames import normalize_filename
from ferry.services import Services
from tests.support.files import put_file
from tests.support.in_memory_service import NS, InMemoryService

SEGMENTS = ("a", "a0", "0", "b", "🚢", "\U0010ffff", "e\u0301", "e\u0302", "é", "ä", "#", "שלום", "a b", ".", "a.")
segments = st.sampled_from([segment for segment in SEGMENTS if segment != "."])
names = st.lists(segments, min_size=1, max_size=4).map("/".join).map(normalize_filename)
prefixes = st.one_of(st.just(""), names, names.map(lambda name: name + "/"), names.map(lambda name: name[:-1]))
limits = st.sampled_from((1, 2, 3, 7, 100))


def service_with(*file_names: str) -> InMemoryService:
    """Return a service with a file of each name."""
    service = InMemoryService()
    for name in file_names:
        put_file(service, name)
    return service


def expected_entries(file_names: set[str], prefix: str, *, by_folder: bool) -> list[str]:
    """Return the entries of a listing, from the definition: folders once, in the order of their bytes."""
    entries = set()
    for name in file_names:
        if name.startswith(prefix):
            end = name.find("/", len(prefix))
            entries.add(name[: end + 1] if by_folder and end >= 0 else name)
    return sorted(entries, key=str.encode)


def entries_of(page: FileListing) -> list[str]:
    """Return the names and folders of a page in order, and check that each kind is in order itself."""
    found = [file.name for file in page.files]
    assert found == sorted(found, key=str.encode)
    assert page.prefixes == sorted(page.prefixes, key=str.encode)
    return sorted([*found, *page.prefixes], key=str.encode)


def collect_pages(
    services: Services, prefix: str = "", *, between: Callable[[], object] = lambda: None, **options: Any
) -> list[list[str]]:
    """Return the entries of each page. `between` runs after each."""
    pages, cursor = [], None
    while True:
        page = list_files(services, NS, ListQuery(prefix, cursor=cursor, **options))
        pages.append(entries_of(page))
        cursor = page.cursor
        if cursor is None:
            return pages
        between()


@given(st.sets(names, max_size=30), prefixes, st.booleans(), limits)
def test_list_files_any_names_pages_match_sorted_model(
    file_names: set[str], prefix: str, by_folder: bool, limit: int
) -> None:
    """Every entry is listed once, in UTF-8 byte order across files and folders, on full pages."""
    pages = collect_pages(service_with(*file_names).services, prefix, by_folder=by_folder, limit=limit)
    assert [entry for page in pages for entry in page] == expected_entries(file_names, prefix, by_folder=by_folder)
    assert all(len(page) == limit for page in pages[:-1])
    assert pages == [[]] or all(pages)


@given(
    st.sets(names, min_size=1, max_size=20),
    st.lists(st.tuples(st.booleans(), names), max_size=30),
    prefixes,
    st.booleans(),
    st.sampled_from((1, 2, 3)),
)
def test_list_files_while_names_change_lists_lasting_ones_once(
    lasting: set[str], changes: list[tuple[bool, str]], prefix: str, by_folder: bool, limit: int
) -> None:
    """What is there throughout is listed once, alone or as its folder, whatever comes and goes between pages."""
    service = service_with(*lasting)
    rows, pending = service.upload_repository.rows, iter(changes)

    def change() -> None:
        for is_new, name in (next(pending, (False, "")), next(pending, (False, ""))):
            if is_new:
                put_file(service, name)
            elif name not in lasting:
                rows.files.pop((NS, name), None)

    pages = collect_pages(service.services, prefix, between=change, by_folder=by_folder, limit=limit)
    listed = [entry for page in pages for entry in page]
    assert len(set(listed)) == len(listed)
    assert set(expected_entries(lasting, prefix, by_folder=by_folder)) <= set(listed)
    possible = lasting | {name for is_new, name in changes if is_new}
    assert set(listed) <= set(expected_entries(possible, prefix, by_folder=by_folder))


def test_list_files_cursor_of_deleted_entries_continues() -> None:
    """The files at both sides of a page's end may be deleted: the next page continues behind the first."""
    service = service_with("a", "b", "c", "d")
    page = list_files(service.services, NS, ListQuery(limit=2))
    for name in ("b", "c"):
        del service.upload_repository.rows.files[NS, name]
    assert entries_of(list_files(service.services, NS, ListQuery(limit=2, cursor=page.cursor))) == ["d"]


def test_list_files_folder_beside_neighbors_lists_all() -> None:
    """The names that sort directly in front of and behind a folder are not skipped by the jump over it."""
    names_around = ["a", "a!", "a.", "a/b", "a/c", "a0", "a00", "a0/x"]
    service = service_with(*names_around)
    for limit in range(1, 9):
        pages = collect_pages(service.services, by_folder=True, limit=limit)
        assert [entry for page in pages for entry in page] == ["a", "a!", "a.", "a/", "a0", "a0/", "a00"]


LONG_FOLDER = "/".join(["x" * 255] * 3 + ["y" * 230])


def test_list_files_longest_names_jump() -> None:
    """A folder of 999 bytes is jumped over, and a name of 1,000 bytes is a cursor."""
    file_names = [f"{LONG_FOLDER}/z", f"{LONG_FOLDER}0z"]
    assert [len(name.encode()) for name in file_names] == [1_000, 1_000]
    service = service_with(*file_names)
    prefix = LONG_FOLDER[:-1]
    pages = collect_pages(service.services, prefix, by_folder=True, limit=1)
    assert pages == [[f"{LONG_FOLDER}/"], [f"{LONG_FOLDER}0z"]]
    assert collect_pages(service.services, file_names[1], limit=1) == [[file_names[1]]]
    assert collect_pages(service.services, "x" * 1_001) == [[]]


@pytest.mark.parametrize("change", [{"prefix": "a"}, {"prefix": "a/b"}, {"by_folder": True}], ids=str)
def test_list_files_cursor_of_other_query_raises(change: dict[str, Any]) -> None:
    """A cursor of another prefix or delimiter is rejected, and so is that of another namespace."""
    service = service_with("a/1", "a/2", "a/b1")
    cursor = list_files(service.services, NS, ListQuery("a/", limit=1)).cursor
    assert cursor is not None
    with pytest.raises(InvalidField):
        list_files(service.services, NS, ListQuery(**{"prefix": "a/", "cursor": cursor, **change}))
    with pytest.raises(InvalidField):
        list_files(service.services, "other", ListQuery("a/", cursor=cursor))


def calls_of(service: InMemoryService, query: ListQuery) -> list[tuple[int, int]]:
    """Return the rows that each read of a page asked for, and those it returned."""
    log = CallLog()
    list_files(service.new_services(log=log), NS, query)
    return [(call.kwargs["limit"], 0) for call in log.calls]


def test_list_files_large_folder_reads_few_rows() -> None:
    """A folder of 5,000 files costs a page one jump: 40 rows in two reads."""
    service = service_with(*(f"big/{number:04}" for number in range(5_000)), "z")
    assert calls_of(service, ListQuery(by_folder=True)) == [(32, 0), (8, 0)]
    assert collect_pages(service.services, by_folder=True) == [["big/", "z"]]


def test_list_files_small_folders_share_reads() -> None:
    """Folders of two files do not cost a read each."""
    service = service_with(*(f"{number:03}/{letter}" for number in range(200) for letter in "ab"))
    calls = calls_of(service, ListQuery(by_folder=True, limit=100))
    assert len(calls) <= 4


def test_list_files_flat_page_is_one_read() -> None:
    """Without a delimiter a page is one read of its entries and one more."""
    service = service_with(*(f"{number:04}" for number in range(1_200)))
    assert calls_of(service, ListQuery(limit=1_000)) == [(1_001, 0)]


def test_list_files_time_budget_ends_page_with_cursor() -> None:
    """A page whose time is up ends early, with a cursor that continues it."""
    service = service_with(*(f"{number:03}/{letter}" for number in range(100) for letter in "abcdefghij"))
    slow = service.new_services()
    repository = slow.file_repository
    read = repository.list_files

    def read_slowly(*args: Any, **options: Any) -> Any:
        service.clock.advance(listings.LISTING_BUDGET_MS // 3)
        return read(*args, **options)

    repository.__dict__["list_files"] = read_slowly
    pages = collect_pages(slow, by_folder=True, limit=100)
    assert len(pages) > 2
    assert [entry for page in pages for entry in page] == [f"{number:03}/" for number in range(100)]


def test_list_files_byte_limit_ends_page_with_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of too many bytes ends early; an entry that is too large alone is a page of its own."""
    monkeypatch.setattr(listings, "MAX_LISTING_BYTES", 100)
    service = service_with(*"abcdefg", "h/1")
    sizes = {"d": 101}

    def measure(entry: Any) -> int:
        return sizes.get(getattr(entry, "name", entry), 40)

    read = partial(list_files, service.services, NS, measure=measure)
    pages, cursor = [], None
    while True:
        page = read(ListQuery(by_folder=True, cursor=cursor))
        pages.append(entries_of(page))
        cursor = page.cursor
        if cursor is None:
            break
    assert pages == [["a", "b"], ["c"], ["d"], ["e", "f"], ["g", "h/"]]
