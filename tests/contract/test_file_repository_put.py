"""Contract of the file repository: files that one request stores whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin.recount import QuotaStore
from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import CompletionEvent, File, ObjectRecord
from ferry.model.quotas import Quota
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate, NameConflict, UsageConflict
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.layout import MIB
from tests.contract.factories import (
    NAME,
    NS,
    OTHER_ID,
    THIRD_ID,
    UPLOAD_ID,
    all_tasks,
    commit_upload,
    make_file,
    open_upload,
)

OWNER = (NS, NAME)
ANNOUNCED_AT = START_MS + 1_000
PUBLISH_AT = START_MS + 500
DELETE_AT = START_MS + 2_000


def put(
    repository: FileRepository,
    file: File,
    replaced: File | None = None,
    *,
    quota: Quota | None = None,
    publish_deadline: int | None = None,
) -> File:
    """Announce the object and put the file."""
    repository.announce_object(file.upload_id, (file.ns, file.name), due_at=ANNOUNCED_AT)
    repository.put_file(
        file,
        replaced_file=replaced,
        quota=quota,
        announced_due_at=ANNOUNCED_AT,
        object_due_at=DELETE_AT,
        publish_deadline=publish_deadline,
    )
    return file


def object_task(upload_id: str, due_at: int) -> CleanupTask:
    return CleanupTask(CleanupTaskKind.OBJECT, upload_id, due_at)


def test_announced_object_is_due(file_repository: FileRepository, cleanup_repository: CleanupRepository) -> None:
    """An announced object has an owner and a task; announcing it again changes nothing."""
    for _ in range(2):
        file_repository.announce_object(UPLOAD_ID, OWNER, due_at=ANNOUNCED_AT)
    assert all_tasks(cleanup_repository) == {object_task(UPLOAD_ID, ANNOUNCED_AT)}
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(OWNER)
    assert cleanup_repository.get_object(OTHER_ID) is None


def test_put_file_makes_file_current(file_repository: FileRepository, cleanup_repository: CleanupRepository) -> None:
    """The name has the file, and the object is kept. With a date that S3 may not have, the file is as it was."""
    file = put(file_repository, replace(make_file(), object_date_seconds=None, revision=3))
    assert file_repository.get_file(*OWNER) == file
    assert all_tasks(cleanup_repository) == set()
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(OWNER)


def test_put_file_over_file_schedules_its_object(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """The object of the replaced file is due."""
    old = put(file_repository, make_file())
    new = put(file_repository, make_file(OTHER_ID), old)
    assert file_repository.get_file(*OWNER) == new
    assert all_tasks(cleanup_repository) == {object_task(UPLOAD_ID, DELETE_AT)}
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(
        OWNER, delete_at=DELETE_AT, deleted_at=new.uploaded_at
    )


def test_put_file_over_completed_upload_schedules_its_object(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A file that an upload made is replaced like any other."""
    put(file_repository, make_file(OTHER_ID), commit_upload(repository))
    assert object_task(UPLOAD_ID, DELETE_AT) in all_tasks(cleanup_repository)


