"""The repository's contract: the life of an upload, from `begin` to `finish`, `end` and `swept`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.objects import StoredObject
from ferry.model.uploads import CurrentUpload, UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
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
    acquire_lease,
    commit_upload,
    create_upload,
    lease_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
    record_chunk,
)

STORED_OBJECT = StoredObject('"0123-3"', 20, 0xFFFFFFFF, 2**32)


def all_tasks(cleanup_repository: CleanupRepository) -> set[CleanupTask]:
    """All that is due, ever."""
    return set(cleanup_repository.list_due_tasks(10**14, None, 100).items)


def test_reads_on_empty_table_return_none(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """An empty repository says None everywhere, and an id made up to name other rows is one of no upload."""
    assert repository.get_file(NS, NAME) is None
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
    """What was put is what is read; stripes are open, nothing is received, the session is due."""
    session = replace(
        make_record(layout=SHARDED_LAYOUT),
        metadata={"colour": "grün", "empty": ""},
        crc32c=0,
        fingerprint="inode 5",
        replace_existing=True,
    )
    repository.create_upload(session, expected=None, due_at=START + 1)
    upload = read_upload(repository)
    assert upload.record == session
    assert [(row.index, row.open, row.last_activity_at, row.all_bits, row.received_bytes) for row in upload.shards] == [
        (number, True, START, 0, 0) for number in range(3)
    ]
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 1)}


@pytest.mark.parametrize(
    "over",
    [None, CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True), CurrentUpload(NS, NAME, OTHER_ID, in_progress=False)],
    ids=["as if absent", "in progress", "another"],
)
def test_create_upload_while_in_progress_raises(repository: UploadRepository, over: CurrentUpload | None) -> None:
    """While an upload is in progress no other begins, and nothing of it is written."""
    create_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(OTHER_ID), expected=over, due_at=START + 1)
    assert repository.get_upload(OTHER_ID) is None
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=True)


def test_create_upload_replaces_expected_current_upload_once(repository: UploadRepository) -> None:
    """An ended upload's slot is taken over once; who read it before that has lost."""
    repository.terminate(
        create_upload(repository), UploadState.CANCELLED, now=START + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    over = repository.get_current_upload(NS, NAME)
    repository.create_upload(make_record(OTHER_ID), expected=over, due_at=START + 1)
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, OTHER_ID, in_progress=True)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(THIRD_ID), expected=over, due_at=START + 1)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(make_record(THIRD_ID), expected=None, due_at=START + 1)


def test_mark_open_twice_raises(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """creating → open happens once, notes the multipart upload and the new time, and moves the version."""
    before = create_upload(repository).record
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record == replace(
        before, state=UploadState.OPEN, multipart_id="multipart", version=before.version + 1
    )
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + IDLE_TIMEOUT_MS)}
    for upload_id in (UPLOAD_ID, OTHER_ID):
        with pytest.raises(ConcurrentUpdate):
            repository.mark_open(upload_id, "another", due_at=START + IDLE_TIMEOUT_MS)
    assert read_upload(repository).record.multipart_id == "multipart"


def test_mark_open_empty_file_has_no_multipart_id(repository: UploadRepository) -> None:
    """There is nothing to upload, so there is no multipart id."""
    create_upload(repository)
    repository.mark_open(UPLOAD_ID, None, due_at=START + IDLE_TIMEOUT_MS)
    assert (read_upload(repository).record.state, read_upload(repository).record.multipart_id) == (
        UploadState.OPEN,
        None,
    )


