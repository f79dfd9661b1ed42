"""Status: how much of an upload has arrived, and which chunks are missing.

The status of a name is that of its newest upload; once that is complete, it is the status of the file. A name without
an upload and without a file is not found: missing rows do not mean that an upload is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ferry.errors import NotFound, UploadNotFound
from ferry.model.files import File
from ferry.model.objects import StoredPart
from ferry.model.uploads import CurrentUpload, Upload, UploadState
from ferry.ports.types import Page
from ferry.rules.layout import ChunkLayout, Range, missing_ranges
from ferry.services import Services
from ferry.status.upload_status import UploadStatus, status_of_open
from ferry.uploads.lookup import get_upload_of_name, is_expired
from ferry.uploads.received import ReceivedRanges, compute_received, uploaded_parts

MAX_MISSING_RANGES = 100_000
"""Ranges in `missing` at most, so that a response stays below Lambda's 6 MB; later ranges are left out."""

MAX_MISSING_RANGES_IN_LIST = 1_000
"""Ranges in `missing` of each upload in a list."""

_MAX_READS_PER_PAGE = 10
"""Reads of the index for one page. Many names without an upload in progress would otherwise take long."""

_CONCURRENCY = 8
"""Uploads of a page that are read at the same time: each may need a listing of S3."""

