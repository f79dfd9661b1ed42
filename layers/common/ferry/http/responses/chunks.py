"""The response body of `POST /upload/chunk`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ferry.http.responses.members import Count, Ordinal

if TYPE_CHECKING:
    from ferry.uploads.chunk import ChunkAccepted


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """A chunk whose bytes are durable, and the progress of its upload."""

    filename: str
    """The name that the file will have."""
    upload_id: str
    """The id of the upload."""
    chunk_index: Ordinal
    """The chunk that was accepted."""
    received_bytes: Count
    """Bytes of the upload that have arrived; each counts once."""
    size: Count
    """Bytes of the whole file."""
    state: Literal["partial"] = "partial"
    """Always `partial`: the upload still has to be completed."""

    @classmethod
    def from_accepted(cls, name: str, accepted: ChunkAccepted) -> ChunkProgress:
        return cls(name, accepted.upload_id, accepted.chunk_index, accepted.received_bytes, accepted.size)
