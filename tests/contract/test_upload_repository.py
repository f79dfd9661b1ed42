"""The contract of the upload repository: the states of an upload, and files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import IfExists
from ferry.model.uploads import CurrentUpload, Upload, UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    FAR_FUTURE,
    IDLE_TIMEOUT_MS,
    LARGEST_LAYOUT,
    NAME,
    NS,
    OTHER_ID,
    SHARDED_LAYOUT,
    THIRD_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    UploadFactory,
    acquire_lease,
    all_tasks,
    commit_upload,
    create_upload,
    lease_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
    record_chunk,
)


def test_reads_on_empty_table_return_none(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """Reads of an empty table return None, also for invented upload ids that name other rows."""
    assert file_repository.get_file(NS, NAME) is None
    assert repository.get_current_upload(NS, NAME) is None
    assert [repository.get_upload(upload_id) for upload_id in (UPLOAD_ID, f"{UPLOAD_ID}#0", "x" * 5_000)] == [
        None,
        None,
        None,
    ]
    assert all_tasks(cleanup_repository) == set()


def test_create_upload_stores_every_field_and_current_upload(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A created upload is read with every field; its shards are open and empty, and it is due."""
    record = replace(
        make_record(layout=SHARDED_LAYOUT),
        metadata={"colour": "grün", "empty": ""},
        crc32c=0,
        fingerprint="inode 5",
        if_exists=IfExists.REPLACE,
        file_existed=True,
        requires_checksum=True,
        upload_id_required=True,
    )
    repository.create_upload(record, expected=None, due_at=START_MS + 1)
    upload = read_upload(repository)
    assert upload.record == record
    assert [
        (shard.index, shard.open, shard.last_activity_at, shard.all_bits, shard.received_bytes)
        for shard in upload.shards
    ] == [(number, True, START_MS, 0, 0) for number in range(3)]
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 1)}


@pytest.mark.parametrize(
    "expected",
    [None, CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True), CurrentUpload(NS, NAME, OTHER_ID, in_progress=False)],
    ids=["as if absent", "in progress", "another"],
)
def test_create_upload_while_in_progress_raises(repository: UploadRepository, expected: CurrentUpload | None) -> None:
    """While an upload is in progress, no other upload of the name is created."""
    create_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(OTHER_ID), expected=expected, due_at=START_MS + 1)
    assert repository.get_upload(OTHER_ID) is None
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True)


def test_create_upload_replaces_expected_current_upload_once(repository: UploadRepository) -> None:
    """An ended current upload is replaced once, and only if it is the expected one."""
    repository.terminate(
        create_upload(repository), UploadState.CANCELLED, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    ended = repository.get_current_upload(NS, NAME)
    repository.create_upload(make_record(OTHER_ID), expected=ended, due_at=START_MS + 1)
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, OTHER_ID, in_progress=True)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(THIRD_ID), expected=ended, due_at=START_MS + 1)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(THIRD_ID), expected=None, due_at=START_MS + 1)


def test_change_options_of_changed_record_raises(repository: UploadRepository) -> None:
    """Options are stored with a new version, and only if the record is as it was read."""
    upload = open_upload(repository)
    changed = repository.change_options(upload, if_exists=IfExists.REPLACE, requires_checksum=True)
    assert changed == read_upload(repository)
    assert (changed.record.if_exists, changed.record.requires_checksum) == (IfExists.REPLACE, True)
    assert changed.record.version == upload.record.version + 1
    with pytest.raises(ConcurrentUpdate):
        repository.change_options(upload, if_exists=IfExists.FAIL, requires_checksum=False)
    leased = acquire_lease(repository, changed)
    repository.change_options(leased, if_exists=IfExists.FAIL, requires_checksum=False)
    record = read_upload(repository).record
    assert (record.if_exists, record.requires_checksum, record.state) == (IfExists.FAIL, False, UploadState.COMPLETING)


@pytest.mark.parametrize("had_received", [None, False, True])
def test_terminate_for_restart_stores_what_was_received(
    repository: UploadRepository, had_received: bool | None
) -> None:
    """A restart that found nothing fails if a chunk was recorded since; one that found something stores that."""
    upload = open_upload(repository)
    record_chunk(repository, upload, 1)
    if had_received is False:
        with pytest.raises(ConcurrentUpdate):
            _cancel(repository, upload, had_received)
        upload = read_upload(repository)
    _cancel(repository, upload, had_received)
    assert read_upload(repository).record.was_restarted is bool(had_received)


