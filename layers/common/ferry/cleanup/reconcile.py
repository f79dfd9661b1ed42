"""Process one due cleanup task. Skip what the row's current state no longer needs."""

from __future__ import annotations

from ferry.cleanup.decision import Action, apply, decide
from ferry.cleanup.report import CleanupReport
from ferry.errors import (
    BackendUnavailable,
    ChecksumMismatch,
    FileExists,
    InvalidFilename,
    PreconditionFailed,
    UploadExpired,
    UploadIncomplete,
)
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.events import PendingEvent
from ferry.model.files import CompletionEvent, ObjectRecord
from ferry.model.uploads import Upload, UploadRecord, UploadState, object_key
from ferry.outbox import completion_event, pending_events, publish, publish_file_event
from ferry.rules.durations import DAY_MS
from ferry.services import Services
from ferry.uploads.async_completion import resume_expired
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.terminate import (
    DELETE_BUDGET_MS,
    delete_staged_chunks,
    delete_storage,
    ended_ttl_epoch_seconds,
    purge,
)

PUBLISH_FAILED_DETAIL = "An event was not published. It stays pending."

MAX_MULTIPARTS_PER_KEY = 1_000
"""How many multipart uploads of one key are aborted at once. A start creates one, rarely a second."""


def reconcile(services: Services, task: CleanupTask, report: CleanupReport) -> None:
    """Do what is due now. What cannot be done yet stays due, or is rescheduled.

    Raises:
        BackendUnavailable: a backend failed.
        ConcurrentUpdate: the row is no longer as read.
    """
    if task.kind is CleanupTaskKind.FILE_EVENT:
        _publish_file_event(services, task)
        return
    if task.kind is CleanupTaskKind.LINK:
        # Imported here: most stacks have no upload links.
        from ferry.links.activity import reconcile_link

        reconcile_link(services, task)
        return
    if task.kind is CleanupTaskKind.OBJECT:
        _reconcile_object(services, task)
        return
    upload = services.upload_repository.get_upload(task.subject)
    if task.kind is CleanupTaskKind.UPLOAD:
        if upload is not None:
            _reconcile_upload(services, task, upload, report)
    else:
        _reconcile_staged_chunks(services, task, upload, report)


def _reconcile_upload(services: Services, task: CleanupTask, upload: Upload, report: CleanupReport) -> None:
    """Continue an upload by its state: delete, resume, publish or expire."""
    record = upload.record
    if record.state in (UploadState.CANCELLED, UploadState.EXPIRED):
        if not record.purged:
            _purge_ended(services, record, report)
    elif record.state is UploadState.COMPLETING:
        if record.lease_expires_at < services.clock():
            _resume_completion(services, upload, report)
    elif record.state is UploadState.COMPLETE:
        if record.event_pending:
            _publish_pending(services, record, due_at=None)
    else:
        _reconcile_open_upload(services, task, upload, report)


def _purge_ended(services: Services, record: UploadRecord, report: CleanupReport) -> None:
    now = services.clock()
    report.observe_staleness(now - (record.ended_at or now))
    deleted_bytes = purge(services, record, record.state)
    if record.state is UploadState.CANCELLED:  # The bytes of an expired upload were counted when it expired.
        report.bytes_reclaimed += deleted_bytes


def _resume_completion(services: Services, upload: Upload, report: CleanupReport) -> None:
    """Resume a completion whose lease has expired. If it is rejected, the upload is open again for its client."""
    report.observe_staleness(services.clock() - upload.record.lease_expires_at)
    report.resumed_completions += 1
    try:
        resume_expired(services, upload)
    except UploadExpired:
        report.expired += 1
    except (UploadIncomplete, ChecksumMismatch, FileExists, InvalidFilename, PreconditionFailed):
        return


def _reconcile_open_upload(services: Services, task: CleanupTask, upload: Upload, report: CleanupReport) -> None:
    """Expire or recover an upload in state `creating` or `open`, or schedule when to look again."""
    now = services.clock()
    is_creating = upload.record.state is UploadState.CREATING
    is_stale = is_creating or now >= upload.expires_at
    if is_stale:
        report.observe_staleness(now - (task.due_at if is_creating else upload.expires_at))
    decision = decide(services, upload, is_stale=is_stale)
    if decision.action is Action.LEAVE and upload.record.event_pending:
        _publish_pending(services, upload.record, due_at=upload.expires_at)
    elif decision.action is Action.LEAVE:
        services.cleanup_repository.reschedule_task(task, upload.expires_at)
    elif decision.action is Action.WAIT:
        services.cleanup_repository.reschedule_task(task, now + PRIOR_ATTEMPT_WINDOW_MS)
    else:
        apply(services, upload, decision, report)


