"""Find a sequential upload by its id, and its offset as clients see it."""

from __future__ import annotations

from typing import NamedTuple

from ferry.errors import UploadExpired, UploadNotFound
from ferry.model.sequential import Protocol, SequentialState
from ferry.model.uploads import Upload, UploadState
from ferry.services import Services
from ferry.uploads.lookup import is_expired

NOT_FOUND_DETAIL = "There is no such upload. Create it again with POST /uploads."


class SequentialUpload(NamedTuple):
    """An upload with its sequential state, which is not None."""

    upload: Upload
    """The upload as read."""
    state: SequentialState
    """Its sequential state."""


def find_sequential(services: Services, ns: str, upload_id: str, protocol: Protocol | None = None) -> SequentialUpload:
    """Return a sequential upload of the namespace. One read.

    Args:
        services: the backends.
        ns: the namespace.
        upload_id: the last segment of the upload's URL.
        protocol: the protocol of the request; None accepts any.

    Raises:
        UploadNotFound: there is none, it was cancelled, forgotten, or created by the other protocol.
        UploadExpired: it has expired.
    """
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None or upload.record.ns != ns or upload.record.sequential is None:
        raise UploadNotFound(NOT_FOUND_DETAIL)
    state = upload.record.sequential
    if state.is_forgotten or upload.record.state is UploadState.CANCELLED:
        raise UploadNotFound(NOT_FOUND_DETAIL)
    if protocol is not None and state.protocol is not protocol:
        raise UploadNotFound(NOT_FOUND_DETAIL)
    if upload.record.state is UploadState.EXPIRED or is_expired(services, upload):
        raise UploadExpired("The upload has expired. Create it again with POST /uploads.")
    return SequentialUpload(upload, state)


def shown_offset(upload: Upload) -> int:
    """Return the offset that clients see. It never falls, and counts durable bytes only.

    A client of tus treats an upload whose offset is its length as complete. So tus gets the offset of the last append
    until the file is committed. A partial upload has no file, so its offset is always that of its bytes.
    """
    state = upload.record.sequential
    if state is None:
        return 0
    is_hidden = state.protocol is Protocol.TUS and not state.is_partial and state.last_append is not None
    if is_hidden and state.last_append is not None and upload.record.state is not UploadState.COMPLETE:
        return state.last_append.offset
    return state.offset


def shown_length(upload: Upload) -> int | None:
    """Return the length that clients see; None while it is not declared.

    An append without bytes may declare the length of a tus upload that has all of them already. Clients see it once the
    file is committed, because a client of tus takes an offset that equals the length for the end.
    """
    state = upload.record.sequential
    if state is None:
        return upload.record.layout.size
    is_complete = upload.record.state is UploadState.COMPLETE
    if state.protocol is Protocol.TUS and not state.is_partial and not is_complete and state.length:
        return None if shown_offset(upload) == state.length and not state.sources else state.length
    return state.length
