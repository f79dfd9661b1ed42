"""Status: how far the upload of a name is, and what is missing.

A name's status is that of its newest upload; once that is complete, that of the file. It never takes the absence of
rows for an end: what there is neither an upload nor a file of is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ferry.errors import NotFound
from ferry.model.files import File
from ferry.model.objects import StoredPart
from ferry.model.uploads import CurrentUpload, Upload, UploadState
from ferry.ports.types import Page
from ferry.rules.layout import ChunkLayout, Range, missing_ranges
from ferry.services import Services
from ferry.status.upload_status import UploadStatus, status_of_open
from ferry.uploads.lookup import is_expired
from ferry.uploads.received import ReceivedRanges, compute_received, uploaded_parts

MAX_MISSING_RANGES = 100_000
"""The most ranges in `missing`, so that an answer stays below the platform's 6 MB; the first ones, ascending."""

MAX_MISSING_RANGES_IN_LIST = 1_000
"""The same for each of the uploads in a list."""

_MAX_READS_PER_PAGE = 10

_CONCURRENCY = 8
"""Uploads of a page that are looked at at the same time: each may take a listing."""


_STATUS_OF_ENDED = {UploadState.EXPIRED: UploadStatus.EXPIRED, UploadState.CANCELLED: UploadStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Times are epoch milliseconds, sizes and offsets bytes, `missing` inclusive ranges of chunks.

    Of an expired or cancelled upload nothing can be used any more: nothing counts as received. `chunk_size` and
    `chunk_count` are None when only the file is left, `expires_at` when nothing will expire, `crc32c` when nobody
    gave one yet. `version` grows with whatever changes, from one upload of a name to the next too. `current_file` is
    the finished file of the name, if there is one, unless it is what this status is of.
    """

    filename: str
    upload_id: str
    state: UploadStatus
    size: int
    received_bytes: int
    chunk_size: int | None
    chunk_count: int | None
    missing: tuple[Range, ...]
    created_at: int
    updated_at: int
    expires_at: int | None
    version: int
    etag: str | None = None
    crc32c: int | None = None
    current_file: File | None = None

    @property
    def percent(self) -> float:
        """With one decimal, rounded down: 100.0 means that no byte is missing. An empty file has 0.0 until complete."""
        if not self.size:
            return 100.0 if self.state is UploadStatus.COMPLETE else 0.0
        return self.received_bytes * 1000 // self.size / 10

    @property
    def next_offset(self) -> int:
        """Where the first missing byte is; the size when none is missing."""
        if not self.missing or self.chunk_size is None:
            return self.size
        return (self.missing[0][0] - 1) * self.chunk_size

    @property
    def etag_value(self) -> str:
        """What differs whenever any of this does: the opaque part of an entity tag."""
        beside = self.current_file.upload_id if self.current_file else ""
        return f"{self.upload_id}.{self.state}.{self.version}.{beside}"


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """A status, and what was read for it. `parts` is None where none can have been put straight to S3."""

    status: StatusReport
    file: File | None
    current_upload: CurrentUpload | None
    upload: Upload | None = None
    parts: Mapping[int, StoredPart] | None = None


def get_status(services: Services, ns: str, name: str) -> StatusReport:
    """How far the newest upload of the name is: two reads of the ledger, three in the moment of its completion, and one
    listing where a URL was ever signed.

    Raises:
        NotFound: there is neither an upload nor a file of that name, or there no longer is.
    """
    return read_snapshot(services, ns, name).status


def read_snapshot(services: Services, ns: str, name: str) -> StatusSnapshot:
    """As `status`, with what it was told from."""
    file, slot, _ = services.upload_repository.get_name(ns, name)
    upload = services.upload_repository.get_upload(slot.upload_id) if slot is not None else None
    if upload is None or upload.record.state is UploadState.COMPLETE:
        if upload is not None and (file is None or file.upload_id != upload.record.upload_id):
            file = services.upload_repository.get_file(ns, name)  # completed between the two reads, or deleted since
        if file is None:
            raise NotFound
        return StatusSnapshot(_status_of_file(file, upload), file, slot)
    return snapshot_of(services, slot, upload, file)


def snapshot_of(
    services: Services, current_upload: CurrentUpload | None, upload: Upload, file: File | None
) -> StatusSnapshot:
    """At an upload that is not complete, as it was read, beside the name's file."""
    session = upload.record
    if session.state in _STATUS_OF_ENDED:
        return StatusSnapshot(
            _status_of_ended(
                upload, _STATUS_OF_ENDED[session.state], session.ended_at or upload.last_activity_at, file
            ),
            file,
            current_upload,
        )
    if is_expired(services, upload):
        return StatusSnapshot(
            _status_of_ended(upload, UploadStatus.EXPIRED, upload.expires_at, file), file, current_upload
        )
    if session.state is UploadState.COMPLETING or session.stored_object is not None:
        # Nobody begins to complete before everything is there; and the parts may be an object by now.
        everything = _status_in_progress(upload, _all_received(session.layout), session.layout.part_count, file)
        return StatusSnapshot(everything, file, current_upload, upload)
    parts = uploaded_parts(services, upload) if upload.has_presigned_parts else {}
    found = _status_in_progress(upload, compute_received(upload, parts), len(parts), file)
    return StatusSnapshot(found, file, current_upload, upload, parts if upload.has_presigned_parts else None)


def list_uploads(services: Services, ns: str, cursor: str | None, limit: int) -> Page[StatusReport]:
    """The namespace's uploads in progress.

    Names whose uploads have ended lie between them: a page is looked for over some reads of the ledger, and may then
    hold fewer than `limit`, or none, and still have a cursor.
    """
    from concurrent.futures import ThreadPoolExecutor

    found: list[StatusReport] = []
    for _ in range(_MAX_READS_PER_PAGE):
        page = services.upload_repository.list_open_uploads(ns, cursor, limit - len(found))
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            looks = pool.map(lambda slot: _status_if_in_progress(services, slot), page.items)
            found += [progress for progress in looks if progress is not None]
        cursor = page.cursor
        if cursor is None or len(found) >= limit:
            break
    return Page(found, cursor)


def _status_if_in_progress(services: Services, current_upload: CurrentUpload) -> StatusReport | None:
    """The status of the slot's upload, if it is in progress."""
    upload = services.upload_repository.get_upload(current_upload.upload_id)
    if upload is None or not upload.record.state.in_progress:
        return None
    progress = snapshot_of(
        services, current_upload, upload, services.upload_repository.get_file(current_upload.ns, current_upload.name)
    ).status
    if not progress.state.in_progress:
        return None
    return replace(progress, missing=progress.missing[:MAX_MISSING_RANGES_IN_LIST])


def _status_of_file(file: File, upload: Upload | None) -> StatusReport:
    """A finished file's status; its plan and beginning are those of the upload that made it, while that is known."""
    made_by = upload if upload is not None and upload.record.upload_id == file.upload_id else None
    grid = made_by.record.layout if made_by else None
    return StatusReport(
        filename=file.name,
        upload_id=file.upload_id,
        state=UploadStatus.COMPLETE,
        size=file.size,
        received_bytes=file.size,
        chunk_size=grid.chunk_size if grid else None,
        chunk_count=grid.chunk_count if grid else None,
        missing=(),
        created_at=made_by.record.created_at if made_by else file.uploaded_at,
        updated_at=file.uploaded_at,
        expires_at=None,
        version=max(file.uploaded_at, made_by.version if made_by else 0),
        etag=file.etag,
        crc32c=file.crc32c,
    )


def _status_in_progress(
    upload: Upload, received_ranges: ReceivedRanges, uploaded_part_count: int, file: File | None
) -> StatusReport:
    """An upload in progress; `landed` parts are in S3, which changes no row of the ledger but is news all the same."""
    session, grid = upload.record, upload.record.layout
    completing = session.state is UploadState.COMPLETING
    return StatusReport(
        filename=session.name,
        upload_id=session.upload_id,
        state=status_of_open(session.state, received_ranges.total_bytes),
        size=grid.size,
        received_bytes=received_ranges.total_bytes,
        chunk_size=grid.chunk_size,
        chunk_count=grid.chunk_count,
        missing=_first_missing_ranges(received_ranges.chunks, grid.chunk_count),
        created_at=session.created_at,
        updated_at=upload.last_activity_at,
        expires_at=None if completing else upload.expires_at,
        version=upload.version + (uploaded_part_count if upload.has_presigned_parts else 0),
        crc32c=session.crc32c,
        current_file=file,
    )


def _status_of_ended(upload: Upload, state: UploadStatus, ended_at: int, file: File | None) -> StatusReport:
    """Not told from the stripes, which the clean-up takes away some time after the end."""
    session, grid = upload.record, upload.record.layout
    return StatusReport(
        filename=session.name,
        upload_id=session.upload_id,
        state=state,
        size=grid.size,
        received_bytes=0,
        chunk_size=grid.chunk_size,
        chunk_count=grid.chunk_count,
        missing=_first_missing_ranges([], grid.chunk_count),
        created_at=session.created_at,
        updated_at=ended_at,
        expires_at=ended_at if state is UploadStatus.EXPIRED else None,
        version=max(ended_at, upload.version),
        crc32c=session.crc32c,
        current_file=file,
    )


def _all_received(layout: ChunkLayout) -> ReceivedRanges:
    whole = [(1, layout.chunk_count)] if layout.chunk_count else []
    return ReceivedRanges(whole, [(1, layout.part_count)] if whole else [], layout.size)


def _first_missing_ranges(chunks: Sequence[Range], last: int) -> tuple[Range, ...]:
    """Up to `MAX_MISSING` of the ranges that are missing."""
    return tuple(gap for gap, _ in zip(missing_ranges(chunks, last), range(MAX_MISSING_RANGES), strict=False))
