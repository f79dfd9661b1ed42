"""What the repository notes of events that are still to be told (docs/decisions/0003)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import DeletedFile
from ferry.model.uploads import UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    IDLE_TIMEOUT_MS,
    NAME,
    NS,
    OTHER_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    commit_upload,
    create_upload,
    lease_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
)

UPLOAD_TASK = CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 60)
DELETION_TASK = CleanupTask(CleanupTaskKind.DELETION_EVENT, UPLOAD_ID, START + 60)


def due_tasks(cleanup_repository: CleanupRepository) -> set[CleanupTask]:
    return set(cleanup_repository.list_due_tasks(START + 2 * IDLE_TIMEOUT_MS, None, 100).items)


def test_event_pending_of_start_is_cleared_by_mark_open(repository: UploadRepository) -> None:
    """From the transaction that begins it, so that no crash can lose it."""
    repository.create_upload(replace(make_record(), event_pending=True), expected=None, due_at=START + 1)
    assert read_upload(repository).record.event_pending
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + IDLE_TIMEOUT_MS)
    assert not read_upload(repository).record.event_pending


def test_event_pending_of_start_stays_until_cleared(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """And is due when the opening said so, until it is told; nobody sees a new version for that."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + 60, event_pending=True)
    noted = read_upload(repository)
    assert noted.record.event_pending
    assert due_tasks(cleanup_repository) == {UPLOAD_TASK}
    repository.clear_pending_event(noted.record, due_at=START + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record == replace(noted.record, event_pending=False)
    assert due_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + IDLE_TIMEOUT_MS)}


def test_event_pending_survives_terminate_until_purged(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """An upload that ends before its start was told still says so; once swept it does not."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + 60, event_pending=True)
    repository.terminate(
        read_upload(repository), UploadState.CANCELLED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    assert read_upload(repository).record.event_pending
    cleanup_repository.mark_purged(UPLOAD_ID, staged_chunks_due_at=START + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert not read_upload(repository).record.event_pending


def test_commit_file_with_publish_deadline_sets_event_pending(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """With what it replaced, in the transaction that switches the pointer."""
    old = commit_upload(repository, OTHER_ID)
    session = lease_upload(repository).record
    repository.commit_file(
        session,
        make_file(),
        replaced_file=old,
        staged_chunks_due_at=1,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        publish_deadline=START + 60,
    )
    noted = read_upload(repository).record
    assert (noted.state, noted.event_pending, noted.replaced_upload_id) == (UploadState.COMPLETE, True, OTHER_ID)
    assert UPLOAD_TASK in due_tasks(cleanup_repository)
    repository.clear_pending_event(noted, due_at=None, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record == replace(noted, event_pending=False)
    assert UPLOAD_TASK not in due_tasks(cleanup_repository)
    repository.clear_pending_event(noted, due_at=None, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_commit_file_without_events_clears_event_pending(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A start that could not be told is then no longer to be: nobody is told anything."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + 60, event_pending=True)
    upload = read_upload(repository)
    repository.acquire_lease(
        upload, lease_id="mine", expires_at=START + 70, now=START + 10, replace_existing=False, crc32c=None
    )
    repository.commit_file(
        read_upload(repository).record,
        make_file(),
        replaced_file=None,
        staged_chunks_due_at=START + 20,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    session = read_upload(repository).record
    assert (session.event_pending, session.replaced_upload_id) == (False, None)
    assert due_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START + 20)}


def test_clear_pending_event_in_other_state_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """Whoever told a start must not clear the note of the completion that has come since."""
    seen_open = open_upload(repository).record
    commit_upload(repository, OTHER_ID, name="another")
    repository.terminate(
        read_upload(repository), UploadState.CANCELLED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    with pytest.raises(ConcurrentUpdate):
        repository.clear_pending_event(seen_open, due_at=START + IDLE_TIMEOUT_MS)
    assert due_tasks(cleanup_repository) >= {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 50)}


def test_delete_file_with_publish_deadline_stores_deleted_file(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """Its row is gone, and its session may be: the note has all there is to tell. Dropping it is idempotent."""
    file = commit_upload(repository)
    repository.delete_file(file, object_due_at=START + 40, now=START + 7, publish_deadline=START + 60)
    assert repository.get_file(NS, NAME) is None
    assert cleanup_repository.get_deleted_file(UPLOAD_ID) == DeletedFile(file, START + 7)
    assert due_tasks(cleanup_repository) >= {DELETION_TASK, CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 40)}
    for _ in range(2):
        cleanup_repository.delete_task(DELETION_TASK)
    assert cleanup_repository.get_deleted_file(UPLOAD_ID) is None
    assert DELETION_TASK not in due_tasks(cleanup_repository)
    assert CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 40) in due_tasks(cleanup_repository)


def test_delete_file_without_events_stores_no_deleted_file(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """The tomb of the object alone."""
    repository.delete_file(commit_upload(repository), object_due_at=START + 40, now=START + 7)
    assert cleanup_repository.get_deleted_file(UPLOAD_ID) is None
    assert due_tasks(cleanup_repository) == {
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START + 20),
        CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 40),
    }
