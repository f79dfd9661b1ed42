"""Find the upload that a request means, and check that it may go on."""

from __future__ import annotations

from ferry.errors import (
    CompletionInProgress,
    UploadAlreadyComplete,
    UploadCancelled,
    UploadExpired,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.model.uploads import Upload, UploadState
from ferry.services import Services
from ferry.uploads.ensure_multipart import ensure_open


def find_current(
    services: Services, ns: str, name: str, upload_id: str | None, *, allow_complete: bool = False
) -> Upload:
    """The current upload of a name, in whatever state; `upload_id`, if given, must be its id.

    With `or_complete` it may also be that of an earlier one that was completed.

    Raises:
        UploadNotFound: the name has none.
        UploadSuperseded: the name has another one.
    """
    guess = upload_id or services.upload_id_cache.get(ns, name)
    upload = _get_upload_of_name(services, ns, name, guess) if guess else None
    if upload is not None and upload.record.state.in_progress:
        return upload
    if allow_complete and upload_id is not None and upload is not None and upload.record.state is UploadState.COMPLETE:
        return upload
    slot = services.upload_repository.get_current_upload(ns, name)
    if slot is None:
        raise UploadNotFound
    if upload_id is not None and slot.upload_id != upload_id:
        raise UploadSuperseded
    if upload is None or upload.record.upload_id != slot.upload_id:
        upload = _get_upload_of_name(services, ns, name, slot.upload_id)
    if upload is None:
        raise UploadNotFound
    services.upload_id_cache.put(ns, name, upload.record.upload_id)
    return upload


def _get_upload_of_name(services: Services, ns: str, name: str, upload_id: str) -> Upload | None:
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None or (upload.record.ns, upload.record.name) != (ns, name):
        return None
    return upload


def find_open(services: Services, ns: str, name: str, upload_id: str | None) -> Upload:
    """The current upload of a name, if chunks and parts may be added to it now.

    Raises:
        UploadNotFound, UploadSuperseded: as `find`.
        UploadCancelled, UploadExpired, UploadCompleting, UploadComplete: its state.
    """
    upload = find_current(services, ns, name, upload_id)
    raise_if_ended(services, upload)
    if upload.record.state is UploadState.COMPLETE:
        raise UploadAlreadyComplete
    if upload.record.state is UploadState.COMPLETING:
        raise CompletionInProgress
    if upload.record.stored_object is not None:
        raise CompletionInProgress("All its bytes are put together; complete it with if_exists: replace, or cancel it")
    return ensure_open(services, upload)


def raise_if_ended(services: Services, upload: Upload) -> None:
    """Raises `UploadCancelled` or `UploadExpired`; the latter by the clock, whether or not a clean-up has run."""
    state = upload.record.state
    if state is UploadState.CANCELLED:
        raise UploadCancelled
    if state is UploadState.EXPIRED or is_expired(services, upload):
        raise UploadExpired


def is_expired(services: Services, upload: Upload) -> bool:
    """Whether its time is up though nobody has ended it yet. A completing upload does not expire."""
    return upload.record.state in (UploadState.CREATING, UploadState.OPEN) and services.clock() >= upload.expires_at
