"""The contract of the file repository: reads of names between bounds."""

from __future__ import annotations

from dev.fakes.clock import START_MS
from ferry.model.files import File
from ferry.ports.file_repository import FileRepository
from ferry.ports.types import Slice
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.listing import after_folder, after_name
from tests.contract.factories import NS, commit_upload, id_factory, make_file, open_upload

NAMES = ["#", "%2e%2e", "F#", "Z", "a", "a b", "aa", "a\U0001f600", "partial", "ä", "שלום", "\uffee", "\U0001f600"]
"""In the order of their UTF-8 bytes, which is not the order of UTF-16."""

LONG_PREFIX = "/".join(['"' * 255] * 3) + "/"
LONGEST_NAMES = [LONG_PREFIX + "a" * 232, LONG_PREFIX + "a" * 231 + "b", LONG_PREFIX + "z" * 232]
"""Names of 1,000 bytes."""


def commit_names(repository: UploadRepository, *names: str) -> None:
    """Commit a file of each name."""
    next_id = id_factory()
    for name in names:
        commit_upload(repository, next_id(), name=name)


def names_of(files: Slice[File]) -> list[str]:
    return [file.name for file in files.items]


def test_list_files_sorts_by_utf8_bytes(repository: UploadRepository, file_repository: FileRepository) -> None:
    """Files are listed by the UTF-8 bytes of their names, with every field, from one namespace."""
    commit_names(repository, *reversed(NAMES))
    open_upload(repository, "f" * 32, name="a-")
    found = file_repository.list_files(NS, "", start="", limit=100)
    assert (names_of(found), found.has_more) == (NAMES, False)
    assert found.items[0] == make_file(found.items[0].upload_id, name="#")
    for ns in ("ns2", "n"):
        assert file_repository.list_files(ns, "", start="", limit=100) == Slice([], has_more=False)


def test_list_files_with_limit_continues_at_position(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """Each read has `limit` files, and the position behind its last one continues it."""
    commit_names(repository, *NAMES)
    for limit in (1, 2, 3, 12, 13, 14):
        names: list[str] = []
        position = ""
        for _ in range(len(NAMES) + 1):
            found = file_repository.list_files(NS, "", start=position, limit=limit)
            assert len(found.items) == limit or not found.has_more
            names += names_of(found)
            if not found.has_more:
                break
            position = after_name(names[-1])
        assert names == NAMES


def test_list_files_with_prefix_filters(repository: UploadRepository, file_repository: FileRepository) -> None:
    """A prefix selects names that begin with it; it may be a name, and may be longer than any name."""
    commit_names(repository, *NAMES, "b/a")
    for prefix, expected in (
        ("a", ["a", "a b", "aa", "a\U0001f600"]),
        ("a b", ["a b"]),
        ("b", ["b/a"]),
        ("b/", ["b/a"]),
        ("c", []),
        ("a" * 1_000, []),
    ):
        assert names_of(file_repository.list_files(NS, prefix, start=prefix, limit=100)) == expected


def test_list_files_from_any_position_is_inclusive(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A position is a bound: it needs no row, and a name that is equal to it is listed."""
    commit_names(repository, "a", "a!", "a/b", "a/c", "a0", "a00")
    for start, expected in (
        (after_name("a"), ["a!", "a/b", "a/c", "a0", "a00"]),
        (after_name("a!"), ["a/b", "a/c", "a0", "a00"]),
        (after_name("a/b"), ["a/c", "a0", "a00"]),
        (after_folder("a/"), ["a0", "a00"]),
        (after_name("a0"), ["a00"]),
        ("b", []),
    ):
        assert names_of(file_repository.list_files(NS, "", start=start, limit=100)) == expected


def test_list_files_position_of_deleted_file_continues(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A listing continues after a file that was deleted meanwhile."""
    commit_names(repository, "a", "b", "c")
    [_, second] = file_repository.list_files(NS, "", start="", limit=2).items
    file_repository.delete_file(second, object_due_at=START_MS, now=START_MS)
    assert names_of(file_repository.list_files(NS, "", start=after_name("b"), limit=2)) == ["c"]


def test_list_files_with_longest_names_and_prefixes(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """Names of 1,000 bytes are rows, bounds and prefixes within DynamoDB's 1,024 bytes of a key."""
    commit_names(repository, *LONGEST_NAMES)
    for prefix in ("", '"', LONG_PREFIX):
        assert names_of(file_repository.list_files(NS, prefix, start=prefix, limit=9)) == LONGEST_NAMES
        start = after_name(LONGEST_NAMES[0])
        assert names_of(file_repository.list_files(NS, prefix, start=start, limit=9)) == LONGEST_NAMES[1:]
    longest = LONGEST_NAMES[1]
    assert names_of(file_repository.list_files(NS, longest, start=longest, limit=9)) == [longest]
    assert names_of(file_repository.list_files(NS, longest, start=after_name(longest), limit=9)) == []


def test_list_files_with_last_characters_of_unicode(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """Names that begin with the last code point are within the bounds of every prefix of theirs."""
    last = "\U0010ffff"
    names = [f"a{last}", f"a{last * 63}", last, f"{last}b", last * 63]
    commit_names(repository, *names)
    assert names_of(file_repository.list_files(NS, "", start="", limit=9)) == sorted(names, key=str.encode)
    assert names_of(file_repository.list_files(NS, "a", start="a", limit=9)) == names[:2]
    assert names_of(file_repository.list_files(NS, last, start=after_name(last), limit=9)) == [f"{last}b", last * 63]
