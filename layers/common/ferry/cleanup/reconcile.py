"""One entry of what is due, settled."""

from __future__ import annotations

from ferry.cleanup.decision import Action, apply, decide
from ferry.cleanup.report import CleanupReport
from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, UploadExpired, UploadIncomplete
from ferry.files.delete import publish_deleted
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.uploads import Upload, UploadRecord, UploadState, object_key
from ferry.outbox import pending_events, publish
from ferry.rules.durations import DAY_MS
from ferry.services import Services
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.resume import resume_expired
from ferry.uploads.terminate import (
    DELETE_BUDGET_MS,
    delete_staged_chunks,
    delete_storage,
    ended_ttl_epoch_seconds,
    purge,
)

PUBLISH_FAILED_DETAIL = "an event could not be sent; it stays noted"
MAX_MULTIPARTS_PER_KEY = 1_000
"""Multipart uploads on one key that a look sees: a start makes one, and rarely a second."""


def reconcile(services: Services, task: CleanupTask, report: CleanupReport) -> None:
    """Do what is to be done now, going by the row itself; what cannot be done yet stays due, or is due again later."""
    if task.kind is CleanupTaskKind.DELETION_EVENT:
        _publish_deletion(services, task)
        return
    upload = services.upload_repository.get_upload(task.subject)
    if task.kind is CleanupTaskKind.UPLOAD:
        if upload is not None:
            _reconcile_upload(services, task, upload, report)
    elif task.kind is CleanupTaskKind.OBJECT:
        _reconcile_object(services, task, upload)
    else:
        _reconcile_staged_chunks(services, task, upload, report)


def _reconcile_upload(services: Services, task: CleanupTask, upload: Upload, report: CleanupReport) -> None:
    session, now = upload.record, services.clock()
    if session.state in (UploadState.CANCELLED, UploadState.EXPIRED):
        if not session.purged:
            report.observe_staleness(now - (session.ended_at or now))
            size = purge(services, session, session.state)
            if session.state is UploadState.CANCELLED:  # those of an expired one were counted when it expired
                report.bytes_reclaimed += size
    elif session.state is UploadState.COMPLETING:
        if session.lease_expires_at < now:
            report.observe_staleness(now - session.lease_expires_at)
            _resume_completion(services, upload, report)
    elif session.state is UploadState.COMPLETE:
        if session.event_pending:
            _publish_pending(services, session, due_at=None)
    else:
        _reconcile_open_upload(services, task, upload, report)


def _reconcile_open_upload(services: Services, task: CleanupTask, upload: Upload, report: CleanupReport) -> None:
    now = services.clock()
    creating = upload.record.state is UploadState.CREATING
    stale = creating or now >= upload.expires_at
    if stale:
        report.observe_staleness(now - (task.due_at if creating else upload.expires_at))
    verdict = decide(services, upload, is_stale=stale)
    if verdict.action is Action.LEAVE and upload.record.event_pending:
        _publish_pending(services, upload.record, due_at=upload.expires_at)
    elif verdict.action is Action.LEAVE:
        services.cleanup_repository.reschedule_task(task, upload.expires_at)
    elif verdict.action is Action.WAIT:
        services.cleanup_repository.reschedule_task(task, now + PRIOR_ATTEMPT_WINDOW_MS)
    else:
        apply(services, upload, verdict, report)


def _publish_pending(services: Services, record: UploadRecord, *, due_at: int | None) -> None:
    """An upload whose start or completion has not been told: the bus was down, or the teller has died."""
    if not publish(services, pending_events(record)):
        raise BackendUnavailable(PUBLISH_FAILED_DETAIL)
    services.upload_repository.clear_pending_event(
        record, due_at=due_at, ttl_epoch_seconds=ended_ttl_epoch_seconds(services) if due_at is None else None
    )


def _publish_deletion(services: Services, task: CleanupTask) -> None:
    deletion = services.cleanup_repository.get_deleted_file(task.subject)
    if deletion is not None and not publish_deleted(services, deletion, task):
        raise BackendUnavailable(PUBLISH_FAILED_DETAIL)


def _resume_completion(services: Services, upload: Upload, report: CleanupReport) -> None:
    """With a completion whose lease has lapsed. What refuses it opens the upload again, as its client is told."""
    report.resumed_completions += 1
    try:
        resume_expired(services, upload)
    except UploadExpired:
        report.expired += 1
    except (UploadIncomplete, ChecksumMismatch, FileExists):
        return


def _reconcile_object(services: Services, task: CleanupTask, upload: Upload | None) -> None:
    """The object of a file that was replaced or deleted, of an upload that expired, or of nobody.

    It goes, unless (the ledger was set back) an upload in progress may still turn it into a file, or a name points
    to it.
    """
    session = upload.record if upload else None
    if session is not None and session.state.in_progress:
        services.cleanup_repository.reschedule_task(task, services.clock() + DAY_MS)
        return
    owner = services.cleanup_repository.get_object_owners([task.subject]).get(task.subject)
    if owner is None and session is not None:
        owner = session.ns, session.name
    file = services.upload_repository.get_file(*owner) if owner else None
    if file is not None and file.upload_id == task.subject:
        services.cleanup_repository.unschedule_task(task)
        return
    services.object_store.delete(object_key(task.subject))
    services.cleanup_repository.delete_task(task)


def _reconcile_staged_chunks(
    services: Services, task: CleanupTask, upload: Upload | None, report: CleanupReport
) -> None:
    """The stages and rows of an ended upload; of a cancelled or expired one, once more whatever was in flight."""
    session = upload.record if upload else None
    if session is not None and session.state.in_progress:
        services.cleanup_repository.reschedule_task(task, services.clock() + DAY_MS)
        return
    if session is not None and session.state is not UploadState.COMPLETE:
        removed = delete_storage(services, session, session.state)
        _abort_unreferenced_multiparts(services, session.object_key, report)
    else:
        removed = delete_staged_chunks(services, task.subject)
    if removed.done and services.cleanup_repository.delete_upload_rows(
        task.subject, deadline=services.clock() + DELETE_BUDGET_MS
    ):
        services.cleanup_repository.delete_task(task)


def _abort_unreferenced_multiparts(services: Services, key: str, report: CleanupReport) -> None:
    """Multipart uploads that an ended upload's row does not name: of starts that died half way."""
    for found, multipart_id, _ in services.object_store.list_multipart_uploads(None, MAX_MULTIPARTS_PER_KEY, key).items:
        services.object_store.abort_multipart(found, multipart_id)
        report.orphans.multipart_uploads += 1
