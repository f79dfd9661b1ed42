"""Find the upload that a request is about, and check that it may continue."""

from __future__ import annotations

from ferry.errors import (
    CompletionFailed,
    CompletionInProgress,
    UploadAlreadyComplete,
    UploadCancelled,
    UploadExpired,
    UploadIdRequired,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.model.uploads import Upload, UploadState
from ferry.services import Services
from ferry.uploads.ensure_multipart import ensure_open

SEQUENTIAL_DETAIL = (
    "This upload was created at /uploads. Send its bytes to its URL there, in requests of the protocol that created it."
)

COMPLETED_DETAIL = (
    "Your upload is complete, and another upload of its name is in progress. current_file is your file, as long as the "
    "name has it."
)


def find_current(
    services: Services, ns: str, name: str, upload_id: str | None, *, allow_complete: bool = False
) -> Upload:
    """Return the current upload of a name, in whatever state.

    If the given or cached id is that of an upload in progress, only this upload is read: a name has at most one upload
    in progress. Otherwise the row of the current upload is read, too.

    Args:
        services: the backends.
        ns: the namespace.
        name: the file's name.
        upload_id: the id that the upload must have; None accepts any.
        allow_complete: whether `upload_id` may also be that of an earlier, completed upload of the name, if no other
            is in progress, or that of a sequential upload.

    Raises:
        UploadNotFound: the name has no upload on record, or none with that id.
        UploadSuperseded: another upload of the name is in progress (`current_file`: the file of a complete one).
        UploadIdRequired: the upload takes requests only with its id.
    """
    services.open_upload_cache.forget(ns, name)
    upload = _find_current(services, ns, name, upload_id, allow_complete=allow_complete)
    if upload_id is None and upload.record.upload_id_required:
        raise UploadIdRequired
    return upload


def _find_current(services: Services, ns: str, name: str, upload_id: str | None, *, allow_complete: bool) -> Upload:
    likely_id = upload_id or services.upload_id_cache.get(ns, name)
    upload = get_upload_of_name(services, ns, name, likely_id) if likely_id else None
    if upload is not None and upload.record.sequential is not None:
        return _allow_sequential(upload, allow_complete=allow_complete)
    if upload is not None and upload.record.state.in_progress:
        return upload
    is_complete = upload is not None and upload.record.state is UploadState.COMPLETE
    completed = upload if allow_complete and upload_id is not None and is_complete else None
    current_upload = services.upload_repository.get_current_upload(ns, name)
    if current_upload is None:
        if completed is not None:
            return completed
        raise UploadNotFound
    if upload_id is not None and current_upload.upload_id != upload_id:
        if current_upload.in_progress and not _has_expired(services, current_upload.upload_id):
            raise _superseded(services, completed)
        if upload is None:
            raise UploadNotFound.for_id()
        return upload
    if upload is None or upload.record.upload_id != current_upload.upload_id:
        upload = get_upload_of_name(services, ns, name, current_upload.upload_id)
    if upload is None:
        raise UploadNotFound
    services.upload_id_cache.put(ns, name, upload.record.upload_id)
    return upload


def _superseded(services: Services, completed: Upload | None) -> UploadSuperseded:
    """Return the error for another upload_id than that of the upload in progress.

    A client may repeat a completion whose response was lost: for a complete upload the error contains its file.
    """
    if completed is None:
        return UploadSuperseded()
    record = completed.record
    file = services.file_repository.get_file(*record.owner)
    if file is None or file.upload_id != record.upload_id:
        return UploadSuperseded(COMPLETED_DETAIL)
    return UploadSuperseded(COMPLETED_DETAIL, current_file=file)


def _allow_sequential(upload: Upload, *, allow_complete: bool) -> Upload:
    """Return a sequential upload, for a completion by its id. The two kinds do not see each other otherwise.

    Raises:
        UploadNotFound: the request is no completion, the upload is a partial one, or its last request is missing.
    """
    state = upload.record.sequential
    if not allow_complete or upload.record.is_partial or state is None or not state.has_all_bytes:
        raise UploadNotFound(SEQUENTIAL_DETAIL)
    return upload


def get_upload_of_name(services: Services, ns: str, name: str, upload_id: str) -> Upload | None:
    """Return the upload with that id; None if there is none, or if it belongs to another name."""
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None or (upload.record.ns, upload.record.name) != (ns, name):
        return None
    return upload


def find_open(services: Services, ns: str, name: str, upload_id: str | None, *, allow_built: bool = False) -> Upload:
    """Return the current upload of a name if it accepts chunks and parts. An upload still `creating` is opened.

    With `allow_built` also an upload whose object is built, but whose completion was rejected: it has all its bytes.

    Raises:
        UploadNotFound, UploadSuperseded, UploadIdRequired: as `find_current`.
        UploadCancelled, UploadExpired, CompletionInProgress, UploadAlreadyComplete: its state accepts no more bytes.
        ConcurrentUpdate: another request opened it first.
    """
    upload = find_current(services, ns, name, upload_id)
    raise_if_ended(services, upload)
    if upload.record.state is UploadState.COMPLETE:
        raise UploadAlreadyComplete
    if upload.record.state is UploadState.COMPLETING:
        raise CompletionInProgress
    if upload.record.stored_object is not None:
        if allow_built:
            return upload
        raise CompletionFailed
    return ensure_open(services, upload)


def raise_if_ended(services: Services, upload: Upload) -> None:
    """Raise `UploadCancelled` or `UploadExpired` if the upload has ended. It expires even if no cleanup has run."""
    state = upload.record.state
    if state is UploadState.CANCELLED:
        raise UploadCancelled
    if state is UploadState.EXPIRED or is_expired(services, upload):
        raise UploadExpired


def _has_expired(services: Services, upload_id: str) -> bool:
    upload = services.upload_repository.get_upload(upload_id)
    return upload is not None and is_expired(services, upload)


def is_expired(services: Services, upload: Upload) -> bool:
    """Return whether an upload is past its expiry but still on record as creating or open. Completing ones stay."""
    return upload.record.state in (UploadState.CREATING, UploadState.OPEN) and services.clock() >= upload.expires_at
