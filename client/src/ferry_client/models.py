"""The service's responses, as typed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferry_client.errors import unreadable_error
from ferry_client.members import (
    JsonObject,
    decimal,
    header_value,
    integer,
    nested,
    optional_crc32c,
    optional_integer,
    optional_text,
    ranges,
    text,
    text_map,
    url,
)

IfExists = Literal["fail", "replace", "rename", "skip"]
"""What to do where the name has a file: `fail` raises, `skip` leaves it and sends nothing."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A finished file."""

    name: str
    """The whole name."""
    size: int
    """Bytes."""
    etag: str
    """Strong entity tag of the content, in double quotes."""
    content_type: str
    """Its type."""
    crc32c: int | None
    """CRC32C of all bytes; None if the service does not know it."""
    uploaded_at: str
    """When it became current (RFC 3339)."""
    metadata: Mapping[str, str]
    """What the sender stored with it."""
    upload_id: str = ""
    """The upload that made it."""
    deleted_at: str | None = None
    """When it was deleted or replaced; None for a current file."""
    restorable_until: str | None = None
    """Until when it can be restored; None for a current file."""

    @classmethod
    def from_json(cls, body: JsonObject) -> FileRecord:
        """Return the record of a response. Raises `ResponseError` if it is none."""
        return cls(
            name=text(body, "filename"),
            size=integer(body, "size"),
            etag=header_value(body, "etag"),
            content_type=text(body, "content_type", "application/octet-stream"),
            crc32c=optional_crc32c(body, "checksum"),
            uploaded_at=text(body, "uploaded_at", ""),
            metadata=text_map(body, "metadata"),
            upload_id=text(body, "upload_id", ""),
            deleted_at=optional_text(body, "deleted_at"),
            restorable_until=optional_text(body, "restorable_until"),
        )


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing."""

    files: Sequence[FileRecord]
    """Files, ordered by the UTF-8 bytes of their names."""
    prefixes: Sequence[str]
    """Folders, each ends with `/`; only with a delimiter."""
    cursor: str | None
    """Continues the listing; None on the last page."""


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """The state of an upload, or of a finished file."""

    name: str
    """The name that the file gets, or has."""
    upload_id: str
    """The upload."""
    state: str
    """`pending` (nothing received), `partial`, `completing`, `complete`, `expired` or `cancelled`."""
    size: int | None
    """Bytes of the file; None for a stream whose end is not known yet."""
    received_bytes: int
    """Bytes received."""
    percent: float | None
    """Share of the bytes received; None while the size is unknown."""
    created_at: str
    """When the upload began (RFC 3339)."""
    updated_at: str
    """When it was last active (RFC 3339)."""
    expires_at: str | None
    """When it expires without further activity (RFC 3339); None for a finished file."""
    members: Mapping[str, object] = field(repr=False)
    """The whole response, with the members of the service's document that have no field here."""

    @classmethod
    def from_json(cls, body: JsonObject) -> UploadStatus:
        """Return the status of a response. Raises `ResponseError` if it is none."""
        return cls(
            name=text(body, "filename"),
            upload_id=text(body, "upload_id"),
            state=text(body, "state"),
            size=optional_integer(body, "size"),
            received_bytes=integer(body, "received_bytes"),
            percent=None if body.get("percent") is None else decimal(body, "percent"),
            created_at=text(body, "created_at", ""),
            updated_at=text(body, "updated_at", ""),
            expires_at=optional_text(body, "expires_at"),
            members=dict(body),
        )


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """How the service divides an upload, and what it has received."""

    upload_id: str
    """The upload."""
    name: str
    """The name that the file gets."""
    size: int
    """Bytes of the file."""
    chunk_url: str
    """Absolute URL for chunks."""
    chunk_size: int
    """Bytes of each chunk but the last."""
    chunk_count: int
    """Chunks of the file."""
    part_size: int
    """Bytes of each part but the last."""
    part_count: int
    """Parts of the file."""
    received_chunks: Sequence[tuple[int, int]]
    """Received chunks, as ranges of indexes from 1, both ends included."""
    received_parts: Sequence[tuple[int, int]]
    """Parts received straight by S3, as ranges of numbers from 1, both ends included."""
    received_bytes: int
    """Bytes received."""

    @classmethod
    def from_json(cls, body: JsonObject) -> UploadPlan:
        """Return the plan of a response of `POST /upload/start`. Raises `ResponseError` if it is none."""
        received = nested(body, "received")
        plan = cls(
            upload_id=text(body, "upload_id"),
            name=text(body, "filename"),
            size=integer(body, "size"),
            chunk_url=url(body, "chunk_url"),
            chunk_size=integer(body, "chunk_size"),
            chunk_count=integer(body, "chunk_count"),
            part_size=integer(body, "part_size"),
            part_count=integer(body, "part_count"),
            received_chunks=ranges(received, "chunks"),
            received_parts=ranges(received, "parts"),
            received_bytes=integer(body, "received_bytes"),
        )
        if not plan._is_consistent():
            raise unreadable_error("its chunks and parts do not make the file")
        return plan

    def _is_consistent(self) -> bool:
        """Return whether chunks and parts divide the file as the service's document says."""
        if not self.size:
            return not self.chunk_count and not self.part_count
        return (
            self.chunk_size > 0
            and self.part_size > 0
            and self.part_size % self.chunk_size == 0
            and self.chunk_count == -(-self.size // self.chunk_size)
            and self.part_count == -(-self.size // self.part_size)
            and self.received_bytes <= self.size
        )

    def chunk_range(self, index: int) -> tuple[int, int]:
        """Return the first byte and the length of a chunk."""
        first = (index - 1) * self.chunk_size
        return first, min(self.chunk_size, self.size - first)

    def chunks_of_part(self, number: int) -> range:
        """Return the indexes of the chunks of a part."""
        chunks_per_part = self.part_size // self.chunk_size
        first = (number - 1) * chunks_per_part + 1
        return range(first, min(first + chunks_per_part, self.chunk_count + 1))

    def part_for_chunk(self, index: int) -> int:
        """Return the number of the part that a chunk belongs to."""
        return (index - 1) // (self.part_size // self.chunk_size) + 1

    def part_range(self, number: int) -> tuple[int, int]:
        """Return the first byte and the length of a part."""
        first = (number - 1) * self.part_size
        return first, min(self.part_size, self.size - first)

    def missing_parts(self) -> list[int]:
        """Return the numbers of the parts that are neither in S3 nor complete from chunks."""
        chunks_per_part = self.part_size // self.chunk_size if self.chunk_size else 0
        chunks, parts = _expand(self.received_chunks), _expand(self.received_parts)
        missing = []
        for number in range(1, self.part_count + 1):
            first = (number - 1) * chunks_per_part + 1
            last = min(number * chunks_per_part, self.chunk_count)
            if number not in parts and not all(index in chunks for index in range(first, last + 1)):
                missing.append(number)
        return missing

    def partial_parts(self) -> list[int]:
        """Return the numbers of the missing parts that have received chunks."""
        chunks = _expand(self.received_chunks)
        return [number for number in self.missing_parts() if any(i in chunks for i in self.chunks_of_part(number))]

    def missing_chunks(self) -> list[int]:
        """Return the indexes of the chunks that the service lacks: they are in no received part either."""
        chunks_per_part = self.part_size // self.chunk_size if self.chunk_size else 1
        chunks, parts = _expand(self.received_chunks), _expand(self.received_parts)
        return [
            index
            for index in range(1, self.chunk_count + 1)
            if index not in chunks and (index - 1) // chunks_per_part + 1 not in parts
        ]


@dataclass(frozen=True, slots=True)
class UploadResult:
    """A finished upload."""

    file: FileRecord | None
    """The file; None where it was skipped because the name is taken."""
    sent_bytes: int
    """Bytes that this call sent, repeated ones included."""
    resumed_bytes: int
    """Bytes that an earlier call had sent."""
    skipped: bool = False
    """Whether the name had a file and `if_exists` was `skip`."""


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """A finished download."""

    file: FileRecord
    """The file; its metadata is empty where the service sends none with downloads."""
    received_bytes: int
    """Bytes that this call received."""
    resumed_bytes: int
    """Bytes that an earlier call had received."""


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """The state of a transfer, as its callback receives it."""

    name: str
    """The file."""
    done_bytes: int
    """Bytes that are durable: acknowledged by the service, or written to the local disk."""
    total_bytes: int
    """Bytes of the file; 0 while they are unknown."""


def _expand(ranges: Sequence[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}
