"""The contract of quotas: the usage in the repository's transactions and in recounts (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin.recount import QuotaStore
from dev.fakes.clock import START_MS
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import Upload, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    NAME,
    NS,
    OTHER_ID,
    THIRD_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    acquire_lease,
    commit_upload,
    make_file,
    make_record,
    open_upload,
    read_upload,
)

SIZE = make_record().layout.size


def create_counted_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME) -> Upload:
    """Create an open upload that is counted in the quota."""
    _, expected, quota = repository.get_name(NS, name)
    record = replace(make_record(upload_id, name=name), counted_in_quota=True)
    repository.create_upload(record, expected=expected, due_at=START_MS + 1, quota=quota)
    repository.mark_open(upload_id, "multipart", now=START_MS, due_at=START_MS + 1)
    return read_upload(repository, upload_id)


def commit_counted_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME) -> File:
    """Create a counted upload, commit its file and return it."""
    acquire_lease(repository, create_counted_upload(repository, upload_id, name=name))
    record = read_upload(repository, upload_id).record
    file = replace(make_file(upload_id, name=name), counted_in_quota=record.counted_in_quota)
    repository.commit_file(
        record,
        file,
        replaced_file=repository.get_name(NS, name)[0],
        staged_chunks_due_at=1,
        object_due_at=1,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    return file


def usage(quota_store: QuotaStore) -> tuple[int, int]:
    """Return used bytes and open uploads."""
    quota = quota_store.get_quota(NS)
    assert quota is not None
    return quota.used_bytes, quota.open_uploads


def test_set_limits_keeps_usage(repository: UploadRepository, quota_store: QuotaStore) -> None:
    """Limits can be set, changed and removed; the usage stays, and other namespaces have no quota."""
    assert quota_store.get_quota(NS) is None
    assert quota_store.set_limits(NS, max_bytes=5, max_uploads=None, max_file_bytes=7) == Quota(5, None, 7, 0, 0)
    quota_store.set_limits(NS, max_bytes=10 * SIZE, max_uploads=None, max_file_bytes=None)
    create_counted_upload(repository)
    assert quota_store.set_limits(NS, max_bytes=None, max_uploads=3, max_file_bytes=None) == Quota(
        None, 3, None, SIZE, 1
    )
    assert quota_store.get_quota(NS) == repository.get_name(NS, NAME)[2] == Quota(None, 3, None, SIZE, 1)
    assert repository.get_name("another", NAME)[2] is None


@pytest.mark.parametrize("limits", [{"max_bytes": 2 * SIZE}, {"max_uploads": 2}])
def test_create_upload_beyond_limit_raises(
    repository: UploadRepository, quota_store: QuotaStore, limits: dict[str, int]
) -> None:
    """An upload that exceeds a limit writes nothing."""
    quota_store.set_limits(NS, **{"max_bytes": None, "max_uploads": None, "max_file_bytes": None} | limits)
    create_counted_upload(repository, UPLOAD_ID)
    create_counted_upload(repository, OTHER_ID, name="another")
    with pytest.raises(ConcurrentUpdate):
        create_counted_upload(repository, THIRD_ID, name="a third")
    assert repository.get_upload(THIRD_ID) is None
    assert repository.get_current_upload(NS, "a third") is None
    assert usage(quota_store) == (2 * SIZE, 2)


def test_create_upload_conflict_reserves_nothing(repository: UploadRepository, quota_store: QuotaStore) -> None:
    """An upload that fails for another reason changes no usage."""
    quota_store.set_limits(NS, max_bytes=10 * SIZE, max_uploads=None, max_file_bytes=None)
    create_counted_upload(repository)
    quota = quota_store.get_quota(NS)
    with pytest.raises(ConcurrentUpdate):
        repository.create_upload(
            replace(make_record(OTHER_ID), counted_in_quota=True), expected=None, due_at=1, quota=quota
        )
    assert usage(quota_store) == (SIZE, 1)


def test_commit_and_delete_file_convert_usage(
    repository: UploadRepository, quota_store: QuotaStore, file_repository: FileRepository
) -> None:
    """A commit releases the upload and keeps its bytes; a deletion releases the bytes once."""
    quota_store.set_limits(NS, max_bytes=10 * SIZE, max_uploads=1, max_file_bytes=None)
    commit_counted_upload(repository)
    file = file_repository.get_file(NS, NAME)
    assert file is not None
    assert file.counted_in_quota
    assert usage(quota_store) == (SIZE, 0)
    file_repository.delete_file(file, object_due_at=1, now=START_MS)
    assert usage(quota_store) == (0, 0)
    with pytest.raises(ConcurrentUpdate):
        file_repository.delete_file(file, object_due_at=1, now=START_MS)
    assert usage(quota_store) == (0, 0)


def test_commit_file_over_another_frees_its_bytes(repository: UploadRepository, quota_store: QuotaStore) -> None:
    """The replaced file's bytes are counted until the commit."""
    quota_store.set_limits(NS, max_bytes=2 * SIZE, max_uploads=None, max_file_bytes=None)
    commit_counted_upload(repository, UPLOAD_ID)
    upload = create_counted_upload(repository, OTHER_ID)
    assert usage(quota_store) == (2 * SIZE, 1)
    repository.terminate(upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    commit_counted_upload(repository, THIRD_ID)
    assert usage(quota_store) == (SIZE, 0)


@pytest.mark.parametrize("state", [UploadState.CANCELLED, UploadState.EXPIRED])
def test_terminate_releases_usage_once(
    repository: UploadRepository, quota_store: QuotaStore, state: UploadState
) -> None:
    """A cancelled or expired upload is released; a second attempt fails."""
    quota_store.set_limits(NS, max_bytes=10 * SIZE, max_uploads=None, max_file_bytes=None)
    upload = create_counted_upload(repository)
    repository.terminate(upload, state, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(upload, state, now=START_MS + 1, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert usage(quota_store) == (0, 0)


def test_uncounted_file_and_upload_release_nothing(
    repository: UploadRepository, quota_store: QuotaStore, file_repository: FileRepository
) -> None:
    """Files and uploads from before the limit release no usage."""
    uncounted_file = commit_upload(repository, UPLOAD_ID)
    upload = open_upload(repository, OTHER_ID, name="another")
    quota_store.set_limits(NS, max_bytes=10 * SIZE, max_uploads=None, max_file_bytes=None)
    repository.terminate(upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    commit_counted_upload(repository, THIRD_ID)
    assert usage(quota_store) == (SIZE, 0)
    assert file_repository.get_file(NS, NAME) != uncounted_file


def test_count_file_twice_raises(
    repository: UploadRepository, quota_store: QuotaStore, file_repository: FileRepository
) -> None:
    """A file is counted once; a reader of the uncounted file can then not delete it."""
    quota_store.set_limits(NS, max_bytes=1, max_uploads=None, max_file_bytes=None)
    uncounted = commit_upload(repository)
    quota_store.count_file(uncounted)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_file(uncounted)
    assert usage(quota_store) == (SIZE, 0)
    with pytest.raises(ConcurrentUpdate):
        file_repository.delete_file(uncounted, object_due_at=1, now=START_MS)
    file = file_repository.get_file(NS, NAME)
    assert file == uncounted
    assert file.counted_in_quota
    file_repository.delete_file(file, object_due_at=1, now=START_MS)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_file(file)
    assert usage(quota_store) == (0, 0)


def test_count_upload_twice_raises(repository: UploadRepository, quota_store: QuotaStore) -> None:
    """An upload is counted once; a reader of the uncounted upload can then neither end nor complete it."""
    quota_store.set_limits(NS, max_bytes=1, max_uploads=None, max_file_bytes=None)
    uncounted = open_upload(repository)
    quota_store.count_upload(uncounted.record)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_upload(uncounted.record)
    assert usage(quota_store) == (SIZE, 1)
    with pytest.raises(ConcurrentUpdate):
        repository.terminate(uncounted, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, uncounted)
    upload = read_upload(repository)
    assert upload.record.counted_in_quota
    repository.terminate(upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    assert usage(quota_store) == (0, 0)


def test_count_upload_while_completing_raises(repository: UploadRepository, quota_store: QuotaStore) -> None:
    """A completing upload is not counted, nor is anything in a namespace without a quota."""
    upload = open_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_upload(upload.record)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_file(commit_upload(repository, OTHER_ID, name="another"))
    quota_store.set_limits(NS, max_bytes=1, max_uploads=None, max_file_bytes=None)
    acquire_lease(repository, upload)
    with pytest.raises(ConcurrentUpdate):
        quota_store.count_upload(upload.record)
    assert usage(quota_store) == (0, 0)
