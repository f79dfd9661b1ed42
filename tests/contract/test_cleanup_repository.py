"""The repository's contract: who knows an object, many rows at once, and how far the search for orphans has come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan, OrphanScanPhase
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    NAME,
    NS,
    OTHER_ID,
    THIRD_ID,
    UPLOAD_ID,
    commit_upload,
    create_upload,
    open_upload,
    read_upload,
)


def test_object_owners_from_commit_to_delete_task(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """It names its file while the file is there, when it was replaced, and when it was deleted."""
    open_upload(repository, THIRD_ID, name="open")
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID]) == {}
    commit_upload(repository, UPLOAD_ID)
    assert cleanup_repository.get_object_owners([UPLOAD_ID]) == {UPLOAD_ID: (NS, NAME)}
    assert CleanupTaskKind.OBJECT not in {
        entry.kind for entry in cleanup_repository.list_due_tasks(10**13, None, 10).items
    }
    file = commit_upload(repository, OTHER_ID)
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID, UPLOAD_ID]) == {
        UPLOAD_ID: (NS, NAME),
        OTHER_ID: (NS, NAME),
    }
    repository.delete_file(file, object_due_at=START + 40, now=START)
    assert cleanup_repository.get_object_owners([OTHER_ID]) == {OTHER_ID: (NS, NAME)}
    tombs = {
        entry
        for entry in cleanup_repository.list_due_tasks(10**13, None, 10).items
        if entry.kind is CleanupTaskKind.OBJECT
    }
    assert tombs == {
        CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 30),
        CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START + 40),
    }
    cleanup_repository.delete_task(CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 30))
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID]) == {OTHER_ID: (NS, NAME)}


def test_schedule_object_twice_raises(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """Once, with the name it has or with none; a row that is there stays as it is."""
    cleanup_repository.schedule_object(UPLOAD_ID, None, due_at=START + 5)
    cleanup_repository.schedule_object(OTHER_ID, (NS, "é"), due_at=START + 6)
    commit_upload(repository, THIRD_ID)
    for upload_id in (UPLOAD_ID, OTHER_ID, THIRD_ID):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.schedule_object(upload_id, (NS, "other"), due_at=START + 7)
    assert cleanup_repository.get_object_owners([UPLOAD_ID, OTHER_ID, THIRD_ID]) == {
        UPLOAD_ID: None,
        OTHER_ID: (NS, "é"),
        THIRD_ID: (NS, NAME),
    }
    dues = {(entry.subject, entry.due_at) for entry in cleanup_repository.list_due_tasks(START + 10, None, 10).items}
    assert dues == {(UPLOAD_ID, START + 5), (OTHER_ID, START + 6)}


def test_unschedule_task_keeps_owner(cleanup_repository: CleanupRepository) -> None:
    """It is due no more, and its row still names its file; only as it was seen."""
    cleanup_repository.schedule_object(UPLOAD_ID, (NS, NAME), due_at=START + 5)
    entry = CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 5)
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.unschedule_task(replace(entry, due_at=START + 4))
    cleanup_repository.unschedule_task(entry)
    assert cleanup_repository.list_due_tasks(10**13, None, 10).items == []
    assert cleanup_repository.get_object_owners([UPLOAD_ID]) == {UPLOAD_ID: (NS, NAME)}
    for gone in (entry, CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START)):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.unschedule_task(gone)


def test_batch_reads_over_several_calls_return_all(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """More than one call's worth, some of them not there, some asked for twice."""
    ids = [f"{number:032x}" for number in range(1, 231)]
    for number, upload_id in enumerate(ids[::2]):
        create_upload(repository, upload_id, name=f"name {number}")
        cleanup_repository.schedule_object(upload_id, None, due_at=START)
    found = cleanup_repository.get_upload_records([*ids, *ids])
    assert set(found) == set(ids[::2])
    assert found[ids[0]] == read_upload(repository, ids[0]).record
    assert cleanup_repository.get_object_owners(ids) == dict.fromkeys(ids[::2])
    assert cleanup_repository.get_upload_records([]) == {}
    assert cleanup_repository.get_object_owners([]) == {}


def test_save_orphan_scan_with_stale_version_raises(cleanup_repository: CleanupRepository) -> None:
    """Written only by whoever has read the one before; no other row is in its way."""
    assert cleanup_repository.get_orphan_scan() is None
    first = OrphanScan(START, OrphanScanPhase.STAGED_CHUNKS, "a cursor")
    cleanup_repository.save_orphan_scan(first)
    assert cleanup_repository.get_orphan_scan() == first
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.save_orphan_scan(first)
    second = OrphanScan(START + 1, OrphanScanPhase.DONE, None, version=2)
    cleanup_repository.save_orphan_scan(second)
    for stale in (first, second, replace(second, version=4)):
        with pytest.raises(ConcurrentUpdate):
            cleanup_repository.save_orphan_scan(stale)
    assert cleanup_repository.get_orphan_scan() == second
    assert cleanup_repository.list_due_tasks(10**13, None, 10).items == []
