"""The JSON that answers are made of. Times are RFC 3339, sizes bytes, ranges inclusive pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ferry.model.files import File
from ferry.model.uploads import Upload, UploadState
from ferry.ports.types import Page
from ferry.rules.digests import crc32c_to_base64
from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES, MAX_FILE_BYTES, MAX_PARTS, MIN_CHUNK_BYTES
from ferry.rules.timestamps import format_rfc3339
from ferry.services import Services

if TYPE_CHECKING:
    from ferry.cleanup import CleanupReport
    from ferry.status.snapshot import StatusReport
    from ferry.uploads.chunk import ChunkAccepted
    from ferry.uploads.complete import CompletionAccepted
    from ferry.uploads.presign import PresignedPart
    from ferry.uploads.received import ReceivedRanges

T = TypeVar("T")
JsonObject = dict[str, Any]

MAX_METADATA_BYTES = 2_048


def checksum(crc32c: int) -> JsonObject:
    return {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c)}


def file(finished: File) -> JsonObject:
    """A finished file. `etag` has its quotes, as the header has."""
    return {
        "filename": finished.name,
        "upload_id": finished.upload_id,
        "size": finished.size,
        "etag": finished.etag,
        "content_type": finished.content_type,
        "checksum": checksum(finished.crc32c),
        "uploaded_at": format_rfc3339(finished.uploaded_at),
        "metadata": dict(finished.metadata),
        "state": UploadState.COMPLETE,
    }


def upload_plan(upload: Upload, received: ReceivedRanges) -> JsonObject:
    """How the file is cut, and what is there already."""
    session, grid = upload.record, upload.record.layout
    return {
        "upload_id": session.upload_id,
        "filename": session.name,
        "size": grid.size,
        "state": _upload_state(session.state, received.total_bytes),
        "chunk_size": grid.chunk_size,
        "chunk_count": grid.chunk_count,
        "part_size": grid.part_size,
        "part_count": grid.part_count,
        "chunks_per_part": grid.chunks_per_part,
        "received": {"chunks": received.chunks, "parts": received.parts},
        "received_bytes": received.total_bytes,
        "expires_at": format_rfc3339(upload.expires_at),
    }


def limits(engine: Services) -> JsonObject:
    """What a client can rely on; durations are seconds."""
    return {
        "chunk_size_min": MIN_CHUNK_BYTES,
        "chunk_size_max": MAX_CHUNK_BYTES,
        "parts_max": MAX_PARTS,
        "file_size_max": MAX_FILE_BYTES,
        "file_size_max_chunks": MAX_PARTS * MAX_ASSEMBLED_PART_BYTES,
        "parts_signed_max": 100,
        "metadata_bytes_max": MAX_METADATA_BYTES,
        "session_idle_timeout": engine.upload_idle_timeout_ms // 1000,
        "session_max_age": engine.upload_max_age_ms // 1000,
        "url_lifetime": engine.presigned_url_ttl_seconds,
    }


def chunk(name: str, accepted: ChunkAccepted) -> JsonObject:
    return {
        "filename": name,
        "upload_id": accepted.upload_id,
        "chunk_index": accepted.chunk_index,
        "received_bytes": accepted.received_bytes,
        "size": accepted.size,
        "state": _upload_state(UploadState.OPEN, accepted.received_bytes),
    }


def completion_pending(name: str, pending: CompletionAccepted) -> JsonObject:
    """While the file is being put together; ask again in `Retry-After` seconds."""
    return {"filename": name, "upload_id": pending.upload_id, "state": UploadState.COMPLETING}


def signed_part(part: PresignedPart) -> JsonObject:
    return {
        "part_number": part.part_number,
        "url": part.url,
        "headers": dict(part.headers),
        "size": part.size,
        "expires_at": format_rfc3339(part.expires_at),
    }


def status(upload_status: StatusReport) -> JsonObject:
    """`etag`, `checksum` and `current_file` are there when there is one."""
    view: JsonObject = {
        "filename": upload_status.filename,
        "upload_id": upload_status.upload_id,
        "state": upload_status.state,
        "size": upload_status.size,
        "received_bytes": upload_status.received_bytes,
        "percent": upload_status.percent,
        "chunk_size": upload_status.chunk_size,
        "chunk_count": upload_status.chunk_count,
        "missing": upload_status.missing,
        "next_offset": upload_status.next_offset,
        "created_at": format_rfc3339(upload_status.created_at),
        "updated_at": format_rfc3339(upload_status.updated_at),
        "expires_at": None if upload_status.expires_at is None else format_rfc3339(upload_status.expires_at),
        "version": upload_status.version,
    }
    if upload_status.etag is not None:
        view["etag"] = upload_status.etag
    if upload_status.crc32c is not None:
        view["checksum"] = checksum(upload_status.crc32c)
    if upload_status.current_file is not None:
        view["current_file"] = file(upload_status.current_file)
    return view


def cleanup(report: CleanupReport) -> JsonObject:
    """What a clean-up did, or would do."""
    return {**cleanup_counts(report), **_cursor_member(report.cursor)}


def cleanup_counts(report: CleanupReport) -> JsonObject:
    """The same, without the cursor, which has a name in it."""
    return {
        "examined": report.examined,
        "expired": report.expired,
        "bytes_reclaimed": report.bytes_reclaimed,
        "orphans": {
            "multipart_uploads": report.orphans.multipart_uploads,
            "staged_objects": report.orphans.staged_objects,
            "objects": report.orphans.objects,
        },
        "errors": report.errors,
        "complete": report.complete,
        "dry_run": report.dry_run,
    }


def scheduled_cleanup(report: CleanupReport) -> JsonObject:
    """What a run of the schedule did, for the operator."""
    return cleanup(report) | {
        "resumed_completions": report.resumed_completions,
        "recovered": report.recovered_uploads,
        "lost": report.lost_uploads,
        "oldest_stale_seconds": report.oldest_stale_ms // 1000,
    }


def scheduled_cleanup_metrics(report: CleanupReport) -> dict[str, float]:
    """Those of a run of the schedule, by name (`ferry.http.metrics`). None is left out: silence means that none ran."""
    return cleanup_metrics(report) | {
        "OldestStaleSeconds": report.oldest_stale_ms / 1000,
        "ResumedCompletions": report.resumed_completions,
        "RecoveredUploads": report.recovered_uploads,
        "LostUploads": report.lost_uploads,
        "OrphanMultipartUploads": report.orphans.multipart_uploads,
        "OrphanStagedObjects": report.orphans.staged_objects,
        "OrphanObjects": report.orphans.objects,
        "SweepErrors": report.errors,
    }


def cleanup_metrics(report: CleanupReport) -> dict[str, float]:
    """Those of any run."""
    return {"UploadsExpired": report.expired, "ReclaimedBytes": report.bytes_reclaimed}


def page(name: str, items: Page[T], serialize: Callable[[T], JsonObject]) -> JsonObject:
    """Some items under `name`, and the cursor of the next ones if there may be more."""
    return {name: [serialize(item) for item in items.items], **_cursor_member(items.cursor)}


def _cursor_member(cursor: str | None) -> Mapping[str, str]:
    return {} if cursor is None else {"cursor": cursor}


def _upload_state(state: UploadState, received: int) -> str:
    if state is UploadState.COMPLETING:
        return UploadState.COMPLETING
    return "partial" if received else "pending"