def test_acquire_lease_closes_every_shard(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A lease notes who completes until when and what was asked; no chunk is recorded any more."""
    before = open_upload(repository, layout=SHARDED_LAYOUT)
    acquire_lease(repository, before)
    upload = read_upload(repository)
    assert upload.record == replace(
        before.record,
        state=UploadState.COMPLETING,
        lease_id="mine",
        lease_expires_at=START + 60_000,
        first_leased_at=START + 10,
        lease_replace_existing=True,
        lease_crc32c=7,
        version=before.record.version + 1,
    )
    assert [(row.open, row.epoch) for row in upload.shards] == [(False, row.epoch + 2) for row in before.shards]
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 60_000)}
    for index in (1, 200, 9_216):
        with pytest.raises(ConcurrentUpdate):
            record_chunk(repository, before, index)


def test_acquire_lease_before_expiry_raises(repository: UploadRepository) -> None:
    """A live lease stands; a lapsed one is taken over by one of those who saw it, the first time of all is kept."""
    upload = lease_upload(repository)
    for now in (START + 11, START + 60_000):
        with pytest.raises(ConcurrentUpdate):
            acquire_lease(repository, upload, "other", now)
    acquire_lease(repository, upload, "other", START + 60_001)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "third", START + 60_001)
    session = read_upload(repository).record
    assert (session.lease_id, session.first_leased_at) == ("other", START + 10)


def test_acquire_lease_with_previous_id_succeeds_once(repository: UploadRepository) -> None:
    """Naming its attempt takes over a live lease; naming another does not, and neither does naming it again."""
    upload = lease_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "worker", previous_lease_id="another")
    acquire_lease(repository, upload, "worker", previous_lease_id="mine")
    for stale in (upload, read_upload(repository)):
        with pytest.raises(ConcurrentUpdate):
            acquire_lease(repository, stale, "second", previous_lease_id="mine")
    session = read_upload(repository).record
    assert (session.state, session.lease_id, session.first_leased_at) == (UploadState.COMPLETING, "worker", START + 10)
    repository.release_lease(
        read_upload(repository), lease_id="worker", stored_object=None, lost_chunks=(), due_at=START + IDLE_TIMEOUT_MS
    )
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "late", previous_lease_id="mine")


def test_acquire_lease_with_stale_version_raises(repository: UploadRepository) -> None:
    """Who read the session before it was given back knows too little to lease it."""
    upload = open_upload(repository)
    acquire_lease(repository, upload)
    repository.release_lease(
        read_upload(repository), lease_id="mine", stored_object=None, lost_chunks=(), due_at=START + IDLE_TIMEOUT_MS
    )
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "other")
    acquire_lease(repository, read_upload(repository), "other")


def test_acquire_lease_when_not_open_raises(repository: UploadRepository) -> None:
    """creating and ended sessions are not leased."""
    upload = create_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload)
    repository.terminate(upload, UploadState.CANCELLED, now=START + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, read_upload(repository))


def test_release_lease_reopens_upload(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """The session is as before the lease, but further; who computed before the lease is fenced out."""
    before = open_upload(repository)
    record_chunk(repository, before, 1)
    acquire_lease(repository, read_upload(repository))
    closed = read_upload(repository)
    repository.release_lease(
        closed, lease_id="mine", stored_object=None, lost_chunks=(), due_at=START + IDLE_TIMEOUT_MS
    )
    after = read_upload(repository)
    assert after.record == replace(before.record, first_leased_at=START + 10, version=closed.record.version + 1)
    assert (after.chunk_indexes(), after.received_bytes) == (closed.chunk_indexes(), closed.received_bytes)
    assert after.version > closed.version
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + IDLE_TIMEOUT_MS)}
    with pytest.raises(ConcurrentUpdate):
        record_chunk(repository, before, 2)
    record_chunk(repository, after, 2)
    assert read_upload(repository).chunk_indexes() == [1, 2]


def test_release_lease_with_lost_chunks_clears_them(
    repository: UploadRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgotten chunks count no more, wherever they were noted, and can be recorded again."""
    monkeypatch.setattr("ferry.model.uploads.COMPACTION_THRESHOLD", 1)
    open_upload(repository, layout=SHARDED_LAYOUT)
    for index in (1, 2, 129, 9_216, 3):
        record_chunk(repository, read_upload(repository), index)
    acquire_lease(repository, read_upload(repository))
    repository.release_lease(
        read_upload(repository),
        lease_id="mine",
        stored_object=None,
        lost_chunks=[2, 3, 9_216, 9_215],
        due_at=START + IDLE_TIMEOUT_MS,
    )
    after = read_upload(repository)
    assert (after.chunk_indexes(), after.received_bytes) == ([1, 129], 2 * 65_536)
    assert all(row.open for row in after.shards)
    record_chunk(repository, after, 2)
    assert read_upload(repository).chunk_indexes() == [1, 2, 129]


def test_release_lease_with_stored_object_stays_closed(repository: UploadRepository) -> None:
    """An object that exists is noted, and the stripes stay closed."""
    upload = lease_upload(repository)
    repository.release_lease(
        upload, lease_id="mine", stored_object=STORED_OBJECT, lost_chunks=(), due_at=START + IDLE_TIMEOUT_MS
    )
    after = read_upload(repository)
    assert (after.record.state, after.record.stored_object, after.record.lease_id) == (
        UploadState.OPEN,
        STORED_OBJECT,
        None,
    )
    with pytest.raises(ConcurrentUpdate):
        record_chunk(repository, after, 1)
    with pytest.raises(ConcurrentUpdate):
        repository.mark_presigned(after, now=START + 1)
    acquire_lease(repository, after, "other")


def test_writes_under_another_lease_raise(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """Every write out of completing demands the lease; none of the others changes anything."""
    upload = lease_upload(repository)
    other = replace(upload.record, lease_id="other")
    with pytest.raises(ConcurrentUpdate):
        repository.release_lease(upload, lease_id="other", stored_object=None, lost_chunks=(), due_at=1)
    with pytest.raises(ConcurrentUpdate):
        repository.commit_file(
            other,
            make_file(),
            replaced_file=None,
            staged_chunks_due_at=1,
            object_due_at=1,
            ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        )
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(
            upload, UploadState.EXPIRED, now=START + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id="other"
        )
    assert read_upload(repository) == upload
    assert repository.get_file(NS, NAME) is None
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 60_000)}


