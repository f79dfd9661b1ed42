"""The end of an upload that did not become a file: cancelled or expired."""

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
from ferry.uploads.received import list_parts

logger = logging.getLogger(__name__)

ENDED_RETENTION_MS = 7 * DAY_MS
"""How long an ended upload is remembered, so that late requests are told what became of it."""


DELETE_BUDGET_MS = 8 * SECOND_MS
"""How long one request goes on deleting stages: a large upload has more than the time of a function allows."""


def ended_ttl_epoch_seconds(services: Services) -> int:
    """When to forget what ends now, in epoch seconds, as DynamoDB's TTL wants it."""
    return (services.clock() + ENDED_RETENTION_MS) // SECOND_MS


def terminate(
    services: Services, upload: Upload, state: UploadState, *, lease_id: str | None = None, purge_now: bool = True
) -> None:
    """Record the end, then (if `thorough`) tell it and remove what S3 has: what is left the clean-up does.

    Raises:
        Moved: the upload is not (any more) what was seen.
    """
    now = services.clock()
    services.upload_repository.terminate(
        upload, state, now=now, ttl_epoch_seconds=ended_ttl_epoch_seconds(services), lease_id=lease_id
    )
    if not purge_now:
        return
    try:
        purge(services, replace(upload.record, state=state, ended_at=now), state)
    except BackendUnavailable:
        logger.warning("upload %s ended, its remains are left to the clean-up", upload.record.upload_id)


def purge(services: Services, record: UploadRecord, state: UploadState) -> int:
    """Tell that an upload has ended as `state`, remove what S3 has of it, and return the bytes found.

    Once nothing is left that is noted; until then the upload stays due, and the clean-up goes on, from the beginning.
    """
    told = publish(services, pending_events(record))
    removed = delete_storage(services, record, state)
    if removed.done and told:
        with suppress(ConcurrentUpdate):
            services.cleanup_repository.mark_purged(
                record.upload_id,
                staged_chunks_due_at=services.clock() + HOUR_MS,
                ttl_epoch_seconds=ended_ttl_epoch_seconds(services),
            )
    return removed.deleted_bytes


def delete_storage(services: Services, record: UploadRecord, state: UploadState) -> DeleteResult:
    """Remove what S3 has of a cancelled or expired upload; the bytes are those of its parts and stages.

    The object goes whether noted or not: an attempt to complete whose lease had lapsed may have made it, and no
    pointer can reach it any more. That of an expired one stays for a while first: a ledger that was set back to an
    earlier time may have forgotten who points to it.
    """
    aborted = _abort_multipart(services, record)
    staged = delete_staged_chunks(services, record.upload_id)
    if state is UploadState.CANCELLED:
        services.object_store.delete(record.object_key)
    elif services.orphan_retention_ms and services.object_store.head(record.object_key) is not None:
        with suppress(ConcurrentUpdate):
            owner = (record.ns, record.name)
            services.cleanup_repository.schedule_object(
                record.upload_id, owner, due_at=services.clock() + services.orphan_retention_ms
            )
    return DeleteResult(aborted + staged.deleted_bytes, staged.done)


def delete_staged_chunks(services: Services, upload_id: str) -> DeleteResult:
    """Delete an upload's stages, for as long as one request may take."""
    return services.object_store.delete_prefix(
        staged_chunk_prefix(upload_id), deadline=services.clock() + DELETE_BUDGET_MS
    )


def _abort_multipart(services: Services, record: UploadRecord) -> int:
    if record.multipart_id is None:
        return 0
    try:
        parts = list_parts(services, record)
    except MultipartUploadNotFound:
        return 0
    services.object_store.abort_multipart(record.object_key, record.multipart_id)
    return sum(part.size for part in parts.values())
