"""The JSON that answers are made of. Times are RFC 3339, sizes bytes, ranges inclusive pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ferry.digests import crc_to_base64
from ferry.engine import Engine
from ferry.grid import MAX_ASSEMBLED_PART_SIZE, MAX_CHUNK_SIZE, MAX_FILE_SIZE, MAX_PARTS, MIN_CHUNK_SIZE
from ferry.model import File, State, Upload
from ferry.ports import Page
from ferry.times import rfc3339

if TYPE_CHECKING:
    from ferry.cleanup import Report
    from ferry.progress import Status
    from ferry.uploads.chunk import ChunkAccepted
    from ferry.uploads.complete import StillCompleting
    from ferry.uploads.parts import SignedPart
    from ferry.uploads.received import Received

T = TypeVar("T")
View = dict[str, Any]

MAX_METADATA = 2_048


def checksum(crc32c: int) -> View:
    return {"algorithm": "crc32c", "value": crc_to_base64(crc32c)}


def file(finished: File) -> View:
    """A finished file. `etag` has its quotes, as the header has."""
    return {
        "filename": finished.name,
        "upload_id": finished.upload_id,
        "size": finished.size,
        "etag": finished.etag,
        "content_type": finished.content_type,
        "checksum": checksum(finished.crc32c),
        "uploaded_at": rfc3339(finished.uploaded_at),
        "metadata": dict(finished.metadata),
        "state": State.COMPLETE,
    }


def plan(upload: Upload, received: Received) -> View:
    """How the file is cut, and what is there already."""
    session, grid = upload.session, upload.session.grid
    return {
        "upload_id": session.upload_id,
        "filename": session.name,
        "size": grid.size,
        "state": _phase(session.state, received.bytes),
        "chunk_size": grid.chunk_size,
        "chunk_count": grid.chunk_count,
        "part_size": grid.part_size,
        "part_count": grid.part_count,
        "chunks_per_part": grid.chunks_per_part,
        "received": {"chunks": received.chunks, "parts": received.parts},
        "received_bytes": received.bytes,
        "expires_at": rfc3339(upload.expires_at),
    }


def limits(engine: Engine) -> View:
    """What a client can rely on; durations are seconds."""
    return {
        "chunk_size_min": MIN_CHUNK_SIZE,
        "chunk_size_max": MAX_CHUNK_SIZE,
        "parts_max": MAX_PARTS,
        "file_size_max": MAX_FILE_SIZE,
        "file_size_max_chunks": MAX_PARTS * MAX_ASSEMBLED_PART_SIZE,
        "parts_signed_max": 100,
        "metadata_bytes_max": MAX_METADATA,
        "session_idle_timeout": engine.session_idle // 1000,
        "session_max_age": engine.session_max_age // 1000,
        "url_lifetime": engine.url_lifetime,
    }


def chunk(name: str, accepted: ChunkAccepted) -> View:
    return {
        "filename": name,
        "upload_id": accepted.upload_id,
        "chunk_index": accepted.index,
        "received_bytes": accepted.received,
        "size": accepted.size,
        "state": _phase(State.OPEN, accepted.received),
    }


def completing(name: str, still: StillCompleting) -> View:
    """While the file is being put together; ask again in `Retry-After` seconds."""
    return {"filename": name, "upload_id": still.upload_id, "state": State.COMPLETING}


def signed_part(part: SignedPart) -> View:
    return {
        "part_number": part.number,
        "url": part.url,
        "headers": dict(part.headers),
        "size": part.size,
        "expires_at": rfc3339(part.expires_at),
    }


def status(progress: Status) -> View:
    """`etag`, `checksum` and `current_file` are there when there is one."""
    view: View = {
        "filename": progress.filename,
        "upload_id": progress.upload_id,
        "state": progress.state,
        "size": progress.size,
        "received_bytes": progress.received_bytes,
        "percent": progress.percent,
        "chunk_size": progress.chunk_size,
        "chunk_count": progress.chunk_count,
        "missing": progress.missing,
        "next_offset": progress.next_offset,
        "created_at": rfc3339(progress.created_at),
        "updated_at": rfc3339(progress.updated_at),
        "expires_at": None if progress.expires_at is None else rfc3339(progress.expires_at),
        "version": progress.version,
    }
    if progress.etag is not None:
        view["etag"] = progress.etag
    if progress.crc32c is not None:
        view["checksum"] = checksum(progress.crc32c)
    if progress.current_file is not None:
        view["current_file"] = file(progress.current_file)
    return view


def cleanup(report: Report) -> View:
    """What a clean-up did, or would do."""
    return {**cleaned(report), **_cursor(report.cursor)}


def cleaned(report: Report) -> View:
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


def sweep(report: Report) -> View:
    """What a run of the schedule did, for the operator."""
    return cleanup(report) | {
        "lapsed_completions": report.lapsed,
        "recovered": report.recovered,
        "lost": report.lost,
        "oldest_stale_seconds": report.oldest_stale // 1000,
    }


def sweep_metrics(report: Report) -> dict[str, float]:
    """Those of a run of the schedule, by name (`ferry.http.metrics`). None is left out: silence means that none ran."""
    return cleanup_metrics(report) | {
        "OldestStaleSeconds": report.oldest_stale / 1000,
        "LapsedCompletions": report.lapsed,
        "RecoveredUploads": report.recovered,
        "LostUploads": report.lost,
        "OrphanMultipartUploads": report.orphans.multipart_uploads,
        "OrphanStagedObjects": report.orphans.staged_objects,
        "OrphanObjects": report.orphans.objects,
        "SweepErrors": report.errors,
    }


def cleanup_metrics(report: Report) -> dict[str, float]:
    """Those of any run."""
    return {"SessionsExpired": report.expired, "ReclaimedBytes": report.bytes_reclaimed}


def page(name: str, items: Page[T], view: Callable[[T], View]) -> View:
    """Some items under `name`, and the cursor of the next ones if there may be more."""
    return {name: [view(item) for item in items.items], **_cursor(items.cursor)}


def _cursor(cursor: str | None) -> Mapping[str, str]:
    return {} if cursor is None else {"cursor": cursor}


def _phase(state: State, received: int) -> str:
    if state is State.COMPLETING:
        return State.COMPLETING
    return "partial" if received else "pending"
