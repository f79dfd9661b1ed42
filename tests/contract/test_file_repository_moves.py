"""The contract of the file repository: moves, restores, free names and reads of several files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin.recount import QuotaStore
from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.events import Event, EventKind, PendingEvent
from ferry.model.files import CompletionEvent, DeletedFile, File, ObjectRecord
from ferry.model.quotas import Quota
from ferry.model.starts import NameState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.conftest import Repositories
from tests.contract.factories import (
    NAME,
    NS,
    OTHER_ID,
    THIRD_ID,
    UPLOAD_ID,
    all_tasks,
    commit_upload,
    id_factory,
    make_file,
    open_upload,
)

NEW_NAME = "folder/another name"
NOW, UNTIL, PUBLISH_AT = START_MS + 100, START_MS + 1_000, START_MS + 160


def moved_of(file: File, name: str = NEW_NAME) -> File:
    """Return a file as a move leaves it."""
    return replace(file, name=name, revision=file.revision + 1, moved_from=file.name, last_modified_seconds=7)


def restored_of(file: File, name: str = NAME) -> File:
    """Return a file as a restore leaves it."""
    return replace(file, name=name, revision=file.revision + 1, restored_by="request", last_modified_seconds=8)


def delete(files: FileRepository, file: File, now: int = NOW) -> DeletedFile:
    files.delete_file(file, object_due_at=UNTIL, now=now)
    return DeletedFile(file, now, UNTIL)


def put(files: FileRepository, file: File, publish_deadline: int | None = None) -> File:
    """Store a file as one request does."""
    files.announce_object(file.upload_id, (file.ns, file.name), due_at=START_MS + 5)
    files.put_file(
        file,
        replaced_file=None,
        quota=None,
        announced_due_at=START_MS + 5,
        object_due_at=UNTIL,
        publish_deadline=publish_deadline,
    )
    return file


def move(files: FileRepository, file: File, replaced_file: File | None = None, moved: File | None = None) -> File:
    moved = moved or moved_of(file)
    files.move_file(file, moved, replaced_file=replaced_file, object_due_at=UNTIL, now=NOW)
    return moved


def restore(
    files: FileRepository,
    deleted_file: DeletedFile,
    replaced_file: File | None = None,
    *,
    restored: File | None = None,
    quota: Quota | None = None,
    event_is_pending: bool = False,
) -> File:
    restored = restored or restored_of(deleted_file.file)
    files.restore_file(
        deleted_file,
        restored,
        replaced_file=replaced_file,
        quota=quota,
        event_is_pending=event_is_pending,
        object_due_at=UNTIL,
        now=NOW + 1,
    )
    return restored


def all_deleted(files: FileRepository) -> list[DeletedFile]:
    return list(files.list_deleted_files(NS, "", start="", limit=100).items)


# Reads


@pytest.mark.large
def test_get_files_returns_those_that_exist(repository: UploadRepository, file_repository: FileRepository) -> None:
    """Files are returned by name, of one namespace, more than one batch of them."""
    next_id = id_factory()
    names = [f"{number}" for number in range(0, 130, 2)]
    files = {name: commit_upload(repository, next_id(), name=name) for name in names}
    open_upload(repository, next_id(), name="1")
    assert file_repository.get_files(NS, [f"{number}" for number in range(130)]) == files
    assert file_repository.get_files("ns2", names) == {}
    assert file_repository.get_files(NS, []) == {}


def test_get_name_states_say_which_names_are_free(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A name is taken by a file and by an upload in progress, not by a deleted file whose upload has ended."""
    next_id = id_factory()
    commit_upload(repository, next_id(), name="file")
    open_upload(repository, next_id(), name="open")
    delete(file_repository, commit_upload(repository, next_id(), name="deleted"))
    commit_upload(repository, next_id(), name="both")
    open_upload(repository, next_id(), name="both")
    put(file_repository, make_file("e" * 32, name="put"))
    names = ["both", "deleted", "file", "free", "open", "put"]
    states = file_repository.get_name_states(NS, names)
    assert {name for name, state in states.items() if not state.is_free} == {"both", "file", "open", "put"}
    assert {name: state.has_file for name, state in states.items()} == {
        "both": True,
        "deleted": False,
        "file": True,
        "open": False,
        "put": True,
    }
    for name in names:
        state = states.get(name, NameState())
        assert state.current_upload == repository.get_current_upload(NS, name)
    assert file_repository.get_name_states("ns2", names) == {}
    assert file_repository.get_name_states(NS, [f"{number}" for number in range(50)]) == {}


