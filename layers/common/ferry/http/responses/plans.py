"""Response bodies of `POST /upload/start`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferry.http.json_values import OMIT_NONE, Timestamp
from ferry.http.limits import MAX_SIGNED_PARTS
from ferry.http.responses.members import Count, Ranges, Time
from ferry.model.files import IfExists
from ferry.rules.durations import SECOND_MS
from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES, MAX_FILE_BYTES, MAX_PARTS, MIN_CHUNK_BYTES
from ferry.rules.metadata import MAX_METADATA_BYTES
from ferry.status.upload_status import UploadStatus, status_of_open

if TYPE_CHECKING:
    from ferry.model.uploads import Upload
    from ferry.services import Services
    from ferry.uploads.received import ReceivedRanges


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that a client can rely on."""

    chunk_size_min: Count
    """Bytes: the smallest `chunk_size`."""
    chunk_size_max: Count
    """Bytes: the largest `chunk_size`."""
    parts_max: Count
    """Parts of one upload."""
    file_size_max: Count
    """Bytes of a file that is sent straight to S3."""
    file_size_max_chunks: Count
    """Bytes of a file that is sent through the API, in chunks of the largest size."""
    parts_signed_max: Count
    """Parts in one request for presigned URLs."""
    metadata_bytes_max: Count
    """Bytes of `metadata`, names and values together."""
    session_idle_timeout: Count
    """Seconds without activity after which an upload expires (parameter `UploadIdleTimeoutSeconds`)."""
    session_max_age: Count
    """Seconds after its start at which an upload expires, active or not (parameter `UploadMaxAgeSeconds`)."""
    url_lifetime: Count
    """Seconds that a presigned URL works (parameter `PresignedUrlTtlSeconds`)."""

    @classmethod
    def from_services(cls, services: Services) -> Limits:
        return cls(
            chunk_size_min=MIN_CHUNK_BYTES,
            chunk_size_max=MAX_CHUNK_BYTES,
            parts_max=MAX_PARTS,
            file_size_max=MAX_FILE_BYTES,
            file_size_max_chunks=MAX_PARTS * MAX_ASSEMBLED_PART_BYTES,
            parts_signed_max=MAX_SIGNED_PARTS,
            metadata_bytes_max=MAX_METADATA_BYTES,
            session_idle_timeout=services.upload_idle_timeout_ms // SECOND_MS,
            session_max_age=services.upload_max_age_ms // SECOND_MS,
            url_lifetime=services.presigned_url_ttl_seconds,
        )


@dataclass(frozen=True, slots=True)
class Received:
    """What has arrived of an upload, by either path."""

    chunks: Ranges
    """Inclusive ranges of the chunks that have arrived, ascending from 1."""
    parts: Ranges
    """Inclusive ranges of the parts that are whole, ascending from 1."""


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """How the file is divided into chunks and parts, and what has arrived."""

    upload_id: str
    """The id of the upload."""
    filename: str
    """The name that the file will have."""
    size: Count
    """Bytes of the whole file."""
    state: UploadStatus
    """`pending`, `partial` or `completing`."""
    chunk_url: str
    """The absolute URL to send chunks to. `/upload/chunk` of the API takes them, too."""
    chunk_size: Count
    """Bytes of each chunk; the last one may be shorter."""
    chunk_count: Count
    """Chunks of the file; 0 for an empty file."""
    part_size: Count
    """Bytes of each part; the last one may be shorter."""
    part_count: Count
    """Parts of the file; 0 for an empty file."""
    chunks_per_part: Count
    """Chunks of each part; the last part may have fewer."""
    received: Received
    """What has arrived."""
    received_bytes: Count
    """Bytes that have arrived; each counts once."""
    expires_at: Time
    """When the upload expires unless it is continued."""
    limits: Limits
    """Limits of this service."""
    if_exists: IfExists
    """What the completion does with a file of that name, unless it says otherwise: the most careful choice of the
    starts."""
    content_type: str
    """The media type that the file will have, from the first start."""
    metadata: Mapping[str, str]
    """Names and values to be stored with the file, from the first start."""
    upload_id_required: bool | None = field(default=None, metadata=OMIT_NONE)
    """`true` if chunks, parts, completion and cancellation need the `upload_id`: `restart` has cancelled an upload that
    had received something. Absent otherwise."""

    @classmethod
    def from_upload(cls, upload: Upload, received: ReceivedRanges, limits: Limits, chunk_url: str) -> UploadPlan:
        record, layout = upload.record, upload.record.layout
        return cls(
            upload_id=record.upload_id,
            filename=record.name,
            size=layout.size,
            state=status_of_open(record.state, received.total_bytes),
            chunk_url=chunk_url,
            chunk_size=layout.chunk_size,
            chunk_count=layout.chunk_count,
            part_size=layout.part_size,
            part_count=layout.part_count,
            chunks_per_part=layout.chunks_per_part,
            received=Received(received.chunks, received.parts),
            received_bytes=received.total_bytes,
            expires_at=Timestamp(upload.expires_at),
            limits=limits,
            if_exists=record.if_exists,
            content_type=record.content_type,
            metadata=record.metadata,
            upload_id_required=record.upload_id_required or None,
        )
