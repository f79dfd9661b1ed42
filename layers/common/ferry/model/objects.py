"""Objects and parts, as the object store reports them."""

from __future__ import annotations

from dataclasses import dataclass

FILE_CACHE_CONTROL = "private, no-cache, no-transform"
"""`Cache-Control` of a file's bytes, from the API and from the object store: private caches must revalidate."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored object."""

    etag: str
    """In double quotes."""

    size: int
    """Bytes."""

    crc32c: int | None
    """CRC32C of the whole object; None if the store did not report one."""

    last_modified_seconds: int | None = None
    """Epoch seconds; None in responses to writes, which do not report it."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a multipart upload."""

    number: int
    """Counts from 1."""

    etag: str
    """In double quotes."""

    size: int
    """Bytes."""

    crc32c: int | None
    """CRC32C of the part; None if the store did not report one."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object in a listing."""

    key: str
    """The whole key."""

    size: int
    """Bytes."""

    modified_at: int
    """Epoch milliseconds. For an object made from parts: when its multipart upload was created."""
