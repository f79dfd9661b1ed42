"""creating → open: the one step of a start that is outside the ledger, repeated by whoever finds it undone."""

from __future__ import annotations

from dataclasses import replace

from ferry.model.uploads import Upload, UploadState
from ferry.outbox import PUBLISH_GRACE_MS, pending_events, publish
from ferry.ports.errors import ConcurrentUpdate
from ferry.services import Services


def ensure_open(services: Services, upload: Upload) -> Upload:
    """Give a session that is still `creating` its multipart upload. An empty file needs none.

    Raises:
        Moved: somebody else was faster; read again.
    """
    session = upload.record
    if session.state is not UploadState.CREATING:
        return upload
    multipart_id = None
    if session.layout.size:
        multipart_id = services.object_store.create_multipart(session.object_key, content_type=session.content_type)
    told = publish(services, pending_events(session))
    due = upload.expires_at if told else min(services.clock() + PUBLISH_GRACE_MS, upload.expires_at)
    try:
        services.upload_repository.mark_open(session.upload_id, multipart_id, due_at=due, event_pending=not told)
    except ConcurrentUpdate:
        # A write that was repeated after a lost answer fails its own condition: only the row tells whose upload it
        # names. Where even that cannot be read, the clean-up compares.
        settled = services.upload_repository.get_upload(session.upload_id)
        if multipart_id is not None and (settled is None or settled.record.multipart_id != multipart_id):
            services.object_store.abort_multipart(session.object_key, multipart_id)
        raise
    return replace(
        upload,
        record=replace(
            session,
            state=UploadState.OPEN,
            multipart_id=multipart_id,
            event_pending=not told,
            version=session.version + 1,
        ),
    )