_STATUS_OF_ENDED = {UploadState.EXPIRED: UploadStatus.EXPIRED, UploadState.CANCELLED: UploadStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The status of an upload or of a finished file."""

    filename: str
    """The name."""
    upload_id: str
    """The upload; for a file, the one that made it."""
    state: UploadStatus
    """The state of the upload."""
    size: int | None
    """Bytes of the whole file; None while they are not known."""
    received_bytes: int
    """Bytes that have arrived; 0 for an upload that has ended, because they cannot be used any more."""
    chunk_size: int | None
    """Bytes of each chunk; None when the upload is no longer on record."""
    chunk_count: int | None
    """Chunks of the file; None when the upload is no longer on record."""
    missing: tuple[Range, ...]
    """Inclusive ranges of missing chunks, ascending; at most `MAX_MISSING_RANGES`."""
    created_at: int
    """When the upload began, in epoch milliseconds."""
    updated_at: int
    """When the upload last changed, in epoch milliseconds."""
    expires_at: int | None
    """When the upload expires or expired, in epoch milliseconds; None where it does not."""
    version: int
    """Grows with every change, also from one upload of a name to the next."""
    etag: str | None = None
    """The entity tag of the finished file, quotes included."""
    crc32c: int | None = None
    """The CRC32C of the whole file; None while it is unknown."""
    current_file: File | None = None
    """The finished file of the same name, where this is the status of an upload that is not complete."""
    offset: int | None = None
    """Where a sequential upload continues; None for others."""

    @property
    def percent(self) -> float | None:
        """`received_bytes` of `size` with one decimal, rounded down: 100.0 means that no byte is missing.

        An empty file has 0.0 until it is complete. None while the size is not known.
        """
        if self.size is None:
            return None
        if not self.size:
            return 100.0 if self.state is UploadStatus.COMPLETE else 0.0
        return self.received_bytes * 1000 // self.size / 10

    @property
    def next_offset(self) -> int:
        """The position of the first missing byte; `size` when no byte is missing."""
        if self.offset is not None:
            return self.offset
        if not self.missing or self.chunk_size is None:
            return self.size or 0
        return (self.missing[0][0] - 1) * self.chunk_size

    @property
    def etag_value(self) -> str:
        """The opaque part of an entity tag that changes with any member of the report."""
        current_file_id = self.current_file.upload_id if self.current_file else ""
        return f"{self.upload_id}.{self.state}.{self.version}.{current_file_id}"


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """A status report with the records that it was made from, so that a long poll can detect changes."""

    status: StatusReport
    """The report."""
    file: File | None
    """The finished file of the name."""
    current_upload: CurrentUpload | None
    """The newest upload of the name."""
    upload: Upload | None = None
    """The upload's record; None for a file and for an upload that has ended."""
    parts: Mapping[int, StoredPart] | None = None
    """The parts that S3 listed; None for an upload without presigned parts."""


def get_status(services: Services, ns: str, name: str, upload_id: str | None = None) -> StatusReport:
    """Return the status of a name's newest upload, or of the upload of that name with the id.

    Takes two reads of the metadata store, three at the moment of completion, and one listing of S3 if parts were
    presigned.

    Raises:
        NotFound: there is neither an upload nor a file of that name.
        UploadNotFound: the name has no upload with that id.
    """
    return read_snapshot(services, ns, name, upload_id).status


def read_snapshot(services: Services, ns: str, name: str, upload_id: str | None = None) -> StatusSnapshot:
    """Return the status of a name with the records behind it. Raises `NotFound`, `UploadNotFound`."""
    file, current, sequential_ids = services.sequential_repository.get_name_uploads(ns, name)
    if upload_id is not None:
        named = get_upload_of_name(services, ns, name, upload_id)
        if named is None:
            raise UploadNotFound.for_id()
        if named.record.file is not None:
            return StatusSnapshot(_status_of_file(named.record.file, named), file, current)
        return snapshot_of(services, current, named, file)
    upload = _find_newest(services, current, sequential_ids)
    if upload is None or upload.record.state is UploadState.COMPLETE:
        if upload is not None and (file is None or file.upload_id != upload.record.upload_id):
            # The upload was completed between the two reads, or its file has been deleted.
            file = services.file_repository.get_file(ns, name)
        if file is None:
            raise NotFound
        return StatusSnapshot(_status_of_file(file, upload), file, current)
    return snapshot_of(services, current, upload, file)


def _find_newest(
    services: Services, current_upload: CurrentUpload | None, sequential_ids: Sequence[str]
) -> Upload | None:
    """Return the newest upload of a name: its current one, or an open sequential one. One read for each."""
    ids = [*([current_upload.upload_id] if current_upload is not None else []), *sequential_ids]
    uploads = [upload for upload in map(services.upload_repository.get_upload, ids) if upload is not None]
    return max(uploads, key=lambda upload: upload.record.created_at, default=None)


def snapshot_of(
    services: Services, current_upload: CurrentUpload | None, upload: Upload, file: File | None
) -> StatusSnapshot:
    """Return the status of an upload that is not complete. `file` is the finished file of its name."""
    record = upload.record
    if record.state in _STATUS_OF_ENDED:
        ended_at = record.ended_at or upload.last_activity_at
        return StatusSnapshot(
            _status_of_ended(upload, _STATUS_OF_ENDED[record.state], ended_at, file), file, current_upload
        )
    if is_expired(services, upload):
        return StatusSnapshot(
            _status_of_ended(upload, UploadStatus.EXPIRED, upload.expires_at, file), file, current_upload
        )
    if record.state is UploadState.COMPLETING or record.stored_object is not None:
        # A completion begins only when everything has arrived, and S3 may have joined the parts already.
        status = _status_in_progress(upload, _all_received(record.layout), record.layout.part_count, file)
        return StatusSnapshot(status, file, current_upload, upload)
    parts = uploaded_parts(services, upload) if upload.has_presigned_parts else {}
    status = _status_in_progress(upload, compute_received(upload, parts), len(parts), file)
    return StatusSnapshot(status, file, current_upload, upload, parts if upload.has_presigned_parts else None)


def list_uploads(services: Services, ns: str, cursor: str | None, limit: int) -> Page[StatusReport]:
    """Return a page of the namespace's uploads in progress.

    The index also has names whose upload has ended. A page takes a limited number of reads, so it may have fewer items
    than `limit`, or none, and still have a cursor.
    """
    from concurrent.futures import ThreadPoolExecutor

    reports: list[StatusReport] = []
    for _ in range(_MAX_READS_PER_PAGE):
        page = services.upload_repository.list_open_uploads(ns, cursor, limit - len(reports))
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            statuses = pool.map(lambda current: _status_if_in_progress(services, current), page.items)
            reports += [status for status in statuses if status is not None]
        cursor = page.cursor
        if cursor is None or len(reports) >= limit:
            break
    return Page(reports, cursor)


def _status_if_in_progress(services: Services, current: CurrentUpload) -> StatusReport | None:
    upload = services.upload_repository.get_upload(current.upload_id)
    if upload is None or not upload.record.state.in_progress:
        return None
    file = services.file_repository.get_file(current.ns, current.name)
    status = snapshot_of(services, current, upload, file).status
    if not status.state.in_progress:
        return None
    return replace(status, missing=status.missing[:MAX_MISSING_RANGES_IN_LIST])


def _status_of_file(file: File, upload: Upload | None) -> StatusReport:
    """Return the status of a finished file; its chunks and its beginning are those of its upload, if on record."""
    own_upload = upload if upload is not None and upload.record.upload_id == file.upload_id else None
    layout = own_upload.record.layout if own_upload else None
    return StatusReport(
        filename=file.name,
        upload_id=file.upload_id,
        state=UploadStatus.COMPLETE,
        size=file.size,
        received_bytes=file.size,
        chunk_size=layout.chunk_size if layout else None,
        chunk_count=layout.chunk_count if layout else None,
        missing=(),
        created_at=own_upload.record.created_at if own_upload else file.uploaded_at,
        updated_at=file.uploaded_at,
        expires_at=None,
        version=max(file.uploaded_at, own_upload.version if own_upload else 0),
        etag=file.etag,
        crc32c=file.crc32c,
    )


def _status_in_progress(
    upload: Upload, received: ReceivedRanges, listed_part_count: int, file: File | None
) -> StatusReport:
    """Return the status of an upload in progress.

    A part that is sent straight to S3 changes no row, so the number of listed parts is added to the version.
    """
    record, layout, sequential = upload.record, upload.record.layout, upload.record.sequential
    knows_size = sequential is None or sequential.length is not None
    return StatusReport(
        filename=record.name,
        upload_id=record.upload_id,
        state=status_of_open(record.state, received.total_bytes),
        size=layout.size if knows_size else None,
        received_bytes=received.total_bytes,
        chunk_size=layout.chunk_size,
        chunk_count=layout.chunk_count if knows_size else None,
        offset=sequential.offset if sequential is not None else None,
        missing=_first_missing_ranges(received.chunks, layout.chunk_count),
        created_at=record.created_at,
        updated_at=upload.last_activity_at,
        expires_at=None if record.state is UploadState.COMPLETING else upload.expires_at,
        version=upload.version + (listed_part_count if upload.has_presigned_parts else 0),
        crc32c=record.crc32c,
        current_file=file,
    )


def _status_of_ended(upload: Upload, state: UploadStatus, ended_at: int, file: File | None) -> StatusReport:
    """Return the status of an upload that has ended. It does not use the progress shards, which the cleanup deletes."""
    record, layout = upload.record, upload.record.layout
    return StatusReport(
        filename=record.name,
        upload_id=record.upload_id,
        state=state,
        size=layout.size,
        received_bytes=0,
        chunk_size=layout.chunk_size,
        chunk_count=layout.chunk_count,
        missing=_first_missing_ranges([], layout.chunk_count),
        created_at=record.created_at,
        updated_at=ended_at,
        expires_at=ended_at if state is UploadStatus.EXPIRED else None,
        version=max(ended_at, upload.version),
        crc32c=record.crc32c,
        current_file=file,
    )


def _all_received(layout: ChunkLayout) -> ReceivedRanges:
    chunks = [(1, layout.chunk_count)] if layout.chunk_count else []
    return ReceivedRanges(chunks, [(1, layout.part_count)] if chunks else [], layout.size)


def _first_missing_ranges(chunks: Sequence[Range], last: int) -> tuple[Range, ...]:
    """Return the first missing ranges, at most `MAX_MISSING_RANGES`."""
    return tuple(gap for gap, _ in zip(missing_ranges(chunks, last), range(MAX_MISSING_RANGES), strict=False))
