"""The object store that holds the bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ferry.model.objects import ObjectSummary, StoredObject, StoredPart
from ferry.ports.types import Page


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A presigned request: the headers must be sent exactly as given."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The bytes that went, and whether nothing was left."""

    deleted_bytes: int
    done: bool


class ObjectStore(Protocol):
    """The bytes. Keys are opaque ASCII; uploads are CRC32C, FULL_OBJECT."""

    def create_multipart(self, key: str, *, content_type: str) -> str:
        """Begin a multipart upload, and return its id."""
        ...

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        """The part as the store took it. Raises `NoSuchMultipart`."""
        ...

    def list_parts(self, key: str, multipart_id: str, *, max_part_number: int) -> Mapping[int, StoredPart]:
        """All parts up to number `last`, by number: one call, and where more than 1,000 are there one for each 1,000
        numbers of the rest, at once. Raises `NoSuchMultipart`.
        """
        ...

    def list_parts_page(
        self, key: str, multipart_id: str, after_part_number: int
    ) -> tuple[Mapping[int, StoredPart], int | None]:
        """One page of them, after that number, and up to which it goes if that is not all. Raises `NoSuchMultipart`."""
        ...

    def complete_multipart(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[StoredPart],
        *,
        size: int,
        crc32c: int | None,
        deadline: int | None = None,
    ) -> StoredObject:
        """The object, but for its date. It is waited for `until` then (epoch ms), if given: it may take minutes.

        Raises `NoSuchMultipart`, `PartChanged`, `ChecksumRefused`; or `Unfinished`: the store is still at it.
        """
        ...

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Abort until the store no longer knows it: a part in flight can land after an abort. Several calls."""
        ...

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        """The object, but for its date."""
        ...

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        """The bytes (inclusive range), or None when there is no such object."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """The object with the date that the store tells everybody, or None when there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Idempotent."""
        ...

    def delete_prefix(self, prefix: str, *, deadline: int) -> DeleteResult:
        """Delete the objects under a prefix, beginning no page of 1,000 after `until` (epoch ms); two calls a page."""
        ...

    def list_multipart_uploads(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        """Multipart uploads under `o/`, or on `key` alone: (key, multipart id, initiated in epoch ms)."""
        ...

    def list_objects(self, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
        """Objects under a prefix, by key."""
        ...

    def list_prefixes(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        """What comes after the prefix, up to and with the next `/`: one for each, by name, whole keys."""
        ...

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, ttl_seconds: int
    ) -> PresignedRequest:
        """A PUT of that part, that length and, when given, that CRC; `lifetime` in seconds. No call."""
        ...

    def presign_get(self, key: str, *, content_type: str, disposition: str, ttl_seconds: int) -> str:
        """A GET whose answer has these headers. No call."""
        ...
