"""The body of a completion."""

from __future__ import annotations

from ferry.http.models.body import Body, Checksum, IfExists, OptionalEntityTag, OptionalUploadId


class CompleteBody(Body):
    """The upload to complete."""

    filename: str
    """The name of the file."""
    upload_id: OptionalUploadId = None
    """The upload; the current upload of the name by default."""
    checksum: Checksum | None = None
    """The CRC32C of the whole file; overrides the one of `start`."""
    if_exists: IfExists | None = None
    """What to do when a file of that name exists; overrides the choice of `start`. Under `rename` the file gets the
    next free name, and `filename` of the response counts."""
    if_match: OptionalEntityTag = None
    """The only file to replace, by the entity tag of its content or of its record, quotes included."""