def _publish_pending(services: Services, record: UploadRecord, *, due_at: int | None) -> None:
    """Publish the pending event of a start or a completion, then schedule the upload for `due_at` (None: not again)."""
    if not publish(services, pending_events(record)):
        raise BackendUnavailable(PUBLISH_FAILED_DETAIL)
    services.upload_repository.clear_pending_event(
        record, due_at=due_at, ttl_epoch_seconds=ended_ttl_epoch_seconds(services) if due_at is None else None
    )


def _publish_file_event(services: Services, task: CleanupTask) -> None:
    """Publish the pending event of a file that was deleted, moved or restored."""
    event = services.cleanup_repository.get_file_event(task.subject)
    if event is not None and not publish_file_event(services, PendingEvent(event, task.due_at)):
        raise BackendUnavailable(PUBLISH_FAILED_DETAIL)


def _reconcile_object(services: Services, task: CleanupTask) -> None:
    """Publish the pending completion of an object's file, or delete an object that no file refers to.

    Such an object was replaced or deleted, was announced by a request that failed, belongs to an upload that has
    expired, or had no row. After a restore of the metadata store it may be in use again: by an upload in progress that
    may become a file, or by a name that points to it. Then it is kept.
    """
    found = services.cleanup_repository.get_object(task.subject)
    if found is not None and found.pending_event is not None:
        _publish_completion(services, task, found.pending_event, delete_at=found.delete_at)
        return
    if found is not None and not _end_deleted_file(services, task, found):
        return
    upload = services.upload_repository.get_upload(task.subject)
    record = upload.record if upload else None
    if record is not None and record.state.in_progress:
        services.cleanup_repository.reschedule_task(task, services.clock() + DAY_MS)
        return
    owner = found.owner if found else None
    if owner is None and record is not None:
        owner = record.owner
    file = services.file_repository.get_file(*owner) if owner else None
    if file is not None and file.upload_id == task.subject:
        services.cleanup_repository.unschedule_task(task)
        return
    if found is not None and found.delete_at is None:
        # A request may have announced the object. The new due time makes it fail, if it still commits the file.
        services.cleanup_repository.reschedule_task(task, services.clock() + DAY_MS)
    services.object_store.delete(object_key(task.subject))
    services.cleanup_repository.delete_task(task)


def _end_deleted_file(services: Services, task: CleanupTask, found: ObjectRecord) -> bool:
    """Delete the row of a deleted file, if the object has one, so that it cannot be restored any more.

    Return False if the file was restored meanwhile: its object is then left alone. If the row is gone and the object's
    row is as it was read, an earlier run ended behind this step.
    """
    if found.owner is None or found.deleted_at is None or found.delete_at is None:
        return True
    if found.delete_at > services.clock():
        return False
    return (
        services.cleanup_repository.delete_deleted_file(*found.owner, task.subject, deleted_at=found.deleted_at)
        or services.cleanup_repository.get_object(task.subject) == found
    )


def _publish_completion(
    services: Services, task: CleanupTask, event: CompletionEvent, *, delete_at: int | None
) -> None:
    """Publish the pending completion of a file that one request stored whole."""
    if not publish(services, [completion_event(event)]):
        raise BackendUnavailable(PUBLISH_FAILED_DETAIL)
    services.cleanup_repository.clear_object_event(task, due_at=delete_at)


def _reconcile_staged_chunks(
    services: Services, task: CleanupTask, upload: Upload | None, report: CleanupReport
) -> None:
    """Delete the staged chunks and rows of an ended upload.

    For a cancelled or expired upload everything in S3 is deleted once more: requests that were running when it ended
    may have added to it.
    """
    record = upload.record if upload else None
    if record is not None and record.state.in_progress:
        services.cleanup_repository.reschedule_task(task, services.clock() + DAY_MS)
        return
    if record is not None and record.state is not UploadState.COMPLETE:
        deleted = delete_storage(services, record, record.state)
        _abort_unreferenced_multiparts(services, record.object_key, report)
    else:
        deleted = delete_staged_chunks(services, task.subject)
    if deleted.done and services.cleanup_repository.delete_upload_rows(
        task.subject, deadline=services.clock() + DELETE_BUDGET_MS
    ):
        services.cleanup_repository.delete_task(task)


def _abort_unreferenced_multiparts(services: Services, key: str, report: CleanupReport) -> None:
    """Abort multipart uploads of an ended upload's key that its record does not name: their starts crashed."""
    page = services.object_store.list_multipart_uploads(None, MAX_MULTIPARTS_PER_KEY, key)
    for found_key, multipart_id, _ in page.items:
        services.object_store.abort_multipart(found_key, multipart_id)
        report.orphans.multipart_uploads += 1
