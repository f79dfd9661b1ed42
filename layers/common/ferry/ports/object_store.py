"""The object store that holds the bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.objects import ObjectSummary, StoredObject, StoredPart
    from ferry.ports.types import Page


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A request that a client may send to the object store without credentials."""

    url: str
    """The signed URL."""

    headers: Mapping[str, str]
    """Headers that the client must send with exactly these values."""

    expires_at: int
    """When the object store stops accepting it, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The result of a deletion that may have stopped at its deadline."""

    deleted_bytes: int
    """Bytes of the deleted objects."""

    done: bool
    """Whether nothing is left to delete."""


class ObjectStore(Protocol):
    """Stores objects under opaque ASCII keys. Multipart uploads have a CRC32C over the full object."""

    def create_multipart(self, key: str, *, content_type: str) -> str:
        """Create a multipart upload and return its id."""
        ...

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        """Store a part; a part with the same number is replaced.

        Raises:
            MultipartUploadNotFound: the multipart upload does not exist.
        """
        ...

    def copy_part(
        self, key: str, multipart_id: str, number: int, source_key: str, *, first: int, last: int
    ) -> StoredPart | None:
        """Store a part made of bytes `first` to `last` (inclusive) of another object; None if that does not exist.

        Raises:
            MultipartUploadNotFound: the multipart upload does not exist.
        """
        ...

    def list_parts(self, key: str, multipart_id: str, *, max_part_number: int) -> Mapping[int, StoredPart]:
        """Return all parts up to `max_part_number`, by number.

        One call for up to 1,000 parts. If there are more: one further call, concurrently, for each 1,000 part numbers
        that remain.

        Raises:
            MultipartUploadNotFound: the multipart upload does not exist.
        """
        ...

    def list_parts_page(
        self, key: str, multipart_id: str, after_part_number: int
    ) -> tuple[Mapping[int, StoredPart], int | None]:
        """Return the parts after a part number, up to 1,000, and the last number of the page if more parts follow.

        Raises:
            MultipartUploadNotFound: the multipart upload does not exist.
        """
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
        """Make an object of the parts and return it without its date. S3 may take minutes.

        Args:
            key: the object's key.
            multipart_id: the multipart upload.
            parts: all parts, in order, from 1.
            size: the size of the object in bytes.
            crc32c: the expected CRC32C of the object; None: not checked.
            deadline: epoch milliseconds until which to wait for the response; None: as long as it takes.

        Raises:
            MultipartUploadNotFound: the multipart upload does not exist.
            PartChanged: a part is missing or different.
            StoreChecksumMismatch: the object would have another CRC32C.
            DeadlineExceeded: the store has not responded by the deadline, and may still complete.
        """
        ...

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Abort a multipart upload. Idempotent.

        Several calls: a part in flight can land after an abort, so aborts are repeated until the store no longer
        lists the multipart upload.
        """
        ...

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        """Store an object and return it without its date."""
        ...

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        """Return the bytes from `first` to `last`, both inclusive, or None if there is no such object."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """Return the object with its date, or None if there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object. Idempotent."""
        ...

    def delete_prefix(self, prefix: str, *, deadline: int) -> DeleteResult:
        """Delete all objects under a prefix. Two calls for each 1,000; none begins after `deadline` (epoch ms)."""
        ...

    def list_multipart_uploads(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        """Return multipart uploads of files' objects, or of one key: (key, multipart id, created at in epoch ms)."""
        ...

    def list_objects(self, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
        """Return objects under a prefix, ordered by key."""
        ...

    def list_prefixes(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        """Return the distinct key prefixes that continue `prefix` up to and including the next `/`, in order."""
        ...

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, ttl_seconds: int
    ) -> PresignedRequest:
        """Return a presigned PUT of a part with exactly this size and, unless None, this CRC32C. No call.

        It lives `ttl_seconds`, or shorter if the credentials that sign it expire earlier.
        """
        ...

    def presign_get(self, key: str, *, content_type: str, disposition: str, ttl_seconds: int) -> PresignedRequest:
        """Return a presigned GET whose response has these headers. No call. It lives as long as that of a part."""
        ...