def test_commit_file_makes_file_current(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """The file is there, the session has it as its answer, the slot is free, the stages are to be removed."""
    upload = lease_upload(repository)
    file = make_file()
    repository.commit_file(
        upload.record,
        file,
        replaced_file=None,
        staged_chunks_due_at=START + 20,
        object_due_at=START + 30,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    assert repository.get_file(NS, NAME) == file
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)
    session = read_upload(repository).record
    assert (session.state, session.file, session.ended_at) == (UploadState.COMPLETE, file, file.uploaded_at)
    assert session.version == upload.record.version + 1
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START + 20)}
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
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A replaced file's object is to be removed, later."""
    old = commit_upload(repository, OTHER_ID)
    commit_upload(repository, UPLOAD_ID)
    found = repository.get_file(NS, NAME)
    assert found == make_file(UPLOAD_ID)
    assert found != old
    assert all_tasks(cleanup_repository) == {
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, OTHER_ID, START + 20),
        CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START + 20),
        CleanupTask(CleanupTaskKind.OBJECT, OTHER_ID, START + 30),
    }


def test_commit_file_with_unexpected_file_raises(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """A file that came, went or changed meanwhile stops the switch, and nothing at all is written."""
    old = commit_upload(repository, OTHER_ID)
    upload = lease_upload(repository, UPLOAD_ID)
    before = all_tasks(cleanup_repository)
    for over in (None, replace(old, upload_id=THIRD_ID)):
        with pytest.raises(ConcurrentUpdate):
            repository.commit_file(
                upload.record,
                make_file(),
                replaced_file=over,
                staged_chunks_due_at=1,
                object_due_at=1,
                ttl_epoch_seconds=TTL_EPOCH_SECONDS,
            )
    assert repository.get_file(NS, NAME) == old
    assert read_upload(repository) == upload
    assert all_tasks(cleanup_repository) == before
    repository.delete_file(old, object_due_at=START + 40, now=START)
    with pytest.raises(ConcurrentUpdate):
        repository.commit_file(
            upload.record,
            make_file(),
            replaced_file=old,
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
    repository: UploadRepository, cleanup_repository: CleanupRepository, state: UploadState, prepare: object
) -> None:
    """creating and open uploads end: closed, due at once, the slot free for another."""
    assert callable(prepare)
    upload = prepare(repository, layout=SHARDED_LAYOUT)
    repository.terminate(upload, state, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    after = read_upload(repository)
    assert after.record == replace(upload.record, state=state, ended_at=START + 50, version=upload.record.version + 1)
    assert [(row.open, row.epoch) for row in after.shards] == [(False, 2)] * 3
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START + 50)}
    with pytest.raises(ConcurrentUpdate):
        record_chunk(repository, upload, 1)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, state, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_expired_after_activity_raises(repository: UploadRepository) -> None:
    """Activity since the read saves an upload from expiry, on whatever stripe it was; not from being cancelled."""
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, upload, 129, now=START + 77)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.EXPIRED, now=START + 78, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record == upload.record
    repository.terminate(upload, UploadState.CANCELLED, now=START + 78, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_after_mark_open_raises(repository: UploadRepository) -> None:
    """Who saw `creating` knows no multipart id, and could not clean up after an open one."""
    upload = create_upload(repository)
    repository.mark_open(UPLOAD_ID, "multipart", due_at=START + IDLE_TIMEOUT_MS)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.CANCELLED, now=START + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_terminate_completing_requires_lease(repository: UploadRepository) -> None:
    """Completing uploads end only by whoever holds the lease."""
    upload = lease_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, UploadState.CANCELLED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    repository.terminate(
        upload, UploadState.EXPIRED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id="mine"
    )
    session = read_upload(repository).record
    assert (session.state, session.lease_id, session.ended_at) == (UploadState.EXPIRED, None, START + 50)
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)


