"""Decide what happens to an upload in progress, then do it. A dry run decides only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ferry.cleanup.report import CleanupReport
from ferry.errors import (
    ChecksumMismatch,
    FileExists,
    InvalidFilename,
    PreconditionFailed,
    UploadExpired,
    UploadIncomplete,
)
from ferry.model.objects import StoredPart
from ferry.model.uploads import Upload, UploadState
from ferry.ports.errors import MultipartUploadNotFound
from ferry.services import Services
from ferry.uploads.async_completion import recover_from_object
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.received import compute_received, list_parts
from ferry.uploads.terminate import terminate


class Action(StrEnum):
    """What to do with an upload."""

    LEAVE = "leave"
    """Nothing: it has not expired."""
    WAIT = "wait"
    """Look again later: S3 may still be building its object."""
    RECOVER = "recover"
    """Commit the object that S3 already has."""
    EXPIRE = "expire"
    """End it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, and the bytes it frees."""

    action: Action
    """What to do."""
    reclaimed_bytes: int = 0
    """Bytes that are deleted if the upload expires."""
    storage_missing: bool = False
    """Whether S3 has neither its multipart upload nor its object."""


def decide(services: Services, upload: Upload, *, is_stale: bool) -> Decision:
    """Decide what happens to an upload in state `creating` or `open` (docs/decisions/0005).

    Args:
        services: the backends.
        upload: the upload as read.
        is_stale: whether the upload has expired by the caller's rule.
    """
    record = upload.record
    if record.stored_object is not None:
        # A completion built the object and was rejected. The object is retained for a while, so no bytes are freed.
        return Decision(Action.EXPIRE if is_stale else Action.LEAVE)
    parts = _list_counted_parts(services, upload)
    if parts is None:
        without_multipart = _decide_without_multipart(services, upload)
        if without_multipart is not None:
            return without_multipart
    if not is_stale:
        return Decision(Action.LEAVE)
    return Decision(Action.EXPIRE, compute_received(upload, parts or {}).total_bytes)


def _list_counted_parts(services: Services, upload: Upload) -> Mapping[int, StoredPart] | None:
    """Return the parts that clients may have sent directly; None if S3 has no multipart upload."""
    try:
        parts = list_parts(services, upload.record)
    except MultipartUploadNotFound:
        return None
    return parts if upload.has_presigned_parts else {}


def _decide_without_multipart(services: Services, upload: Upload) -> Decision | None:
    """Decide by the object of an upload whose multipart upload S3 does not have.

    Return None if only the age of the upload counts: it never had a multipart upload, and has no object to recover. An
    empty upload that a start joined without proof is not recovered, because only its client may complete it.
    """
    record = upload.record
    found = services.object_store.head(record.object_key)
    was_joined_empty = record.requires_checksum and not record.layout.size
    if found is not None and found.size == record.layout.size and not was_joined_empty:
        return Decision(Action.RECOVER)
    if record.multipart_id is None:
        return None
    if record.first_leased_at is not None and services.clock() < record.first_leased_at + PRIOR_ATTEMPT_WINDOW_MS:
        return Decision(Action.WAIT)
    return Decision(Action.EXPIRE, upload.recorded_chunk_bytes, storage_missing=True)


def apply(
    services: Services, upload: Upload, decision: Decision, report: CleanupReport, *, purge_now: bool = True
) -> None:
    """Expire or recover the upload, and report it. A dry run only reports.

    Args:
        services: the backends.
        upload: the upload that was decided on.
        decision: what to do with it.
        report: where it is counted.
        purge_now: whether its bytes are deleted at once; False leaves them to the next sweep.

    Raises:
        ConcurrentUpdate: the upload is no longer as read.
    """
    if decision.action is Action.EXPIRE:
        if not report.dry_run:
            terminate(services, upload, UploadState.EXPIRED, purge_now=purge_now)
        report.expired += 1
        report.lost_uploads += decision.storage_missing
        report.bytes_reclaimed += decision.reclaimed_bytes
    elif decision.action is Action.RECOVER:
        report.recovered_uploads += 1 if report.dry_run else _try_recover(services, upload, report)


def _try_recover(services: Services, upload: Upload, report: CleanupReport) -> bool:
    """Recover the upload. Return False if it was rejected or has expired."""
    try:
        recover_from_object(services, upload)
    except UploadExpired:
        report.expired += 1
        return False
    except (UploadIncomplete, ChecksumMismatch, FileExists, InvalidFilename, PreconditionFailed):
        return False  # It is open again, and expires in its time.
    return True
