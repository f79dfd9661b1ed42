"""The body of a request for presigned parts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ferry.http.limits import MAX_SIGNED_PARTS
from ferry.http.models.body import Body, Checksum, OptionalUploadId


class PartBody(Body):
    """A part to presign."""

    part_number: int
    """The number of the part, from 1."""
    checksum: Checksum | None = None
    """The CRC32C of the part, which S3 then verifies."""


class PartsBody(Body):
    """The parts to presign."""

    filename: str
    """The name of the file."""
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MAX_SIGNED_PARTS)]
    """The parts, at most 100."""
    upload_id: OptionalUploadId = None
    """The upload; the current upload of the name by default."""
