"""Response bodies that describe finished files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ferry.http.json_values import Crc32c, Timestamp
from ferry.http.responses.members import Count, Crc32cValue, Time
from ferry.model.files import File


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChecksum:
    """The checksum of a whole file."""

    algorithm: Literal["crc32c"] = "crc32c"
    """Always `crc32c`."""
    value: Crc32cValue
    """Base64 of the four bytes of the CRC32C, big-endian."""

    @classmethod
    def from_crc32c(cls, crc32c: int) -> FileChecksum:
        return cls(value=Crc32c(crc32c))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBody:
    """A finished file."""

    filename: str
    """The name of the file."""
    upload_id: str
    """The upload that made the file."""
    size: Count
    """Bytes."""
    etag: str
    """The entity tag as the `ETag` header has it, quotes included."""
    content_type: str
    """The media type that `start` set."""
    checksum: FileChecksum
    """The CRC32C of the whole file."""
    uploaded_at: Time
    """When the upload was completed."""
    metadata: Mapping[str, str]
    """The metadata that `start` set."""
    state: Literal["complete"] = "complete"
    """Always `complete`."""

    @classmethod
    def from_file(cls, file: File) -> FileBody:
        return cls(**file_members(file))


def file_members(file: File) -> dict[str, Any]:
    """Return the members of `FileBody`, which other bodies have too."""
    return {
        "filename": file.name,
        "upload_id": file.upload_id,
        "size": file.size,
        "etag": file.etag,
        "content_type": file.content_type,
        "checksum": FileChecksum.from_crc32c(file.crc32c),
        "uploaded_at": Timestamp(file.uploaded_at),
        "metadata": dict(file.metadata),
    }