def _cancel(repository: UploadRepository, upload: Upload, had_received: bool | None) -> None:
    repository.terminate(
        upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS, had_received=had_received
    )


def test_mark_open_twice_raises(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """An upload is opened once, which stores its multipart upload, its due time and a new version."""
    before = create_upload(repository).record
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record == replace(
        before, state=UploadState.OPEN, multipart_id="multipart", opened_at=START_MS, version=before.version + 1
    )
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + IDLE_TIMEOUT_MS)}
    for upload_id in (UPLOAD_ID, OTHER_ID):
        with pytest.raises(ConcurrentUpdate):
            repository.mark_open(upload_id, "another", now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record.multipart_id == "multipart"


def test_mark_open_empty_file_has_no_multipart_id(repository: UploadRepository) -> None:
    """The upload of an empty file has no multipart upload."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, None, now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    assert (read_upload(repository).record.state, read_upload(repository).record.multipart_id) == (
        UploadState.OPEN,
        None,
    )


def test_commit_file_makes_file_current(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A commit stores the file, completes the upload, ends it for the name and schedules its staged chunks."""
    upload = lease_upload(repository)
    file = make_file()
    repository.commit_file(
        upload.record,
        file,
        replaced_file=None,
        staged_chunks_due_at=START_MS + 20,
        object_due_at=START_MS + 30,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    assert file_repository.get_file(NS, NAME) == file
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)
    record = read_upload(repository).record
    assert (record.state, record.file, record.ended_at) == (UploadState.COMPLETE, file, file.uploaded_at)
    assert record.version == upload.record.version + 1
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START_MS + 20)}
    with pytest.raises(ConcurrentUpdate):
        repository.commit_file(
            upload.record,
            file,
            replaced_file=None,
            staged_chunks_due_at=1,
            object_due_at=1,
            ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        )


def test_commit_file_schedules_deletion_of_replaced_object(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A commit schedules the object of the replaced file."""
    replaced_file = commit_upload(repository, OTHER_ID)
    commit_upload(repository, UPLOAD_ID)
    file = file_repository.get_file(NS, NAME)
    assert file == make_file(UPLOAD_ID)
    assert file != replaced_file
    assert all_tasks(cleanup_repository) == {
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, OTHER_ID, START_MS + 20),
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START_MS + 20),
        CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START_MS + 30),
    }


def test_commit_file_with_unexpected_file_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A commit writes nothing if the name's file is not the expected one."""
    stored_file = commit_upload(repository, OTHER_ID)
    upload = lease_upload(repository, UPLOAD_ID)
    before = all_tasks(cleanup_repository)
    for unexpected in (None, replace(stored_file, upload_id=THIRD_ID)):
        with pytest.raises(ConcurrentUpdate):
            repository.commit_file(
                upload.record,
                make_file(),
                replaced_file=unexpected,
                staged_chunks_due_at=1,
                object_due_at=1,
                ttl_epoch_seconds=TTL_EPOCH_SECONDS,
            )
    assert file_repository.get_file(NS, NAME) == stored_file
    assert read_upload(repository) == upload
    assert all_tasks(cleanup_repository) == before
    file_repository.delete_file(stored_file, object_due_at=START_MS + 40, now=START_MS)
    with pytest.raises(ConcurrentUpdate):
        repository.commit_file(
            upload.record,
            make_file(),
            replaced_file=stored_file,
            staged_chunks_due_at=1,
            object_due_at=1,
            ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        )
    repository.commit_file(
        upload.record,
        make_file(),
        replaced_file=None,
        staged_chunks_due_at=1,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )


@pytest.mark.parametrize("state", [UploadState.CANCELLED, UploadState.EXPIRED])
@pytest.mark.parametrize("prepare", [create_upload, open_upload])
def test_terminate_closes_upload(
    repository: UploadRepository, cleanup_repository: CleanupRepository, state: UploadState, prepare: UploadFactory
) -> None:
    """A creating or open upload ends: its shards are closed, it is due at once and the name is free."""
    upload = prepare(repository, layout=SHARDED_LAYOUT)
    repository.terminate(upload, state, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    after = read_upload(repository)
    assert after.record == replace(
        upload.record, state=state, ended_at=START_MS + 50, version=upload.record.version + 1
    )
    assert [(shard.open, shard.epoch) for shard in after.shards] == [(False, 2)] * 3
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 50)}
    with pytest.raises(ConcurrentUpdate):
        record_chunk(repository, upload, 1)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, state, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_expired_after_activity_raises(repository: UploadRepository) -> None:
    """Activity since the read, in any shard, keeps an upload from expiring but not from being cancelled."""
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, upload, 129, now=START_MS + 77)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.EXPIRED, now=START_MS + 78, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record == upload.record
    repository.terminate(upload, UploadState.CANCELLED, now=START_MS + 78, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_after_mark_open_raises(repository: UploadRepository) -> None:
    """A reader of the creating upload, who has no multipart id, cannot end the open one."""
    upload = create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.CANCELLED, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_completing_requires_lease(repository: UploadRepository) -> None:
    """A completing upload ends only under its lease."""
    upload = lease_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.CANCELLED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    repository.terminate(
        upload, UploadState.EXPIRED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id="mine"
    )
    record = read_upload(repository).record
    assert (record.state, record.lease_id, record.ended_at) == (UploadState.EXPIRED, None, START_MS + 50)
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)


