"""A finished file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class File:
    """A finished file: what the pointer of a name points to, since `uploaded_at`.

    `last_modified` (epoch seconds) is the date that S3 gives its object (docs/decisions/0009).
    """

    ns: str
    name: str
    upload_id: str
    size: int
    etag: str
    crc32c: int
    content_type: str
    metadata: Mapping[str, str]
    fingerprint: str | None
    uploaded_at: int
    last_modified_seconds: int
    counted_in_quota: bool = field(default=False, compare=False)
    """Whether its bytes are in its namespace's quota: no part of what it is."""


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A file that was deleted, as it was, and when."""

    file: File
    deleted_at: int