def test_find_deleted_file_returns_last_or_that_of_an_upload(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """Without an upload id the last deleted file of exactly this name is found."""
    first = delete(file_repository, commit_upload(repository, UPLOAD_ID), NOW)
    last = delete(file_repository, commit_upload(repository, OTHER_ID), NOW + 10)
    delete(file_repository, commit_upload(repository, THIRD_ID, name=f"{NAME}x"), NOW + 20)
    assert file_repository.find_deleted_file(NS, NAME) == last
    assert file_repository.find_deleted_file(NS, NAME, UPLOAD_ID) == first
    assert file_repository.find_deleted_file(NS, NAME, OTHER_ID) == last
    assert file_repository.find_deleted_file(NS, NAME, THIRD_ID) is None
    assert file_repository.find_deleted_file(NS, NAME[:-1]) is None
    assert file_repository.find_deleted_file("ns2", NAME) is None


# Moves


def test_move_file_changes_name_and_owner(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The file has its new name, with every field; its object is not due and has a new owner."""
    file = commit_upload(repository)
    tasks = all_tasks(cleanup_repository)
    moved = move(file_repository, file)
    assert (file_repository.get_file(NS, NAME), file_repository.get_file(NS, NEW_NAME)) == (None, moved)
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord((NS, NEW_NAME))
    assert (all_tasks(cleanup_repository), all_deleted(file_repository)) == (tasks, [])


def test_move_file_with_event_stores_it(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The event of a move has both names, and a task that publishes it."""
    file = commit_upload(repository)
    moved = moved_of(file)
    event = Event.of_file(EventKind.MOVED, moved, NOW, replaced_upload_id=OTHER_ID, previous_name=NAME)
    file_repository.move_file(
        file, moved, replaced_file=None, object_due_at=UNTIL, now=NOW, pending_event=PendingEvent(event, PUBLISH_AT)
    )
    assert cleanup_repository.get_file_event(event.id) == event
    task = CleanupTask(CleanupTaskKind.FILE_EVENT, f"{UPLOAD_ID}.2.moved", PUBLISH_AT)
    assert task in all_tasks(cleanup_repository)
    cleanup_repository.delete_tasks([task, CleanupTask(CleanupTaskKind.FILE_EVENT, "unknown", 1)])
    assert cleanup_repository.get_file_event(event.id) is None
    assert task not in all_tasks(cleanup_repository)


def test_delete_tasks_of_uploads_raises(cleanup_repository: CleanupRepository) -> None:
    """The row of an upload is its record, which is not deleted."""
    with pytest.raises(ValueError, match="upload record"):
        cleanup_repository.delete_tasks([CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, 1)])


def test_move_file_over_other_makes_that_restorable(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The replaced file can be restored, and its object is due."""
    file, old = commit_upload(repository), commit_upload(repository, OTHER_ID, name=NEW_NAME)
    moved = move(file_repository, file, old)
    assert file_repository.get_file(NS, NEW_NAME) == moved
    assert all_deleted(file_repository) == [DeletedFile(old, NOW, UNTIL)]
    assert cleanup_repository.get_object(OTHER_ID) == ObjectRecord((NS, NEW_NAME), None, UNTIL, NOW)


def test_move_file_of_unexpected_file_raises(repository: UploadRepository, file_repository: FileRepository) -> None:
    """A move of another file or revision, or over another file or none, changes nothing."""
    file, old = commit_upload(repository), commit_upload(repository, OTHER_ID, name=NEW_NAME)
    wrong: list[tuple[File, File | None]] = [
        (replace(file, upload_id=THIRD_ID), old),
        (replace(file, revision=2), old),
        (replace(file, name="missing"), old),
        (file, None),
        (file, replace(old, upload_id=THIRD_ID)),
        (file, replace(old, revision=2)),
    ]
    for given, replaced_file in wrong:
        with pytest.raises(ConcurrentUpdate):
            move(file_repository, given, replaced_file)
    with pytest.raises(ConcurrentUpdate):
        move(file_repository, file, old, moved_of(file, "missing"))
    assert (file_repository.get_file(NS, NAME), file_repository.get_file(NS, NEW_NAME)) == (file, old)
    assert all_deleted(file_repository) == []


def test_move_file_keeps_pending_completion(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The completion of a file that one request stored stays pending, under the name that it was stored with."""
    file = put(file_repository, make_file(), PUBLISH_AT)
    move(file_repository, file)
    expected = ObjectRecord((NS, NEW_NAME), CompletionEvent(file, None))
    assert cleanup_repository.get_object(UPLOAD_ID) == expected
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, PUBLISH_AT)}


