"""End an upload that does not become a file: cancelled or expired."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from ferry.errors import BackendUnavailable
from ferry.model.uploads import Upload, UploadRecord, UploadState, staged_chunk_prefix
from ferry.outbox import pending_events, publish
from ferry.ports.errors import ConcurrentUpdate, MultipartUploadNotFound
from ferry.ports.object_store import DeleteResult
from ferry.rules.durations import DAY_MS, HOUR_MS, SECOND_MS
from ferry.services import Services
from ferry.uploads.received import count_received_bytes, list_parts

logger = logging.getLogger(__name__)

ENDED_RETENTION_MS = 7 * DAY_MS
"""How long the record of an ended upload is kept, so that late requests get the matching error."""

PARTIAL_OBJECT_RETENTION_MS = DAY_MS
"""How long the object of an ended partial upload is kept. Much longer than a completion may take."""

DELETE_BUDGET_MS = 8 * SECOND_MS
"""How long one request deletes staged chunks. A large upload has more of them than a function can delete in time."""


def ended_ttl_epoch_seconds(services: Services) -> int:
    """Return when DynamoDB may delete the record of an upload that ends now, in epoch seconds."""
    return (services.clock() + ENDED_RETENTION_MS) // SECOND_MS


def terminate(
    services: Services,
    upload: Upload,
    state: UploadState,
    *,
    lease_id: str | None = None,
    purge_now: bool = True,
    had_received: bool | None = None,
) -> None:
    """Record the end of an upload, then publish it and delete what S3 has. Cleanup does what remains.

    Args:
        services: the backends.
        upload: the upload as read.
        state: `CANCELLED` or `EXPIRED`.
        lease_id: the caller's lease, if the upload is being completed.
        purge_now: whether to publish and delete at once; False leaves both to cleanup.
        had_received: for a restart, whether this upload, or one that a restart cancelled for it, had received
            something. None: no restart.

    Raises:
        ConcurrentUpdate: the upload is no longer as read.
    """
    now = services.clock()
    services.open_upload_cache.forget(upload.record.ns, upload.record.name)
    services.upload_repository.terminate(
        upload,
        state,
        now=now,
        ttl_epoch_seconds=ended_ttl_epoch_seconds(services),
        lease_id=lease_id,
        had_received=had_received,
    )
    if not purge_now:
        return
    try:
        purge(services, replace(upload.record, state=state, ended_at=now), state)
    except BackendUnavailable:
        logger.warning("upload %s: its storage is deleted by cleanup", upload.record.upload_id)


def purge(services: Services, record: UploadRecord, state: UploadState) -> int:
    """Publish the end of an upload, release its reservation, delete what S3 has of it. Return the deleted bytes.

    The upload stays due until all of them have succeeded; cleanup repeats all.
    """
    is_published = publish(services, pending_events(record))
    if record.link_id is not None:
        _release_reservation(services, record.link_id, record.upload_id)
    deleted = delete_storage(services, record, state)
    if deleted.done and is_published:
        with suppress(ConcurrentUpdate):
            services.cleanup_repository.mark_purged(
                record.upload_id,
                staged_chunks_due_at=services.clock() + HOUR_MS,
                ttl_epoch_seconds=ended_ttl_epoch_seconds(services),
            )
    return deleted.deleted_bytes


def _release_reservation(services: Services, link_id: str, upload_id: str) -> None:
    """Release what an upload by a link has reserved of the link's limits. The bytes that it received stay counted.

    It precedes the deletion: afterwards S3 no longer shows what had arrived.
    """
    received_bytes = count_received_bytes(services, upload_id)
    services.link_repository().release_upload(link_id, upload_id, received_bytes=received_bytes)


def delete_storage(services: Services, record: UploadRecord, state: UploadState) -> DeleteResult:
    """Delete what S3 has of a cancelled or expired upload. The result counts the bytes of parts and staged chunks.

    An attempt whose lease expired may have built the object without recording it. No name can point to that object any
    more, so it is deleted whether recorded or not. The object of an expired upload is retained for a while first: if
    the metadata store was restored to an earlier time, it may have lost the file that the object belongs to.
    """
    parts_bytes = _abort_multipart(services, record)
    staged = delete_staged_chunks(services, record.upload_id)
    if record.is_partial:
        _schedule_partial_object(services, record)
    elif state is UploadState.CANCELLED:
        services.object_store.delete(record.object_key)
    elif services.orphan_retention_ms and services.object_store.head(record.object_key) is not None:
        with suppress(ConcurrentUpdate):
            services.cleanup_repository.schedule_object(
                record.upload_id, (record.ns, record.name), due_at=services.clock() + services.orphan_retention_ms
            )
    return DeleteResult(parts_bytes + staged.deleted_bytes, staged.done)


def _schedule_partial_object(services: Services, record: UploadRecord) -> None:
    """Have the object of a partial upload deleted later: a final upload under way may still copy from it."""
    with suppress(ConcurrentUpdate):
        services.cleanup_repository.schedule_object(
            record.upload_id, None, due_at=services.clock() + PARTIAL_OBJECT_RETENTION_MS
        )


def delete_staged_chunks(services: Services, upload_id: str) -> DeleteResult:
    """Delete the staged chunks of an upload, within the time budget of one request."""
    return services.object_store.delete_prefix(
        staged_chunk_prefix(upload_id), deadline=services.clock() + DELETE_BUDGET_MS
    )


def _abort_multipart(services: Services, record: UploadRecord) -> int:
    """Abort the multipart upload, and return the bytes of its parts."""
    if record.multipart_id is None:
        return 0
    try:
        parts = list_parts(services, record)
    except MultipartUploadNotFound:
        return 0
    services.object_store.abort_multipart(record.object_key, record.multipart_id)
    return sum(part.size for part in parts.values())