def test_terminate_complete_upload_raises(repository: UploadRepository) -> None:
    """What is complete stays complete."""
    commit_upload(repository)
    upload = read_upload(repository)
    for attempt in (None, "mine"):
        with pytest.raises(ConcurrentUpdate):
            repository.terminate(
                upload, UploadState.CANCELLED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id=attempt
            )
    assert read_upload(repository) == upload


def test_mark_purged_unschedules_upload(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """What has left nothing behind is due no more, but its stages are looked at once again."""
    repository.terminate(
        open_upload(repository), UploadState.CANCELLED, now=START + 50, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    cleanup_repository.mark_purged(UPLOAD_ID, staged_chunks_due_at=START + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert read_upload(repository).record.purged
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.STAGED_CHUNKS, UPLOAD_ID, START + 90)}
    open_upload(repository, OTHER_ID)
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.mark_purged(OTHER_ID, staged_chunks_due_at=START + 90, ttl_epoch_seconds=TTL_EPOCH_SECONDS)


def test_delete_file_schedules_object(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """The pointer goes, its object gets a tomb; only the file that was read is deleted."""
    old = commit_upload(repository, OTHER_ID)
    file = commit_upload(repository, UPLOAD_ID)
    with pytest.raises(ConcurrentUpdate):
        repository.delete_file(old, object_due_at=START + 40, now=START)
    repository.delete_file(file, object_due_at=START + 40, now=START)
    assert repository.get_file(NS, NAME) is None
    assert CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 40) in all_tasks(cleanup_repository)
    with pytest.raises(ConcurrentUpdate):
        repository.delete_file(file, object_due_at=START + 50, now=START)
    assert CleanupTask(CleanupTaskKind.OBJECT, UPLOAD_ID, START + 50) not in all_tasks(cleanup_repository)


def test_transactions_with_max_shards_succeed(
    repository: UploadRepository, cleanup_repository: CleanupRepository
) -> None:
    """Ninety stripes begin, are marked, leased, opened again and finished."""
    upload = open_upload(repository, layout=LARGEST_LAYOUT)
    assert len(upload.shards) == 90
    record_chunk(repository, upload, 276_480)
    repository.mark_presigned(upload, now=START + 5)
    acquire_lease(repository, read_upload(repository))
    repository.release_lease(
        read_upload(repository),
        lease_id="mine",
        stored_object=None,
        lost_chunks=[276_480],
        due_at=START + IDLE_TIMEOUT_MS,
    )
    assert read_upload(repository).received_bytes == 0
    acquire_lease(repository, read_upload(repository), "again")
    repository.terminate(
        read_upload(repository),
        UploadState.EXPIRED,
        now=START + 50,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
        lease_id="again",
    )
    assert read_upload(repository).record.state is UploadState.EXPIRED
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)
    assert read_upload(repository).shards == ()
