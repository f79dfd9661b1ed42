"""The contract of the cleanup repository."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan, OrphanScanPhase
from ferry.model.uploads import ChunkDigest, UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    FAR_FUTURE,
    NAME,
    NS,
    OTHER_ID,
    SHARDED_LAYOUT,
    THIRD_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    all_tasks,
    collect_pages,
    commit_upload,
    create_upload,
    id_factory,
    make_record,
    open_upload,
    read_upload,
)

DIGEST = ChunkDigest(bytes(16), 0)


def test_object_owners_from_commit_to_delete_task(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """An object's owner is known from the commit of its file until the OBJECT task is deleted."""
    open_upload(repository, THIRD_ID, name="open")
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID]) == {}
    commit_upload(repository, UPLOAD_ID)
    assert cleanup_repository.get_object_owners([UPLOAD_ID]) == {UPLOAD_ID: (NS, NAME)}
    assert CleanupTaskKind.OBJECT not in {
        task.kind for task in cleanup_repository.list_due_tasks(FAR_FUTURE, None, 10).items
    }
    file = commit_upload(repository, OTHER_ID)
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID, UPLOAD_ID]) == {
        UPLOAD_ID: (NS, NAME),
        OTHER_ID: (NS, NAME),
    }
    file_repository.delete_file(file, object_due_at=START_MS + 40, now=START_MS)
    assert cleanup_repository.get_object_owners([OTHER_ID]) == {OTHER_ID: (NS, NAME)}
    object_tasks = {
        task
        for task in cleanup_repository.list_due_tasks(FAR_FUTURE, None, 10).items
        if task.kind is CleanupTaskKind.OBJECT
    }
    assert object_tasks == {
        CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 30),
        CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START_MS + 40),
    }
    cleanup_repository.delete_task(CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 30))
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID]) == {OTHER_ID: (NS, NAME)}


def test_schedule_object_twice_raises(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """An object is scheduled once, with or without an owner; an existing row stays unchanged."""
    cleanup_repository.schedule_object(UPLOAD_ID, None, due_at=START_MS + 5)
    cleanup_repository.schedule_object(OTHER_ID, (NS, "é"), due_at=START_MS + 6)
    commit_upload(repository, THIRD_ID)
    for upload_id in (UPLOAD_ID, OTHER_ID, THIRD_ID):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.schedule_object(upload_id, (NS, "other"), due_at=START_MS + 7)
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID]) == {
        UPLOAD_ID: None,
        OTHER_ID: (NS, "é"),
        THIRD_ID: (NS, NAME),
    }
    due_objects = {
        (task.subject, task.due_at) for task in cleanup_repository.list_due_tasks(START_MS + 10, None, 10).items
    }
    assert due_objects == {(UPLOAD_ID, START_MS + 5), (OTHER_ID, START_MS + 6)}


def test_unschedule_task_keeps_owner(cleanup_repository: CleanupRepository) -> None:
    """An unscheduled object keeps its owner; the task must be due at the expected time."""
    cleanup_repository.schedule_object(UPLOAD_ID, (NS, NAME), due_at=START_MS + 5)
    task = CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 5)
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.unschedule_task(replace(task, due_at=START_MS + 4))
    cleanup_repository.unschedule_task(task)
    assert cleanup_repository.list_due_tasks(FAR_FUTURE, None, 10).items == []
    assert cleanup_repository.get_object_owners([UPLOAD_ID]) == {UPLOAD_ID: (NS, NAME)}
    for gone in (task, CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START_MS)):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.unschedule_task(gone)


