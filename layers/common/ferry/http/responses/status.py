"""Response bodies of the status routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ferry.http.json_values import OMIT_NONE, JsonSchema, Timestamp
from ferry.http.responses.files import FileBody, FileChecksum
from ferry.http.responses.members import Count, Ranges, Time
from ferry.status.snapshot import StatusReport
from ferry.status.upload_status import UploadStatus


@dataclass(frozen=True, slots=True)
class StatusBody:
    """How far the newest upload of a name is; once it is complete, the status of the file."""

    filename: str
    """The name of the file."""
    upload_id: str
    """The upload that this is the status of."""
    state: UploadStatus
    """The state of the upload."""
    size: Count | None
    """Bytes of the whole file; `null` while an upload from `/uploads` has not declared them."""
    received_bytes: Count
    """Bytes that have arrived; each counts once."""
    percent: Annotated[float | None, JsonSchema(minimum=0, maximum=100)]
    """`received_bytes` of `size` with one decimal, rounded down; `null` while the size is not known."""
    chunk_size: Count | None
    """Bytes of each chunk; `null` where only the file is left."""
    chunk_count: Count | None
    """Chunks of the file; `null` where only the file is left."""
    missing: Ranges
    """Inclusive ranges of the missing chunks, ascending from 1; parts sent straight to S3 count as their chunks."""
    next_offset: Count
    """Position of the first missing byte; the size when no byte is missing."""
    created_at: Time
    """When the upload began."""
    updated_at: Time
    """When the upload last changed."""
    expires_at: Time | None
    """When the upload expires or expired; `null` where it does not."""
    version: int
    """A number that grows with every change; `since` takes it."""
    etag: str | None = field(default=None, metadata=OMIT_NONE)
    """The entity tag of the finished file, quotes included; absent until there is one."""
    checksum: FileChecksum | None = field(default=None, metadata=OMIT_NONE)
    """The CRC32C of the whole file; absent while it is unknown."""
    current_file: FileBody | None = field(default=None, metadata=OMIT_NONE)
    """The finished file of the same name, beside an upload that is to replace it."""

    @classmethod
    def from_report(cls, report: StatusReport) -> StatusBody:
        return cls(
            filename=report.filename,
            upload_id=report.upload_id,
            state=report.state,
            size=report.size,
            received_bytes=report.received_bytes,
            percent=report.percent,
            chunk_size=report.chunk_size,
            chunk_count=report.chunk_count,
            missing=report.missing,
            next_offset=report.next_offset,
            created_at=Timestamp(report.created_at),
            updated_at=Timestamp(report.updated_at),
            expires_at=None if report.expires_at is None else Timestamp(report.expires_at),
            version=report.version,
            etag=report.etag,
            checksum=None if report.crc32c is None else FileChecksum.from_crc32c(report.crc32c),
            current_file=None if report.current_file is None else FileBody.from_file(report.current_file),
        )
