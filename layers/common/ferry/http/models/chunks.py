"""The body of a chunk in JSON."""

from __future__ import annotations

from ferry.http.models.body import Body, Checksum, OptionalUploadId


class ChunkBody(Body):
    """A chunk, with its bytes in base64."""

    filename: str
    """The name of the file."""
    chunk_index: int
    """The index of the chunk, from 1."""
    data: str
    """The bytes in base64 (RFC 4648 section 4): padded, without line breaks."""
    checksum: Checksum | None = None
    """A checksum of the bytes, which is verified before anything is stored."""
    upload_id: OptionalUploadId = None
    """The upload; the current upload of the name by default."""