@pytest.mark.slow
@pytest.mark.large
def test_batch_reads_over_several_calls_return_all(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """More ids than one call reads, some of them missing or repeated, return every existing row."""
    ids = [f"{number:032x}" for number in range(1, 231)]
    for number, upload_id in enumerate(ids[::2]):
        create_upload(repository, upload_id, name=f"name {number}")
        cleanup_repository.schedule_object(upload_id, None, due_at=START_MS)
    found = cleanup_repository.get_upload_records([*ids, *ids])
    assert set(found) == set(ids[::2])
    assert found[ids[0]] == read_upload(repository, ids[0]).record
    assert cleanup_repository.get_object_owners(ids) == dict.fromkeys(ids[::2])
    assert cleanup_repository.get_upload_records([]) == {}
    assert cleanup_repository.get_object_owners([]) == {}


def test_save_orphan_scan_with_stale_version_raises(cleanup_repository: CleanupRepository) -> None:
    """The orphan scan is saved only by the next version."""
    assert cleanup_repository.get_orphan_scan() is None
    first = OrphanScan(START_MS, OrphanScanPhase.STAGED_CHUNKS, "a cursor")
    cleanup_repository.save_orphan_scan(first)
    assert cleanup_repository.get_orphan_scan() == first
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.save_orphan_scan(first)
    second = OrphanScan(START_MS + 1, OrphanScanPhase.DONE, None, version=2)
    cleanup_repository.save_orphan_scan(second)
    for stale in (first, second, replace(second, version=4)):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.save_orphan_scan(stale)
    assert cleanup_repository.get_orphan_scan() == second
    assert cleanup_repository.list_due_tasks(FAR_FUTURE, None, 10).items == []


def test_mark_purged_unschedules_upload(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A purged upload is no longer due; its staged chunks are checked once more."""
    repository.terminate(
        open_upload(repository), UploadState.CANCELLED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    cleanup_repository.mark_purged(UPLOAD_ID, staged_chunks_due_at=START_MS + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record.purged
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START_MS + 90)}
    open_upload(repository, OTHER_ID)
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.mark_purged(
            OTHER_ID, staged_chunks_due_at=START_MS + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS
        )


def test_delete_upload_rows_keeps_record(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """The shards of one upload are deleted, its record and chunk digests stay; a repetition succeeds."""
    open_upload(repository, layout=SHARDED_LAYOUT)
    open_upload(repository, OTHER_ID, name="other", layout=SHARDED_LAYOUT)
    for upload_id in (UPLOAD_ID, OTHER_ID):
        for part in range(1, 41):
            repository.put_chunk_digest(upload_id, part, part, DIGEST)
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)
    assert read_upload(repository).shards == ()
    assert len(repository.get_all_chunk_digests(UPLOAD_ID)) == 40
    assert len(read_upload(repository, OTHER_ID).shards) == 3
    assert len(repository.get_all_chunk_digests(OTHER_ID)) == 40
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)


@pytest.mark.large
def test_list_due_tasks_paginates_each_once(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """With any limit every due task is listed once, and no other."""
    next_id = id_factory()
    expected = set()
    for number in range(40):
        upload_id = next_id()
        due_at = START_MS + number
        repository.create_upload(make_record(upload_id, name=f"name {number}"), expected=None, due_at=due_at)
        if number < 30:
            expected.add(CleanupTask(CleanupTaskKind.UPLOAD, upload_id, due_at))
    for limit in (1, 2, 7, 29, 30, 31, 100):
        pages = collect_pages(partial(cleanup_repository.list_due_tasks, START_MS + 29, limit=limit))
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        tasks = [task for page in pages for task in page]
        assert set(tasks) == expected
        assert len(tasks) == 30


def test_reschedule_task_with_stale_time_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A task is rescheduled only if it is due at the expected time; the upload stays unchanged."""
    upload_id = "a" * 32
    commit_upload(repository, "b" * 32, name="other")
    create_upload(repository, upload_id)
    upload_task = CleanupTask(CleanupTaskKind.UPLOAD, upload_id, START_MS + 1)
    staged_chunks_task = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, "b" * 32, START_MS + 20)
    assert set(cleanup_repository.list_due_tasks(START_MS + 20, None, 10).items) == {upload_task, staged_chunks_task}
    before = read_upload(repository, upload_id)
    for task in (upload_task, staged_chunks_task):
        cleanup_repository.reschedule_task(task, START_MS + 1_000)
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.reschedule_task(task, START_MS + 2_000)
    assert cleanup_repository.list_due_tasks(START_MS + 999, None, 10).items == []
    assert {task.due_at for task in cleanup_repository.list_due_tasks(START_MS + 1_000, None, 10).items} == {
        START_MS + 1_000
    }
    assert read_upload(repository, upload_id) == before
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.reschedule_task(CleanupTask(CleanupTaskKind.OBJECT, upload_id, START_MS), START_MS + 1)


def test_delete_task_is_idempotent(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A task can be deleted twice; the task of an upload record cannot be deleted."""
    upload_id = "a" * 32
    repository.terminate(
        open_upload(repository, upload_id), UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    with pytest.raises(ValueError, match="TTL"):
        cleanup_repository.delete_task(CleanupTask(CleanupTaskKind.UPLOAD, upload_id, START_MS))
    cleanup_repository.mark_purged(upload_id, staged_chunks_due_at=START_MS + 5, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    task = CleanupTask(CleanupTaskKind.STAGED_CHUNKS, upload_id, START_MS + 5)
    assert cleanup_repository.list_due_tasks(START_MS + 5, None, 10).items == [task]
    for _ in range(2):
        cleanup_repository.delete_task(task)
        assert cleanup_repository.list_due_tasks(START_MS + 5, None, 10).items == []
    assert read_upload(repository, upload_id).record.purged
