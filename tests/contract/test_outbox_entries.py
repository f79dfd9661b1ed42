"""The contract of the repositories: pending events (docs/decisions/0003)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.events import Event, EventKind, PendingEvent
from ferry.model.files import IfExists
from ferry.model.uploads import UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    IDLE_TIMEOUT_MS,
    NAME,
    NS,
    OTHER_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    all_tasks,
    commit_upload,
    create_upload,
    lease_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
)

UPLOAD_TASK = CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 60)
DELETION = PendingEvent(Event.of_file(EventKind.DELETED, make_file(), START_MS + 7), START_MS + 60)


def test_event_pending_of_start_is_cleared_by_mark_open(repository: UploadRepository) -> None:
    """The start event is pending from the transaction that creates the upload, and not after `mark_open` without it."""
    repository.create_upload(replace(make_record(), event_pending=True), expected=None, due_at=START_MS + 1)
    assert read_upload(repository).record.event_pending
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert not read_upload(repository).record.event_pending


def test_event_pending_of_start_stays_until_cleared(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A pending start event makes the upload due until it is cleared, which changes no version."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + 60, event_pending=True)
    pending = read_upload(repository)
    assert pending.record.event_pending
    assert all_tasks(cleanup_repository) == {UPLOAD_TASK}
    repository.clear_pending_event(pending.record, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record == replace(pending.record, event_pending=False)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + IDLE_TIMEOUT_MS)}


def test_event_pending_survives_terminate_until_purged(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A start event that is pending when the upload ends stays pending until the upload is purged."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + 60, event_pending=True)
    repository.terminate(
        read_upload(repository), UploadState.CANCELLED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    assert read_upload(repository).record.event_pending
    cleanup_repository.mark_purged(UPLOAD_ID, staged_chunks_due_at=START_MS + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert not read_upload(repository).record.event_pending


def test_commit_file_with_publish_deadline_sets_event_pending(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """The transaction that commits the file marks its event, with the replaced upload, as pending."""
    replaced_file = commit_upload(repository, OTHER_ID)
    record = lease_upload(repository).record
    repository.commit_file(
        record,
        make_file(),
        replaced_file=replaced_file,
        staged_chunks_due_at=1,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        publish_deadline=START_MS + 60,
    )
    pending = read_upload(repository).record
    assert (pending.state, pending.event_pending, pending.replaced_upload_id) == (UploadState.COMPLETE, True, OTHER_ID)
    assert UPLOAD_TASK in all_tasks(cleanup_repository)
    repository.clear_pending_event(pending, due_at=None, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record == replace(pending, event_pending=False)
    assert UPLOAD_TASK not in all_tasks(cleanup_repository)
    repository.clear_pending_event(pending, due_at=None, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_commit_file_without_events_clears_event_pending(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """If events are disabled, a commit also clears the pending event of the start."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + 60, event_pending=True)
    upload = read_upload(repository)
    repository.acquire_lease(
        upload, lease_id="mine", expires_at=START_MS + 70, now=START_MS + 10, if_exists=IfExists.FAIL, crc32c=None
    )
    repository.commit_file(
        read_upload(repository).record,
        make_file(),
        replaced_file=None,
        staged_chunks_due_at=START_MS + 20,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    record = read_upload(repository).record
    assert (record.event_pending, record.replaced_upload_id) == (False, None)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START_MS + 20)}


def test_clear_pending_event_in_other_state_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """The publisher of the start event cannot clear the event of a later state."""
    open_record = open_upload(repository).record
    commit_upload(repository, OTHER_ID, name="another")
    repository.terminate(
        read_upload(repository), UploadState.CANCELLED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    with pytest.raises(ConcurrentUpdate):
        repository.clear_pending_event(open_record, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert all_tasks(cleanup_repository) >= {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 50)}


def test_delete_file_with_event_stores_it_until_its_task_is_deleted(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """The event is stored with the file as it was, until its task is deleted, which can be repeated."""
    file = commit_upload(repository)
    file_repository.delete_file(file, object_due_at=START_MS + 40, now=START_MS + 7, pending_event=DELETION)
    assert file_repository.get_file(NS, NAME) is None
    assert cleanup_repository.get_file_event(DELETION.event.id) == DELETION.event
    object_task = CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 40)
    assert all_tasks(cleanup_repository) >= {DELETION.task, object_task}
    for _ in range(2):
        cleanup_repository.delete_task(DELETION.task)
    assert cleanup_repository.get_file_event(DELETION.event.id) is None
    assert DELETION.task not in all_tasks(cleanup_repository)
    assert object_task in all_tasks(cleanup_repository)


def test_delete_file_without_events_stores_none(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """If events are disabled, a deletion schedules only the object."""
    file_repository.delete_file(commit_upload(repository), object_due_at=START_MS + 40, now=START_MS + 7)
    assert cleanup_repository.get_file_event(DELETION.event.id) is None
    assert all_tasks(cleanup_repository) == {
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START_MS + 20),
        CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 40),
    }
