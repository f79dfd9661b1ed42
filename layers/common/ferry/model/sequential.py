"""The state of a sequential upload, whose bytes are appended at an offset (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_PIECES = 16
"""Pieces of the current part at which the last ones are joined."""


class Protocol(StrEnum):
    """The protocol that an upload was created by. Only that one continues it."""

    TUS = "tus"
    """tus 1.0.0."""

    DRAFT = "draft"
    """The IETF draft "Resumable Uploads for HTTP"."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive bytes of the current part, stored as an object of their own that never changes."""

    piece_id: str
    """Random; names the object."""

    size: int
    """Size in bytes, at least 1."""

    crc32c: int
    """CRC32C of the bytes."""


@dataclass(frozen=True, slots=True)
class PartClaim:
    """The right to upload the current part and to move the offset, for requests with one body."""

    offset: int
    """Where the body begins."""

    digest: bytes
    """The first 16 bytes of the SHA-256 of the body."""

    expires_at: int
    """When it ends, in epoch milliseconds: the request that made it cannot run longer."""


@dataclass(frozen=True, slots=True)
class LastAppend:
    """The append that ended the upload. The same request, repeated, gets the same success."""

    offset: int
    """Where it began."""

    digest: bytes
    """The first 16 bytes of the SHA-256 of its body."""


@dataclass(frozen=True, slots=True)
class Source:
    """A partial upload whose bytes a final upload consists of."""

    upload_id: str
    """The partial upload."""

    size: int
    """Its size in bytes."""

    crc32c: int
    """CRC32C of its bytes."""


@dataclass(frozen=True, slots=True)
class SequentialState:
    """What a sequential upload has beyond other uploads."""

    protocol: Protocol
    """The protocol that it was created by."""

    last_activity_at: int
    """When bytes were appended last, in epoch milliseconds; at first the time of the creation."""

    offset: int = 0
    """Bytes that are durable, from the beginning."""

    crc32c: int | None = None
    """CRC32C of the durable bytes, which the object must have; None: unknown, created by an earlier version."""

    length: int | None = None
    """Declared size of the whole file in bytes; None while it is not declared."""

    pieces: tuple[Piece, ...] = ()
    """The durable bytes behind the last complete part, in order."""

    claim: PartClaim | None = None
    """The claim of the request that uploads the current part; None without one."""

    last_append: LastAppend | None = None
    """The append that ended the upload; None before."""

    sources: tuple[Source, ...] = ()
    """The partial uploads of a final upload, in order; empty for all others."""

    is_partial: bool = False
    """Whether it is a partial upload, which never becomes a file."""

    is_forgotten: bool = False
    """Whether the client deleted the complete upload. Its file stays."""

    echoed_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the creation that a HEAD returns as they were sent, by name in lower case."""

    @property
    def has_all_bytes(self) -> bool:
        """Return whether the last append, or the creation of a final upload, has been recorded."""
        return self.last_append is not None or bool(self.sources)
