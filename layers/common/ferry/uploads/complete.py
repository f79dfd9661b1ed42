"""Complete an upload on a client's request: check that all bytes are there, then turn them into a file.

A completion runs under a lease, so that one attempt at a time works on an upload. The module `completion_attempt` does
this.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferry.errors import ChecksumMismatch, ChecksumRequired, FileExists, PreconditionFailed, UploadIncomplete
from ferry.model.files import File, IfExists
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.errors import MultipartUploadNotFound
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import SECOND_MS
from ferry.rules.layout import missing_ranges
from ferry.services import Services
from ferry.uploads.activity import record_activity
from ferry.uploads.build_object import PartsByNumber
from ferry.uploads.commit import CompletionOptions, name_error
from ferry.uploads.completion_attempt import (
    LEASE_POLL_SECONDS,
    LEASED_RETRY_AFTER_SECONDS,
    WAIT_FOR_LEASE_SECONDS,
    CompletionAccepted,
    complete_under_lease,
)
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.lookup import find_current, raise_if_ended
from ferry.uploads.received import compute_received, list_counted_parts
from ferry.uploads.record_by_link import record_result

__all__ = ["CompleteRequest", "CompletionAccepted", "complete"]

MAX_MISSING_RANGES = 1_000
"""How many missing chunk ranges one error lists."""


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """A client's request to complete an upload."""

    name: str
    """The file's name."""
    upload_id: str | None = None
    """The upload to complete; None: the current upload of the name."""
    crc32c: int | None = None
    """The CRC32C that the file must have; None: the one given at start, if any."""
    if_exists: IfExists | None = None
    """What to do when the name has a file; None: as said at start."""
    if_match: str | None = None
    """The entity tag, of the content or of the record, of the only file that may be replaced; None: any."""


def complete(services: Services, ns: str, request: CompleteRequest) -> File | CompletionAccepted:
    """Complete an upload. Repeated and concurrent requests get the same file.

    Raises:
        UploadIncomplete: bytes are missing (`missing`: chunk ranges); the upload continues.
        ChecksumRequired: a start joined the upload without proof; the upload stays open.
        ChecksumMismatch: the file has a different checksum; the upload stays open.
        FileExists: the name has a file that may not be replaced; the upload stays open.
        PreconditionFailed: the name's file is not that of `if_match` (`current_file`); the upload stays open.
        InvalidFilename: the name is taken, and too long for a number; the upload stays open.
        UploadNotFound, UploadSuperseded, UploadIdRequired, UploadExpired, UploadCancelled: the upload has ended, is not
            current, or takes requests only with its id.
        BackendUnavailable: a backend failed, or concurrent requests kept changing the upload. It may be complete.
    """
    deadline = services.clock() + WAIT_FOR_LEASE_SECONDS * SECOND_MS
    while True:
        result = retry_on_conflict(lambda: _try_complete(services, ns, request), services.sleep)
        # The other attempt needs longer than this request waits: return now.
        if isinstance(result, File) or result.retry_after_seconds > WAIT_FOR_LEASE_SECONDS:
            return result
        if services.clock() >= deadline:
            return result
        services.sleep(LEASE_POLL_SECONDS)


def _try_complete(services: Services, ns: str, request: CompleteRequest) -> File | CompletionAccepted:
    """Read the upload and complete it. Raises `ConcurrentUpdate` if the upload changes meanwhile."""
    upload = find_current(services, ns, request.name, request.upload_id, allow_complete=True)
    result = _complete_upload(services, upload, request)
    record_result(services, upload.record, result)
    return result


