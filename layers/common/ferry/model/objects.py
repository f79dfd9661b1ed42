"""Objects and parts as S3 reports them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as S3 has it. `crc32c` and `modified` (epoch seconds) are None where the store did not say."""

    etag: str
    size: int
    crc32c: int | None
    last_modified_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a multipart upload as S3 lists it."""

    number: int
    etag: str
    size: int
    crc32c: int | None


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object in a listing: `modified` is when S3 made it, of a multipart upload when that began."""

    key: str
    size: int
    modified_at: int