def test_put_file_with_other_file_raises_it(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A write that expected another file, an older revision or none gets the present file, and changes nothing."""
    old = put(file_repository, replace(make_file(), revision=2))
    wrong: tuple[File | None, ...] = (None, make_file(THIRD_ID), replace(old, revision=1), replace(old, revision=3))
    for expected in wrong:
        with pytest.raises(NameConflict) as raised:
            put(file_repository, make_file(OTHER_ID), expected)
        assert raised.value.file == old
    assert file_repository.get_file(*OWNER) == old
    assert all_tasks(cleanup_repository) == {object_task(OTHER_ID, ANNOUNCED_AT)}


def test_put_file_over_missing_file_raises(file_repository: FileRepository) -> None:
    """A write that expected a file where none is gets None."""
    with pytest.raises(NameConflict) as raised:
        put(file_repository, make_file(OTHER_ID), make_file())
    assert raised.value.file is None
    assert file_repository.get_file(*OWNER) is None


def test_put_file_twice_succeeds(file_repository: FileRepository) -> None:
    """The same call finds its own change."""
    file = put(file_repository, make_file())
    file_repository.put_file(
        file, replaced_file=None, quota=None, announced_due_at=ANNOUNCED_AT, object_due_at=DELETE_AT
    )
    assert file_repository.get_file(*OWNER) == file


def test_put_file_after_cleanup_took_the_object_raises(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """Once the task is rescheduled or gone, the file cannot be committed."""
    file_repository.announce_object(UPLOAD_ID, OWNER, due_at=ANNOUNCED_AT)
    cleanup_repository.reschedule_task(object_task(UPLOAD_ID, ANNOUNCED_AT), ANNOUNCED_AT + 1)
    for upload_id in (UPLOAD_ID, OTHER_ID):
        with pytest.raises(ConcurrentUpdate):
            file_repository.put_file(
                make_file(upload_id),
                replaced_file=None,
                quota=None,
                announced_due_at=ANNOUNCED_AT,
                object_due_at=DELETE_AT,
            )
    assert file_repository.get_file(*OWNER) is None


def test_put_file_leaves_upload_in_progress(repository: UploadRepository, file_repository: FileRepository) -> None:
    """The name's upload in progress stays."""
    upload = open_upload(repository, OTHER_ID)
    put(file_repository, make_file())
    assert repository.get_upload(OTHER_ID) == upload
    current = repository.get_current_upload(*OWNER)
    assert current is not None
    assert current.in_progress


def test_pending_completion_is_cleared(file_repository: FileRepository, cleanup_repository: CleanupRepository) -> None:
    """The object's row holds the completion until it is published."""
    file = put(file_repository, make_file(), publish_deadline=PUBLISH_AT)
    assert all_tasks(cleanup_repository) == {object_task(UPLOAD_ID, PUBLISH_AT)}
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(OWNER, CompletionEvent(file, None))
    file_repository.clear_completion_event(UPLOAD_ID)
    assert all_tasks(cleanup_repository) == set()
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(OWNER)
    with pytest.raises(ConcurrentUpdate):
        file_repository.clear_completion_event(UPLOAD_ID)


def test_pending_completion_survives_replacement(
    file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A completion that is pending when its file is replaced stays due; the object is due afterwards."""
    old = put(file_repository, make_file(), publish_deadline=PUBLISH_AT)
    new = put(file_repository, make_file(OTHER_ID), old, publish_deadline=PUBLISH_AT + 1)
    assert all_tasks(cleanup_repository) == {
        object_task(UPLOAD_ID, PUBLISH_AT),
        object_task(OTHER_ID, PUBLISH_AT + 1),
    }
    assert cleanup_repository.get_object(OTHER_ID) == ObjectRecord(OWNER, CompletionEvent(new, UPLOAD_ID))
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(
        OWNER, CompletionEvent(old, None), DELETE_AT, new.uploaded_at
    )
    with pytest.raises(ConcurrentUpdate):
        file_repository.clear_completion_event(UPLOAD_ID)
    with pytest.raises(ConcurrentUpdate):
        cleanup_repository.clear_object_event(object_task(UPLOAD_ID, PUBLISH_AT + 1), due_at=DELETE_AT)
    cleanup_repository.clear_object_event(object_task(UPLOAD_ID, PUBLISH_AT), due_at=DELETE_AT)
    cleanup_repository.clear_object_event(object_task(OTHER_ID, PUBLISH_AT + 1), due_at=None)
    assert all_tasks(cleanup_repository) == {object_task(UPLOAD_ID, DELETE_AT)}
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord(
        OWNER, delete_at=DELETE_AT, deleted_at=new.uploaded_at
    )


def test_put_file_counts_bytes_within_limits(file_repository: FileRepository, quota_store: QuotaStore) -> None:
    """A counted file adds its bytes, less those of the file that it replaces, up to the limit and not beyond."""
    quota = quota_store.set_limits(NS, max_bytes=50 * MIB, max_uploads=1, max_file_bytes=None)
    assert file_repository.get_quota(NS) == quota
    assert file_repository.get_quota("ns2") is None
    old = put(file_repository, replace(make_file(), size=30 * MIB, counted_in_quota=True), quota=quota)
    too_large = replace(make_file(OTHER_ID), size=50 * MIB + 1, counted_in_quota=True)
    with pytest.raises(UsageConflict):
        put(file_repository, too_large, old, quota=quota)
    with pytest.raises(UsageConflict):
        put(file_repository, replace(too_large, name="other", size=20 * MIB + 1), quota=quota)
    assert file_repository.get_file(NS, "other") is None
    full = put(file_repository, replace(too_large, size=50 * MIB), old, quota=quota)
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert (usage.used_bytes, usage.open_uploads) == (50 * MIB, 0)
    quota_store.set_limits(NS, max_bytes=1, max_uploads=None, max_file_bytes=None)
    smaller = replace(make_file(THIRD_ID), size=49 * MIB, counted_in_quota=True)
    put(file_repository, smaller, full, quota=replace(quota, max_bytes=1))
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert usage.used_bytes == 49 * MIB


def test_put_file_uncounted_frees_counted_bytes(file_repository: FileRepository, quota_store: QuotaStore) -> None:
    """An uncounted file that replaces a counted one takes its bytes from the usage."""
    quota = quota_store.set_limits(NS, max_bytes=50 * MIB, max_uploads=None, max_file_bytes=None)
    old = put(file_repository, replace(make_file(), counted_in_quota=True), quota=quota)
    put(file_repository, make_file(OTHER_ID), old)
    usage = quota_store.get_quota(NS)
    assert usage is not None
    assert usage.used_bytes == 0


def test_change_file_stores_record(file_repository: FileRepository) -> None:
    """A change stores type, metadata and revision, if the file is the one that was read."""
    file = put(file_repository, make_file())
    changed = replace(file, content_type="a/b", metadata={}, revision=2)
    file_repository.change_file(changed, expected=file)
    assert file_repository.get_file(*OWNER) == changed
    for expected in (file, replace(changed, upload_id=OTHER_ID), replace(changed, name="other")):
        with pytest.raises(ConcurrentUpdate):
            file_repository.change_file(replace(expected, metadata={"a": "b"}), expected=expected)
    file_repository.change_file(replace(changed, metadata={"a": "b"}, revision=3), expected=changed)
    stored = file_repository.get_file(*OWNER)
    assert stored is not None
    assert (stored.metadata, stored.content_type, stored.revision) == ({"a": "b"}, "a/b", 3)