def test_terminate_complete_upload_raises(repository: UploadRepository) -> None:
    """A complete upload stays complete."""
    commit_upload(repository)
    upload = read_upload(repository)
    for lease_id in (None, "mine"):
        with pytest.raises(ConcurrentUpdate):
            repository.terminate(
                upload, UploadState.CANCELLED, now=START_MS + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id=lease_id
            )
    assert read_upload(repository) == upload


def test_delete_file_schedules_object(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A deletion removes the file that was read and no other, and schedules its object."""
    stored_file = commit_upload(repository, OTHER_ID)
    file = commit_upload(repository, UPLOAD_ID)
    with pytest.raises(ConcurrentUpdate):
        file_repository.delete_file(stored_file, object_due_at=START_MS + 40, now=START_MS)
    file_repository.delete_file(file, object_due_at=START_MS + 40, now=START_MS)
    assert file_repository.get_file(NS, NAME) is None
    assert CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 40) in all_tasks(cleanup_repository)
    with pytest.raises(ConcurrentUpdate):
        file_repository.delete_file(file, object_due_at=START_MS + 50, now=START_MS)
    assert CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START_MS + 50) not in all_tasks(cleanup_repository)


@pytest.mark.large
def test_transactions_with_max_shards_succeed(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """An upload with 90 shards can be created, presigned, leased, released and expired."""
    upload = open_upload(repository, layout=LARGEST_LAYOUT)
    assert len(upload.shards) == 90
    record_chunk(repository, upload, 276_480)
    repository.mark_presigned(upload, now=START_MS + 5)
    acquire_lease(repository, read_upload(repository))
    repository.release_lease(
        read_upload(repository),
        lease_id="mine",
        stored_object=None,
        lost_chunks=[276_480],
        due_at=START_MS + IDLE_TIMEOUT_MS,
    )
    assert read_upload(repository).recorded_chunk_bytes == 0
    acquire_lease(repository, read_upload(repository), "again")
    repository.terminate(
        read_upload(repository),
        UploadState.EXPIRED,
        now=START_MS + 50,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        lease_id="again",
    )
    assert read_upload(repository).record.state is UploadState.EXPIRED
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)
    assert read_upload(repository).shards == ()


def test_get_name_returns_file_and_current_upload(
    repository: UploadRepository, file_repository: FileRepository
) -> None:
    """A name has its file and its current upload, each if it exists."""
    assert repository.get_name(NS, NAME) == (None, None, None)
    create_upload(repository, name="started")
    assert repository.get_name(NS, "started") == (None, CurrentUpload(NS, "started", UPLOAD_ID, in_progress=True), None)
    commit_upload(repository, OTHER_ID)
    assert repository.get_name(NS, NAME) == (
        make_file(OTHER_ID),
        CurrentUpload(NS, NAME, OTHER_ID, in_progress=False),
        None,
    )
    file_repository.delete_file(make_file(OTHER_ID), object_due_at=START_MS + IDLE_TIMEOUT_MS, now=START_MS)
    assert repository.get_name(NS, NAME) == (None, CurrentUpload(NS, NAME, OTHER_ID, in_progress=False), None)
