"""Turn a sequential upload that has all its bytes into a file, or keep its object if it is a partial one."""

from __future__ import annotations

from ferry.model.files import File
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.uploads.commit import CompletionOptions
from ferry.uploads.completion_attempt import (
    LEASE_POLL_SECONDS,
    LEASED_RETRY_AFTER_SECONDS,
    WAIT_FOR_LEASE_SECONDS,
    CompletionAccepted,
    complete_under_lease,
    continue_under_lease,
)
from ferry.uploads.record_by_link import record_result


def finish(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Complete an upload that has all its bytes. Repeated and concurrent requests get the same file.

    Raises:
        FileExists: the name has a file that may not be replaced; the upload stays open.
        ChecksumMismatch, UploadIncomplete: the object cannot be built; the upload stays open.
        UploadExpired: the bytes are gone.
        ConcurrentUpdate: the upload is no longer as read.
        BackendUnavailable: a backend failed.
    """
    result = _finish(services, upload)
    record_result(services, upload.record, result)
    return result


def finish_under_lease(services: Services, leased: Upload) -> File | CompletionAccepted:
    """Complete an upload under a lease that the caller has just taken. Raises what `finish` raises."""
    result = continue_under_lease(services, leased, _options_of(leased.record))
    record_result(services, leased.record, result)
    return result


def _finish(services: Services, upload: Upload) -> File | CompletionAccepted:
    record = upload.record
    if record.file is not None:
        return record.file
    if record.is_partial and record.stored_object is not None:
        return CompletionAccepted(record.upload_id, 0)
    if record.state is UploadState.COMPLETING and record.lease_expires_at >= services.clock():
        return _wait_for_completion(services, upload)
    return complete_under_lease(services, upload, _options_of(record))


def _options_of(record: UploadRecord) -> CompletionOptions:
    if record.state is UploadState.COMPLETING:
        return CompletionOptions(record.lease_crc32c, record.lease_if_exists, record.lease_if_match)
    return CompletionOptions(record.crc32c, record.if_exists)


def _wait_for_completion(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Wait a while for the completion of another request. Raises `ConcurrentUpdate` if it has ended without a file."""
    deadline = services.clock() + WAIT_FOR_LEASE_SECONDS * SECOND_MS
    while services.clock() < deadline:
        services.sleep(LEASE_POLL_SECONDS)
        current = services.upload_repository.get_upload(upload.record.upload_id)
        if current is not None and current.record.file is not None:
            return current.record.file
        if current is None or current.record.state is not UploadState.COMPLETING:
            raise ConcurrentUpdate
    return CompletionAccepted(upload.record.upload_id, LEASED_RETRY_AFTER_SECONDS)