def test_move_file_frees_bytes_of_replaced_file(repositories: Repositories, quota_store: QuotaStore) -> None:
    """The bytes of a counted file that is replaced leave the usage; those of the moved one stay."""
    quota = quota_store.set_limits(NS, max_bytes=10**9, max_uploads=None, max_file_bytes=None)
    files = repositories.files
    for upload_id, name in ((UPLOAD_ID, NAME), (OTHER_ID, NEW_NAME)):
        counted = replace(make_file(upload_id, name=name), counted_in_quota=True)
        files.announce_object(upload_id, (NS, name), due_at=1)
        files.put_file(counted, replaced_file=None, quota=quota, announced_due_at=1, object_due_at=UNTIL)
    file, old = files.get_file(NS, NAME), files.get_file(NS, NEW_NAME)
    assert file is not None
    move(files, file, old)
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert usage.used_bytes == file.size


# Restores


def test_restore_file_gives_it_a_name_and_keeps_the_object(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The file has a name again, with every field; its object is not due any more."""
    file = commit_upload(repository)
    tasks = all_tasks(cleanup_repository)
    restored = restore(file_repository, delete(file_repository, file), restored=restored_of(file, NEW_NAME))
    assert (file_repository.get_file(NS, NAME), file_repository.get_file(NS, NEW_NAME)) == (None, restored)
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord((NS, NEW_NAME))
    assert (all_tasks(cleanup_repository), all_deleted(file_repository)) == (tasks, [])


def test_restore_file_over_other_makes_that_restorable(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The replaced file can be restored in its turn."""
    deleted_file = delete(file_repository, commit_upload(repository))
    other = commit_upload(repository, OTHER_ID)
    restored = restore(file_repository, deleted_file, other)
    assert file_repository.get_file(NS, NAME) == restored
    assert all_deleted(file_repository) == [DeletedFile(other, NOW + 1, UNTIL)]
    assert cleanup_repository.get_object(OTHER_ID) == ObjectRecord((NS, NAME), None, UNTIL, NOW + 1)


def test_restore_file_that_is_gone_or_over_unexpected_file_raises(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A restore of a row that is gone, or over another file than expected, changes nothing."""
    deleted_file = delete(file_repository, commit_upload(repository))
    other = commit_upload(repository, OTHER_ID)
    for given, replaced_file in (
        (deleted_file, None),
        (deleted_file, replace(other, upload_id=THIRD_ID)),
        (deleted_file, replace(other, revision=2)),
        (replace(deleted_file, deleted_at=NOW + 1), other),
    ):
        with pytest.raises(ConcurrentUpdate):
            restore(file_repository, given, replaced_file)
    assert cleanup_repository.delete_deleted_file(NS, NAME, UPLOAD_ID, deleted_at=NOW)
    with pytest.raises(ConcurrentUpdate):
        restore(file_repository, deleted_file, other)
    assert file_repository.get_file(NS, NAME) == other
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord((NS, NAME), None, UNTIL, NOW)


def test_restore_file_keeps_pending_completion(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A pending completion stays due; a restore that does not know of it, or of its publication, raises."""
    file = put(file_repository, make_file(), PUBLISH_AT)
    deleted_file = delete(file_repository, file)
    with pytest.raises(ConcurrentUpdate):
        restore(file_repository, deleted_file)
    restore(file_repository, deleted_file, event_is_pending=True)
    task = CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, PUBLISH_AT)
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord((NS, NAME), CompletionEvent(file, None))
    assert all_tasks(cleanup_repository) == {task}
    cleanup_repository.clear_object_event(task, due_at=None)
    restored = file_repository.get_file(NS, NAME)
    assert restored is not None
    deleted_file = delete(file_repository, restored)
    with pytest.raises(ConcurrentUpdate):
        restore(file_repository, deleted_file, event_is_pending=True)
    restore(file_repository, deleted_file)
    assert all_tasks(cleanup_repository) == set()


def test_restore_file_counts_within_limits(repositories: Repositories, quota_store: QuotaStore) -> None:
    """A counted file adds its bytes, less those of the file that it replaces, up to the limit and not beyond."""
    files = repositories.files
    deleted_file = delete(files, commit_upload(repositories.uploads))
    size = deleted_file.file.size
    quota = quota_store.set_limits(NS, max_bytes=size - 1, max_uploads=None, max_file_bytes=None)
    counted = replace(restored_of(deleted_file.file), counted_in_quota=True)
    with pytest.raises(ConcurrentUpdate):
        restore(files, deleted_file, restored=counted, quota=quota)
    assert files.get_file(NS, NAME) is None
    quota = quota_store.set_limits(NS, max_bytes=size, max_uploads=None, max_file_bytes=None)
    restored = restore(files, deleted_file, restored=counted, quota=quota)
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert usage.used_bytes == size
    files.delete_file(restored, object_due_at=UNTIL, now=NOW + 9)
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert usage.used_bytes == 0
