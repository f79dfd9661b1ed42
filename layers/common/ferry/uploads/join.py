"""Join an upload in progress: decide whether a start may continue it, and merge what the start asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ferry.errors import UploadInProgress
from ferry.model.files import IfExists
from ferry.model.objects import StoredPart
from ferry.model.uploads import Upload, UploadState
from ferry.services import Services
from ferry.uploads.activity import record_activity
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.received import compute_received

if TYPE_CHECKING:
    from ferry.uploads.start_request import StartRequest

LOST_RACE_DETAIL = (
    "Another start of this name came at the same time, and its upload is the one in progress. To continue that one, "
    "send the fingerprint and the checksum that it was started with, or resume: true if it has neither. To cancel it, "
    "send restart: true again."
)
"""Detail for a start with `restart: true` that may not cancel an upload, because both starts raced."""


def join(services: Services, upload: Upload, parts: Mapping[int, StoredPart], request: StartRequest) -> Upload:
    """Return the upload in progress as the start joins it: open or completing, with the options that hold now.

    Joining is activity, which postpones the expiry.

    Size, checksum and fingerprint must be equal. If neither side has a checksum or a fingerprint, two devices may send
    different files of one name and size. Such a start joins with `resume: true`. Without it, the start joins only while
    nothing has been received, and the completion then requires the checksum of the whole file.

    Args:
        services: the backends.
        upload: the upload as read.
        parts: what S3 has of it, from `uploaded_parts`.
        request: the start.

    Raises:
        UploadInProgress: the start may not join (`upload_id`, `size`, `expires_at`).
        ConcurrentUpdate: the upload is no longer as read.
    """
    requires_checksum = _requires_checksum(upload, parts, request)
    upload = ensure_open(services, upload)
    record = upload.record
    if_exists = IfExists.most_careful(record.if_exists, request.if_exists)
    has_proof = record.crc32c is not None or record.fingerprint is not None
    # With `resume: true` the write is made even if it changes nothing. It raises the version, so that a late write of
    # an earlier start, which has failed, cannot require the checksum again.
    is_fenced = request.resume and not has_proof
    if is_fenced or (if_exists, requires_checksum) != (record.if_exists, record.requires_checksum):
        upload = services.upload_repository.change_options(
            upload, if_exists=if_exists, requires_checksum=requires_checksum
        )
    return record_activity(services, upload)


def _requires_checksum(upload: Upload, parts: Mapping[int, StoredPart], request: StartRequest) -> bool:
    """Return whether the completion requires the checksum once the start has joined. Raises `UploadInProgress`."""
    record = upload.record
    proof = (record.layout.size, record.crc32c, record.fingerprint)
    if proof != (request.size, request.crc32c, request.fingerprint):
        raise in_progress(upload)
    if record.crc32c is not None or record.fingerprint is not None:
        return record.requires_checksum
    if request.resume:
        return False
    if record.state is UploadState.COMPLETING or compute_received(upload, parts).total_bytes:
        raise in_progress(upload)
    return True


def in_progress(upload: Upload, detail: str = "") -> UploadInProgress:
    """Return the error of a start that may not join this upload."""
    record = upload.record
    return UploadInProgress(detail, upload_id=record.upload_id, size=record.layout.size, expires_at=upload.expires_at)
