"""Commit the file: point its name to the finished object (docs/decisions/0001, Complete, step 5)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, repeat

from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, InvalidFilename, PreconditionFailed
from ferry.files.conditions import precondition_failed
from ferry.files.free_names import find_free_name
from ferry.model.files import File, IfExists
from ferry.model.objects import StoredObject
from ferry.model.uploads import UploadRecord, UploadState
from ferry.outbox import pending_events, publish, publish_deadline
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import HOUR_MS
from ferry.services import Services
from ferry.uploads.build_object import CHECKSUM_MISMATCH_DETAIL
from ferry.uploads.outcomes import Committed, Rejected
from ferry.uploads.terminate import ended_ttl_epoch_seconds


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """What a completion was asked for."""

    crc32c: int | None
    """The CRC32C that the file must have; None accepts any."""
    if_exists: IfExists
    """What to do when its name has another file."""
    if_match: str | None = None
    """The entity tag, of the content or of the record, of the only file that it may replace; None: any."""

    @property
    def may_replace(self) -> bool:
        return self.if_exists is IfExists.REPLACE or self.if_match is not None


def commit_file(
    services: Services, record: UploadRecord, stored_object: StoredObject, options: CompletionOptions
) -> Committed | Rejected:
    """Point the name to the object. If an earlier attempt of this upload already did, return its file.

    Args:
        services: the backends.
        record: the upload under the caller's lease.
        stored_object: the upload's object.
        options: what the completion was asked for.

    Raises:
        BackendUnavailable: a backend failed, or other requests kept changing the name.
    """
    if options.crc32c not in (None, stored_object.crc32c):
        return Rejected(ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL), stored_object=stored_object)
    # If nothing may be replaced, a file of that name is rare. The first attempt saves the read: the condition of its
    # write fails if there is one, and only then is the file read.
    read_existing = chain([options.may_replace], repeat(True))
    return retry_on_conflict(
        lambda: _try_commit(services, record, stored_object, options, read_existing=next(read_existing))
    )


def _try_commit(
    services: Services,
    record: UploadRecord,
    stored_object: StoredObject,
    options: CompletionOptions,
    *,
    read_existing: bool,
) -> Committed | Rejected:
    """Commit once.

    Raises:
        ConcurrentUpdate: the lease was lost, or another file has the name now.
    """
    existing = services.file_repository.get_file(record.ns, record.name) if read_existing else None
    if existing is not None and existing.upload_id == record.upload_id:
        return _committed_by_other(services, record)
    try:
        name, replaced = _choose_name(services, record, existing, options)
    except (FileExists, InvalidFilename, PreconditionFailed) as error:
        return Rejected(error, stored_object=stored_object)
    file = replace(_file_of(record, stored_object, replaced, uploaded_at=services.clock()), name=name)
    try:
        services.upload_repository.commit_file(
            record,
            file,
            replaced_file=replaced,
            staged_chunks_due_at=file.uploaded_at + HOUR_MS,
            object_due_at=file.uploaded_at + services.deleted_file_retention_ms,
            ttl_epoch_seconds=ended_ttl_epoch_seconds(services),
            publish_deadline=publish_deadline(services),
        )
    except ConcurrentUpdate:
        return _committed_by_other(services, record)
    _publish_completed(services, record, file, replaced)
    return Committed(file)


def _choose_name(
    services: Services, record: UploadRecord, existing: File | None, options: CompletionOptions
) -> tuple[str, File | None]:
    """Return the name that the file gets, and the file that it replaces there; None: the name is free.

    Raises:
        FileExists, PreconditionFailed: the upload's name has a file that may not be replaced.
        InvalidFilename: the name is taken, and too long for a number.
    """
    error = name_error(existing, options)
    if error is not None:
        raise error
    if existing is None or options.may_replace:
        return record.name, existing
    name, _ = find_free_name(services, record.ns, record.requested_name or record.name)
    return name, None


def name_error(existing: File | None, options: CompletionOptions) -> FileExists | PreconditionFailed | None:
    """Return why a completion cannot use its name, which has this file; None if it can, or uses another name."""
    if options.if_match is not None:
        matches = existing is not None and options.if_match in (existing.etag, existing.record_etag)
        return None if matches else precondition_failed(existing)
    return FileExists() if existing is not None and options.if_exists is IfExists.FAIL else None


def _committed_by_other(services: Services, record: UploadRecord) -> Committed:
    """Return the file that another attempt committed. Raises `ConcurrentUpdate` if no attempt has."""
    upload = services.upload_repository.get_upload(record.upload_id)
    if upload is None or upload.record.file is None:
        raise ConcurrentUpdate
    return Committed(upload.record.file)


def _file_of(record: UploadRecord, stored_object: StoredObject, replaced: File | None, *, uploaded_at: int) -> File:
    crc, last_modified = stored_object.crc32c, stored_object.last_modified_seconds
    if crc is None or last_modified is None:
        raise BackendUnavailable("The object store did not return the checksum and date of the new object. Try again.")
    if replaced is not None:
        # `start` waits until the date differs. This decides where the clocks of Ferry and S3 disagree.
        last_modified = max(last_modified, replaced.last_modified_seconds + 1)
    return File(
        ns=record.ns,
        name=record.name,
        upload_id=record.upload_id,
        size=record.layout.size,
        etag=stored_object.etag,
        crc32c=crc,
        content_type=record.content_type,
        metadata=record.metadata,
        fingerprint=record.fingerprint,
        uploaded_at=uploaded_at,
        last_modified_seconds=last_modified,
        object_date_seconds=stored_object.last_modified_seconds,
        counted_in_quota=record.counted_in_quota,
    )


def _publish_completed(services: Services, record: UploadRecord, file: File, replaced: File | None) -> None:
    """Publish the completion. If that fails, the event stays pending and cleanup publishes it."""
    if services.event_publisher is None:
        return
    completed = replace(
        record,
        state=UploadState.COMPLETE,
        file=file,
        replaced_upload_id=replaced.upload_id if replaced else None,
        ended_at=file.uploaded_at,
    )
    if publish(services, pending_events(completed)):
        with suppress(ConcurrentUpdate, BackendUnavailable):
            services.upload_repository.clear_pending_event(
                completed, due_at=None, ttl_epoch_seconds=ended_ttl_epoch_seconds(services)
            )
