"""Finished files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_CONTENT_TYPE = "application/octet-stream"
"""Media type of a file whose client sent none."""


class IfExists(StrEnum):
    """What to do when a name has a file already. The most careful choice is the first."""

    FAIL = "fail"
    """Reject the request."""

    RENAME = "rename"
    """Take the next free name."""

    REPLACE = "replace"
    """Replace the file."""

    @classmethod
    def most_careful(cls, *choices: IfExists) -> IfExists:
        """Return the choice that holds where requests about one upload differ."""
        return min(choices, key=list(cls).index)


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
    """Size in bytes."""

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
    """`Last-Modified` in epoch seconds. It never goes back under one name (docs/decisions/0009 and 0011)."""

    object_date_seconds: int | None
    """`Last-Modified` that S3 has for the object, in epoch seconds; None if it is not known.

    Where it is not `last_modified_seconds`, S3 would evaluate a date differently than Ferry (docs/decisions/0011).
    """

    counted_in_quota: bool = field(default=False, compare=False)
    """Whether its bytes are in the usage of its namespace (docs/decisions/0004)."""

    revision: int = 1
    """Counts the changes of the record: 1 for a new file, 1 more with each change of it."""

    moved_from: str | None = None
    """The name that it had before its last move; None if that was no move. It recognizes a repeated request."""

    restored_by: str | None = None
    """A digest of the request that restored it; None unless it was restored. It recognizes a repeated request."""

    @property
    def counted_bytes(self) -> int:
        """Return the bytes that it has in the usage of its namespace."""
        return self.size if self.counted_in_quota else 0

    @property
    def record_etag(self) -> str:
        """The strong entity tag of the record. It changes with the content and with every change of the record."""
        return f'"r.{self.upload_id}.{self.revision}"'


@dataclass(frozen=True, slots=True)
class CompletionEvent:
    """The completion of a file that one request stored whole. Its object's row holds it until it is published."""

    file: File
    """The file as it was committed."""

    replaced_upload_id: str | None
    """The upload of the file that it replaced; None if there was none."""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """The row of an object."""

    owner: tuple[str, str] | None
    """Namespace and name of its file; None if they are not known."""

    pending_event: CompletionEvent | None = None
    """The completion that is still to be published; None for none."""

    delete_at: int | None = None
    """When the object is deleted because its file was replaced or deleted, in epoch milliseconds; None otherwise."""

    deleted_at: int | None = None
    """When the file was replaced or deleted, in epoch milliseconds: it names the row of the deleted file."""


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A file that was deleted or replaced, and can be restored (docs/decisions/0011)."""

    file: File
    """The file as it was."""

    deleted_at: int
    """When its name lost it, in epoch milliseconds."""

    restorable_until: int
    """When it can no longer be restored and its object is deleted, in epoch milliseconds."""
