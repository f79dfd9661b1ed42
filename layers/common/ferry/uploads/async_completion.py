"""Complete an upload without a client: what a request enqueued, and what cleanup finds unfinished.

No client waits here, so a backend failure leaves the lease to expire, and cleanup tries again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from ferry.errors import BackendUnavailable, FerryError
from ferry.model.files import File
from ferry.model.uploads import Upload, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.services import Services
from ferry.uploads.commit import CompletionOptions
from ferry.uploads.completion_attempt import CompletionAccepted, complete_under_lease
from ferry.uploads.record_by_link import record_result

logger = logging.getLogger(__name__)


def continue_completion(services: Services, upload_id: str, lease_id: str) -> None:
    """Continue a completion that a request enqueued. A completion that is no longer under that lease is ignored.

    An event may be delivered twice: the second delivery finds that the lease has changed. If the upload cannot become
    a file, it opens again, and the next request of its client gets the error.

    Raises:
        BackendUnavailable: a backend failed. The event may be delivered again; otherwise the lease expires, and the
            cleanup continues.
    """
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None or upload.record.state is not UploadState.COMPLETING or upload.record.lease_id != lease_id:
        return
    try:
        with suppress(ConcurrentUpdate):
            result = complete_under_lease(
                services,
                upload,
                _options_of_lease(upload),
                previous_lease_id=lease_id,
                keep_lease_on_failure=True,
            )
            _record_by_link(services, upload, result)
    except BackendUnavailable:
        raise
    except FerryError as error:
        logger.info("upload %s: not completed: %s", upload_id, error.code)


def resume_expired(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Take over a completion whose lease has expired, with the options it was asked for.

    Raises:
        ConcurrentUpdate: another attempt took it over first.
        UploadIncomplete, ChecksumMismatch, FileExists: the upload is open again.
        UploadExpired: the bytes are gone, and the upload is expired.
        BackendUnavailable: a backend failed; the lease expires again.
    """
    result = complete_under_lease(services, upload, _options_of_lease(upload), keep_lease_on_failure=True)
    return _record_by_link(services, upload, result)


def recover_from_object(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Complete an upload whose object exists in S3 although its record does not say so.

    Either the response of S3 was lost and no request followed, or the metadata store was restored to an earlier time.

    Raises:
        ConcurrentUpdate, UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired, BackendUnavailable: as
            `resume_expired`.
    """
    record = upload.record
    if record.state is UploadState.CREATING:
        services.upload_repository.mark_open(record.upload_id, None, now=services.clock(), due_at=upload.expires_at)
        record = replace(record, state=UploadState.OPEN, version=record.version + 1)
    options = CompletionOptions(record.crc32c, record.if_exists)
    return complete_under_lease(services, replace(upload, record=record), options, keep_lease_on_failure=True)


def _record_by_link(services: Services, upload: Upload, result: File | CompletionAccepted) -> File | CompletionAccepted:
    """Record a file that came by a link, and return the result. If that fails, the cleanup of links does it."""
    with suppress(BackendUnavailable):
        record_result(services, upload.record, result)
    return result


def _options_of_lease(upload: Upload) -> CompletionOptions:
    record = upload.record
    return CompletionOptions(record.lease_crc32c, record.lease_if_exists, record.lease_if_match)
