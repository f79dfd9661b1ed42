"""Cancel the upload in progress of a name. A finished file of that name is not touched."""

from __future__ import annotations

from ferry.errors import CompletionInProgress, UploadAlreadyComplete, UploadNotFound
from ferry.model.uploads import Upload, UploadState
from ferry.ports.retry import retry_on_conflict
from ferry.services import Services
from ferry.uploads.lookup import find_current, get_upload_of_name
from ferry.uploads.terminate import terminate


def cancel(services: Services, ns: str, name: str, upload_id: str | None = None) -> bool:
    """Cancel an upload, and return whether it was in progress. An upload that has ended already is a success too.

    Without `upload_id` the current upload of the name is cancelled. A client that repeats a request sends the id, so
    that the repetition cannot cancel an upload that was started since.

    Raises:
        UploadNotFound: the name has no upload on record, or none with that id.
        UploadIdRequired: the upload is cancelled only with its id.
        CompletionInProgress, UploadAlreadyComplete: it is too late to cancel.
    """
    return retry_on_conflict(lambda: cancel_upload(services, _find(services, ns, name, upload_id)))


def _find(services: Services, ns: str, name: str, upload_id: str | None) -> Upload:
    """Return the upload to cancel: the one with the id, whatever the name's current one is."""
    if upload_id is None:
        return find_current(services, ns, name, None)
    upload = get_upload_of_name(services, ns, name, upload_id)
    if upload is None:
        raise UploadNotFound
    return upload


def cancel_upload(services: Services, upload: Upload) -> bool:
    """Cancel an upload once, and return whether it was in progress.

    Raises:
        ConcurrentUpdate: the upload is no longer as read.
        CompletionInProgress, UploadAlreadyComplete: it is too late to cancel.
    """
    state = upload.record.state
    if state in (UploadState.CANCELLED, UploadState.EXPIRED):
        return False
    if state is UploadState.COMPLETE:
        raise UploadAlreadyComplete
    if state is UploadState.COMPLETING:
        _cancel_expired_completion(services, upload)
    else:
        terminate(services, upload, UploadState.CANCELLED)
    return True


def _cancel_expired_completion(services: Services, upload: Upload) -> None:
    """Take over the expired lease of a completion, then cancel. Its options are kept, in case this crashes too."""
    record = upload.record
    if record.lease_expires_at >= services.clock():
        raise CompletionInProgress
    lease_id, now = services.new_id(), services.clock()
    leased = services.upload_repository.acquire_lease(
        upload,
        lease_id=lease_id,
        expires_at=now + services.lease_duration_ms,
        now=now,
        if_exists=record.lease_if_exists,
        if_match=record.lease_if_match,
        crc32c=record.lease_crc32c,
    )
    terminate(services, leased, UploadState.CANCELLED, lease_id=lease_id)
