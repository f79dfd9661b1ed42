"""The contract of the upload repository: leases of completions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import IfExists
from ferry.model.objects import StoredObject
from ferry.model.uploads import UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    IDLE_TIMEOUT_MS,
    NAME,
    NS,
    SHARDED_LAYOUT,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    acquire_lease,
    all_tasks,
    create_upload,
    lease_upload,
    make_file,
    open_upload,
    read_upload,
    record_chunk,
)

STORED_OBJECT = StoredObject('"0123-3"', 20, 0xFFFFFFFF, 2**32)


@pytest.mark.parametrize("shard_index", [0, 2])
def test_acquire_lease_returns_upload_as_stored(repository: UploadRepository, shard_index: int) -> None:
    """The returned upload equals a read, for the first lease and for one that takes over."""
    open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, read_upload(repository), 128 * shard_index + 1)
    first = acquire_lease(repository, read_upload(repository))
    assert first == read_upload(repository)
    assert acquire_lease(repository, first, "second", now=START_MS + 60_001) == read_upload(repository)
    assert read_upload(repository).record.first_leased_at == START_MS + 10


@pytest.mark.parametrize("change", ["chunk", "chunk in the last shard", "activity", "presigned"])
def test_acquire_lease_after_shard_change_raises(repository: UploadRepository, change: str) -> None:
    """A chunk, a presigned part or other activity since the read prevents a lease."""
    before = open_upload(repository, layout=SHARDED_LAYOUT)
    changes: dict[str, Callable[[], object]] = {
        "chunk": lambda: record_chunk(repository, before, 1),
        "chunk in the last shard": lambda: record_chunk(repository, before, 257),
        "activity": lambda: repository.record_activity(read_upload(repository), now=START_MS + 1),
        "presigned": lambda: repository.mark_presigned(before, now=START_MS + 1),
    }
    changes[change]()
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, before)
    assert all(shard.open for shard in read_upload(repository).shards)
    acquire_lease(repository, read_upload(repository))


def test_acquire_lease_closes_every_shard(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A lease stores its id, expiry and options, and no chunk is recorded any more."""
    before = open_upload(repository, layout=SHARDED_LAYOUT)
    acquire_lease(repository, before)
    upload = read_upload(repository)
    assert upload.record == replace(
        before.record,
        state=UploadState.COMPLETING,
        lease_id="mine",
        lease_expires_at=START_MS + 60_000,
        first_leased_at=START_MS + 10,
        lease_if_exists=IfExists.REPLACE,
        lease_if_match='"tag"',
        lease_crc32c=7,
        version=before.record.version + 1,
    )
    assert [(shard.open, shard.epoch) for shard in upload.shards] == [
        (False, shard.epoch + 2) for shard in before.shards
    ]
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 60_000)}
    for index in (1, 200, 9_216):
        with pytest.raises(ConcurrentUpdate):
            record_chunk(repository, before, index)


def test_acquire_lease_before_expiry_raises(repository: UploadRepository) -> None:
    """A lease is taken over after its expiry, once; the time of the first lease is kept."""
    upload = lease_upload(repository)
    for now in (START_MS + 11, START_MS + 60_000):
        with pytest.raises(ConcurrentUpdate):
            acquire_lease(repository, upload, "other", now)
    acquire_lease(repository, upload, "other", START_MS + 60_001)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "third", START_MS + 60_001)
    record = read_upload(repository).record
    assert (record.lease_id, record.first_leased_at) == ("other", START_MS + 10)


def test_acquire_lease_of_open_upload_or_handed_over_counts_anew(repository: UploadRepository) -> None:
    """The time from which an object may appear is that of the completion that may build it, not of one rejected."""
    released = lease_upload(repository)
    repository.release_lease(released, lease_id="mine", stored_object=None, lost_chunks=(), due_at=START_MS + 5)
    second = acquire_lease(repository, read_upload(repository), "second", now=START_MS + 20)
    assert second == read_upload(repository)
    handed_over = acquire_lease(repository, second, "third", now=START_MS + 30, previous_lease_id="second")
    assert handed_over == read_upload(repository)
    assert (second.record.first_leased_at, handed_over.record.first_leased_at) == (START_MS + 20, START_MS + 30)


