"""What is to become of an upload in progress. Looks, and takes no step: a dry run goes exactly this far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ferry.cleanup.report import CleanupReport
from ferry.errors import ChecksumMismatch, FileExists, UploadExpired, UploadIncomplete
from ferry.model.objects import StoredPart
from ferry.model.uploads import Upload, UploadState
from ferry.ports.errors import MultipartUploadNotFound
from ferry.services import Services
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.received import compute_received, list_parts
from ferry.uploads.resume import recover_from_object
from ferry.uploads.terminate import terminate


class Action(StrEnum):
    """What to do with it."""

    LEAVE = "leave"
    """It is alive."""
    WAIT = "wait"
    """A completion may still be under way inside S3."""
    RECOVER = "recover"
    """S3 has made its object, and no row says so: it is to be completed."""
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Decision:
    """`bytes` are what it has received; `lost` says that S3 has neither its multipart upload nor its object."""

    action: Action
    received_bytes: int = 0
    storage_missing: bool = False


def decide(services: Services, upload: Upload, *, is_stale: bool) -> Decision:
    """What is to become of an upload that is open or was never opened (docs/decisions/0005)."""
    session = upload.record
    if session.stored_object is not None:
        # Its object was noted, and refused its name. It is kept for a while: no bytes are won by expiring it.
        return Decision(Action.EXPIRE if is_stale else Action.LEAVE)
    parts = _list_counted_parts(services, upload)
    if parts is None:
        found = services.object_store.head(session.object_key)
        if found is not None and found.size == session.layout.size:
            return Decision(Action.RECOVER)
        if session.multipart_id is not None:
            settling = (
                session.first_leased_at is not None
                and services.clock() < session.first_leased_at + PRIOR_ATTEMPT_WINDOW_MS
            )
            return (
                Decision(Action.WAIT)
                if settling
                else Decision(Action.EXPIRE, upload.received_bytes, storage_missing=True)
            )
    total = compute_received(upload, parts or {}).total_bytes
    return Decision(Action.EXPIRE, total) if is_stale else Decision(Action.LEAVE)


def _list_counted_parts(services: Services, upload: Upload) -> Mapping[int, StoredPart] | None:
    """What counts of S3's parts; None where it has no multipart upload."""
    try:
        parts = list_parts(services, upload.record)
    except MultipartUploadNotFound:
        return None
    return parts if upload.has_presigned_parts else {}


def apply(
    services: Services, upload: Upload, decision: Decision, report: CleanupReport, *, purge_now: bool = True
) -> None:
    """Expire or recover it, unless the run is dry; `thorough`: with its bytes, else those go with the next sweep.

    Raises:
        Moved: it is not (any more) what was judged.
    """
    if decision.action is Action.EXPIRE:
        if not report.dry_run:
            terminate(services, upload, UploadState.EXPIRED, purge_now=purge_now)
        report.expired += 1
        report.lost_uploads += decision.storage_missing
        report.bytes_reclaimed += decision.received_bytes
    elif decision.action is Action.RECOVER:
        report.recovered_uploads += 1 if report.dry_run else _try_recover(services, upload, report)


def _try_recover(services: Services, upload: Upload, report: CleanupReport) -> bool:
    try:
        recover_from_object(services, upload)
    except UploadExpired:
        report.expired += 1
    except (UploadIncomplete, ChecksumMismatch, FileExists):
        pass  # it is open again with its object noted, as it would be told a client; its time comes
    else:
        return True
    return False
