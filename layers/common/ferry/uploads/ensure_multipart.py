"""Open an upload: create its multipart upload in S3, and record its id.

It is the only step of a start outside the metadata store. If a start crashes before it, the next request repeats it.
"""

from __future__ import annotations

from dataclasses import replace

from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.outbox import PUBLISH_GRACE_MS, pending_events, publish
from ferry.ports.errors import ConcurrentUpdate
from ferry.services import Services


def ensure_open(services: Services, upload: Upload) -> Upload:
    """Return the upload as open; one in state `creating` gets its multipart upload first. An empty file needs none.

    Raises:
        ConcurrentUpdate: another request opened it first.
    """
    record = upload.record
    if record.state is not UploadState.CREATING:
        return upload
    multipart_id = None
    if record.layout.size:
        multipart_id = services.object_store.create_multipart(record.object_key, content_type=record.content_type)
    event_pending = not publish(services, pending_events(record))
    now = services.clock()
    publish_deadline = min(now + PUBLISH_GRACE_MS, upload.expires_at)
    try:
        services.upload_repository.mark_open(
            record.upload_id,
            multipart_id,
            now=now,
            due_at=publish_deadline if event_pending else upload.expires_at,
            event_pending=event_pending,
        )
    except ConcurrentUpdate:
        if multipart_id is not None:
            abort_unless_recorded(services, record, multipart_id)
        raise
    return replace(
        upload,
        record=replace(
            record,
            state=UploadState.OPEN,
            multipart_id=multipart_id,
            opened_at=now,
            event_pending=event_pending,
            version=record.version + 1,
        ),
    )


def abort_unless_recorded(services: Services, record: UploadRecord, multipart_id: str) -> None:
    """Abort a multipart upload whose id could not be recorded, unless it is recorded now.

    The condition of the write failed because another request changed the upload, or because the SDK repeated the write
    after its response was lost. Only the record shows which. If it cannot be read, cleanup aborts the multipart upload.
    """
    current = services.upload_repository.get_upload(record.upload_id)
    if current is None or current.record.multipart_id != multipart_id:
        services.object_store.abort_multipart(record.object_key, multipart_id)