def test_acquire_lease_with_previous_id_succeeds_once(repository: UploadRepository) -> None:
    """A lease is taken over before its expiry by naming it, once."""
    upload = lease_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "successor", previous_lease_id="another")
    acquire_lease(repository, upload, "successor", previous_lease_id="mine")
    for stale in (upload, read_upload(repository)):
        with pytest.raises(ConcurrentUpdate):
            acquire_lease(repository, stale, "second", previous_lease_id="mine")
    record = read_upload(repository).record
    assert (record.state, record.lease_id, record.first_leased_at) == (
        UploadState.COMPLETING,
        "successor",
        START_MS + 10,
    )
    repository.release_lease(
        read_upload(repository),
        lease_id="successor",
        stored_object=None,
        lost_chunks=(),
        due_at=START_MS + IDLE_TIMEOUT_MS,
    )
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "late", previous_lease_id="mine")


def test_acquire_lease_with_stale_version_raises(repository: UploadRepository) -> None:
    """A reader of an upload that was leased and released since cannot lease it."""
    upload = open_upload(repository)
    acquire_lease(repository, upload)
    repository.release_lease(
        read_upload(repository), lease_id="mine", stored_object=None, lost_chunks=(), due_at=START_MS + IDLE_TIMEOUT_MS
    )
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload, "other")
    acquire_lease(repository, read_upload(repository), "other")


def test_acquire_lease_when_not_open_raises(repository: UploadRepository) -> None:
    """Creating and ended uploads cannot be leased."""
    upload = create_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, upload)
    repository.terminate(upload, UploadState.CANCELLED, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, read_upload(repository))


def test_release_lease_reopens_upload(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """A released upload is open as before, with a higher version; writers that read it before are fenced out."""
    before = open_upload(repository)
    record_chunk(repository, before, 1)
    acquire_lease(repository, read_upload(repository))
    closed = read_upload(repository)
    repository.release_lease(
        closed, lease_id="mine", stored_object=None, lost_chunks=(), due_at=START_MS + IDLE_TIMEOUT_MS
    )
    after = read_upload(repository)
    assert after.record == replace(before.record, first_leased_at=START_MS + 10, version=closed.record.version + 1)
    assert (after.chunk_indexes(), after.recorded_chunk_bytes) == (closed.chunk_indexes(), closed.recorded_chunk_bytes)
    assert after.version > closed.version
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + IDLE_TIMEOUT_MS)}
    with pytest.raises(ConcurrentUpdate):
        record_chunk(repository, before, 2)
    record_chunk(repository, after, 2)
    assert read_upload(repository).chunk_indexes() == [1, 2]


def test_release_lease_with_lost_chunks_clears_them(
    repository: UploadRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost chunks are removed from every bitmap and can be recorded again."""
    monkeypatch.setattr("ferry.model.progress.COMPACTION_THRESHOLD", 1)
    open_upload(repository, layout=SHARDED_LAYOUT)
    for index in (1, 2, 129, 9_216, 3):
        record_chunk(repository, read_upload(repository), index)
    acquire_lease(repository, read_upload(repository))
    repository.release_lease(
        read_upload(repository),
        lease_id="mine",
        stored_object=None,
        lost_chunks=[2, 3, 9_216, 9_215],
        due_at=START_MS + IDLE_TIMEOUT_MS,
    )
    after = read_upload(repository)
    assert (after.chunk_indexes(), after.recorded_chunk_bytes) == ([1, 129], 2 * 65_536)
    assert all(shard.open for shard in after.shards)
    record_chunk(repository, after, 2)
    assert read_upload(repository).chunk_indexes() == [1, 2, 129]


def test_release_lease_with_stored_object_stays_closed(repository: UploadRepository) -> None:
    """With a built object the upload is open but its shards stay closed."""
    upload = lease_upload(repository)
    repository.release_lease(
        upload, lease_id="mine", stored_object=STORED_OBJECT, lost_chunks=(), due_at=START_MS + IDLE_TIMEOUT_MS
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
        repository.mark_presigned(after, now=START_MS + 1)
    acquire_lease(repository, after, "other")


def test_writes_under_another_lease_raise(
    repository: UploadRepository, cleanup_repository: CleanupRepository, file_repository: FileRepository
) -> None:
    """A write under another lease changes nothing."""
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
            upload, UploadState.EXPIRED, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS, lease_id="other"
        )
    assert read_upload(repository) == upload
    assert file_repository.get_file(NS, NAME) is None
    assert all_tasks(cleanup_repository) == {CleanupTask(CleanupTaskKind.UPLOAD, UPLOAD_ID, START_MS + 60_000)}