def _complete_upload(services: Services, upload: Upload, request: CompleteRequest) -> File | CompletionAccepted:
    """Complete an upload as it was read. Raises `ConcurrentUpdate` if it changes meanwhile."""
    record = upload.record
    if record.state is UploadState.COMPLETE and record.file is not None:
        return _completed_before(record, record.file, request)
    raise_if_ended(services, upload)
    if record.state is UploadState.COMPLETING:
        if record.lease_expires_at >= services.clock():
            return CompletionAccepted(record.upload_id, LEASED_RETRY_AFTER_SECONDS)
        lease_options = CompletionOptions(record.lease_crc32c, record.lease_if_exists, record.lease_if_match)
        options = _options_of(request, lease_options)
        return complete_under_lease(services, upload, options)
    upload = ensure_open(services, upload)
    options = _options_of(request, CompletionOptions(record.crc32c, record.if_exists))
    try:
        listed_parts = _precheck(services, upload, options)
    except (FileExists, PreconditionFailed, UploadIncomplete, ChecksumRequired):
        record_activity(services, upload)
        raise
    return complete_under_lease(services, upload, options, listed_parts=listed_parts)


def _completed_before(record: UploadRecord, file: File, request: CompleteRequest) -> File:
    """Return the file of a complete upload, if this request could have completed it.

    No earlier request need have been checked: after a restore of the metadata store, cleanup completes the upload.
    """
    if record.requires_checksum and request.crc32c is None:
        raise ChecksumRequired
    if request.crc32c not in (None, file.crc32c):
        raise ChecksumMismatch(
            "The upload is complete, and its file has a different checksum. Send the checksum of the file, or none."
        )
    return file


def _options_of(request: CompleteRequest, defaults: CompletionOptions) -> CompletionOptions:
    """Return the options of the request; what it leaves out comes from the start or the lease."""
    # One of the two replaces both defaults: the default `if_match` belongs to the default `if_exists`.
    replaces_defaults = request.if_exists is not None or request.if_match is not None
    return CompletionOptions(
        defaults.crc32c if request.crc32c is None else request.crc32c,
        defaults.if_exists if request.if_exists is None else request.if_exists,
        request.if_match if replaces_defaults else defaults.if_match,
    )


def _precheck(services: Services, upload: Upload, options: CompletionOptions) -> PartsByNumber | None:
    """Reject what cannot succeed before anything is changed. Return the parts of the upload if they were listed.

    Raises:
        FileExists, PreconditionFailed, UploadIncomplete, ChecksumRequired: as `complete`.
    """
    _check_name_is_free(services, upload, options)
    listed_parts = _check_received(services, upload)
    if upload.record.requires_checksum and options.crc32c is None:
        raise ChecksumRequired
    return listed_parts


def _check_received(services: Services, upload: Upload) -> PartsByNumber | None:
    """Raise `UploadIncomplete` if bytes are missing. Return the parts of the upload if they were listed."""
    record = upload.record
    if record.stored_object is not None:
        return None
    listed_parts: PartsByNumber | None = None
    if upload.has_presigned_parts:
        try:
            listed_parts = list_counted_parts(services, upload)
        except MultipartUploadNotFound:
            return None  # `build_object` checks whether S3 has the object already.
    received = compute_received(upload, listed_parts or {})
    if received.total_bytes != record.layout.size:
        missing = list(missing_ranges(received.chunks, record.layout.chunk_count))
        raise UploadIncomplete(missing=missing[:MAX_MISSING_RANGES])
    return listed_parts


def _check_name_is_free(services: Services, upload: Upload, options: CompletionOptions) -> None:
    """Raise `FileExists` or `PreconditionFailed` if the name has a file that may not be replaced.

    If the start found no file and no commit has failed, the name rarely has a file, so none is read here: no other
    upload of the name can begin until this one ends. A `PUT` or a move may still take the name; the commit finds that.
    """
    record = upload.record
    may_have_file = record.file_existed or record.stored_object is not None or options.if_match is not None
    if not may_have_file or (options.if_exists is not IfExists.FAIL and options.if_match is None):
        return
    file = services.file_repository.get_file(record.ns, record.name)
    if file is not None and file.upload_id == record.upload_id:
        return
    error = name_error(file, options)
    if error is not None:
        raise error
