"""Finished files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class File:
    """A finished file: the current content of a name."""

    ns: str
    """The namespace."""

    name: str
    """The filename, in Unicode normal form C."""

    upload_id: str
    """The upload that created it; also names its object (`object_key`)."""

    size: int
    """Bytes."""

    etag: str
    """The object's ETag in S3, in double quotes; a strong entity tag."""

    crc32c: int
    """CRC32C of all bytes."""

    content_type: str
    """Given by the client at start."""

    metadata: Mapping[str, str]
    """Given by the client at start; not validated beyond its size."""

    fingerprint: str | None
    """Given by the client at start to recognize the same source file; None if it was not."""

    uploaded_at: int
    """When the file became current, in epoch milliseconds."""

    last_modified_seconds: int
    """`Last-Modified` of the object in S3, in epoch seconds (docs/decisions/0009)."""

    counted_in_quota: bool = field(default=False, compare=False)
    """Whether its bytes are in the usage of its namespace (docs/decisions/0004)."""


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A deleted file whose deletion event is pending."""

    file: File
    """The file as it was."""

    deleted_at: int
    """Epoch milliseconds."""
