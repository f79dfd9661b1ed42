"""Objects and parts, as the object store reports them."""

from __future__ import annotations

from dataclasses import dataclass

FILE_CACHE_CONTROL = "private, no-cache, no-transform"
"""`Cache-Control` of a file's bytes, from the API and from the object store: private caches must revalidate."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored object."""

    etag: str
    """The ETag, in double quotes."""

    size: int
    """Size in bytes."""

    crc32c: int | None
    """CRC32C of the whole object; None if the store did not report one."""

    last_modified_seconds: int | None = None
    """`Last-Modified` in epoch seconds; None in responses to writes, which do not report it."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a multipart upload."""

    number: int
    """The part number, from 1."""

    etag: str
    """The ETag, in double quotes."""

    size: int
    """Size in bytes."""

    crc32c: int | None
    """CRC32C of the part; None if the store did not report one."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object in a listing."""

    key: str
    """The whole key."""

    size: int
    """Size in bytes."""

    modified_at: int
    """When it was stored, in epoch milliseconds. An object made from parts: when its multipart upload was created."""
