"""The bodies that describe a file: a patch of its record, and its metadata in a header."""

from __future__ import annotations

from typing import ClassVar

from ferry.http.models.body import Body
from ferry.http.models.members import MediaType, Metadata


class MetadataBody(Body):
    """The value of the header Ferry-Metadata, as a member of its own."""

    metadata: Metadata
    """Names and values to store with the file."""


class FilePatchBody(Body):
    """What to change of a file's record, as a merge patch (RFC 7396)."""

    media_type: ClassVar[str] = "application/merge-patch+json"
    """The Content-Type of a merge patch."""

    content_type: MediaType | None = None
    """The new media type; `null` for `application/octet-stream`."""
    metadata: dict[str, str | None] | None = None
    """Values to set by their names; a name whose value is `null` is removed. `null` removes all names."""
