"""Cancel the upload in progress of a name. A finished file of that name is not touched."""

from __future__ import annotations

from collections.abc import Sequence

from ferry.errors import CompletionInProgress, UploadAlreadyComplete, UploadIdRequired, UploadNotFound
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
    """Return the upload to cancel: the one with the id, or the only one of the name that is in progress."""
    if upload_id is None:
        ids = services.sequential_repository.get_sequential_ids(ns, name)
        return _find_only(services, ns, name, ids) if ids else find_current(services, ns, name, None)
    upload = get_upload_of_name(services, ns, name, upload_id)
    if upload is None:
        raise UploadNotFound.for_id()
    return upload


def _find_only(services: Services, ns: str, name: str, sequential_ids: Sequence[str]) -> Upload:
    """Return the only upload of a name that is in progress, of any kind.

    Raises:
        UploadIdRequired: there are several (`uploads`).
    """
    current_upload = services.upload_repository.get_current_upload(ns, name)
    ids = [*sequential_ids, *([current_upload.upload_id] if current_upload is not None else [])]
    found = [upload for upload in map(services.upload_repository.get_upload, ids) if upload is not None]
    in_progress = [upload for upload in found if upload.record.state.in_progress]
    if len(in_progress) > 1:
        raise UploadIdRequired(
            "Several uploads of this name are in progress. Send the upload_id of one of them, from uploads.",
            uploads=[upload.record for upload in in_progress],
        )
    return in_progress[0] if in_progress else find_current(services, ns, name, None)


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
