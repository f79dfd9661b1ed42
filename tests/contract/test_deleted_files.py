"""The contract of the repositories: files that were deleted or replaced, until they can no longer be restored."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.clock import START_MS
from ferry.model.files import DeletedFile, File, ObjectRecord
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.listing import after_deleted_file
from tests.contract.factories import NAME, NS, OTHER_ID, UPLOAD_ID, commit_upload, id_factory

UNTIL = START_MS + 1_000


def delete(repository: UploadRepository, files: FileRepository, upload_id: str, name: str, now: int) -> DeletedFile:
    """Commit a file and delete it."""
    file = commit_upload(repository, upload_id, name=name)
    files.delete_file(file, object_due_at=UNTIL, now=now)
    return DeletedFile(file, now, UNTIL)


def all_deleted(files: FileRepository, prefix: str = "") -> list[DeletedFile]:
    return list(files.list_deleted_files(NS, prefix, start=prefix, limit=100).items)


def test_deleted_files_are_listed_by_name_then_newest_first(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """Deleted files are listed with every field by name, and within a name the last deleted first."""
    next_id, names = id_factory(), ["a", "a!", "a/b", "a0", "ab", "é", "\U0001f600"]
    deleted = {
        (name, now): delete(repository, file_repository, next_id(), name, now)
        for now in (START_MS + 10, START_MS + 9, START_MS + 300)
        for name in reversed(names)
    }
    expected = [deleted[name, now] for name in names for now in (START_MS + 300, START_MS + 10, START_MS + 9)]
    assert all_deleted(file_repository) == expected
    assert all_deleted(file_repository, "a/") == expected[6:9]
    assert file_repository.list_deleted_files("ns2", "", start="", limit=9).items == []
    first = file_repository.list_deleted_files(NS, "", start="", limit=4)
    assert (list(first.items), first.has_more) == (expected[:4], True)
    last = expected[3]
    start = after_deleted_file(last.file.name, last.file.upload_id, last.deleted_at)
    rest = file_repository.list_deleted_files(NS, "", start=start, limit=100)
    assert (list(rest.items), rest.has_more) == (expected[4:], False)


def test_deleted_file_of_longest_name_is_row_and_position(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A name of 1,000 bytes leaves room for the rest of its key, and for the position behind it."""
    name = "/".join(["é" * 127] * 3 + ["x" * 235])
    assert len(name.encode()) == 1_000
    deleted = delete(repository, file_repository, UPLOAD_ID, name, START_MS)
    assert all_deleted(file_repository, name) == [deleted]
    start = after_deleted_file(name, UPLOAD_ID, START_MS)
    assert file_repository.list_deleted_files(NS, name, start=start, limit=1).items == []


def test_commit_file_over_other_makes_it_restorable(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A file that a commit replaces can be restored until its object is due."""
    first = commit_upload(repository)
    second = commit_upload(repository, OTHER_ID)
    assert all_deleted(file_repository) == [DeletedFile(first, second.uploaded_at, START_MS + 30)]
    known = ObjectRecord((NS, NAME), None, START_MS + 30, second.uploaded_at)
    assert cleanup_repository.get_object(UPLOAD_ID) == known
    assert cleanup_repository.get_object(OTHER_ID) == ObjectRecord((NS, NAME))
    assert cleanup_repository.get_object("d" * 32) is None


def test_deleted_file_keeps_every_field(repository: UploadRepository, file_repository: FileRepository) -> None:
    """What a restore needs is in the row: dates, revision and whether it was counted."""
    file: File = commit_upload(repository)
    file_repository.delete_file(file, object_due_at=UNTIL, now=START_MS)
    [found] = all_deleted(file_repository)
    assert found.file == file
    assert replace(found.file, revision=2) != file


def test_delete_deleted_file_says_whether_it_was_there(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """The row of a deleted file is deleted once; other files of the name stay."""
    delete(repository, file_repository, UPLOAD_ID, NAME, START_MS)
    other = delete(repository, file_repository, OTHER_ID, NAME, START_MS + 1)
    assert not cleanup_repository.delete_deleted_file(NS, NAME, UPLOAD_ID, deleted_at=START_MS + 1)
    assert cleanup_repository.delete_deleted_file(NS, NAME, UPLOAD_ID, deleted_at=START_MS)
    assert not cleanup_repository.delete_deleted_file(NS, NAME, UPLOAD_ID, deleted_at=START_MS)
    assert all_deleted(file_repository) == [other]
