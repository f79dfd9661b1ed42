"""The JSON bodies of requests that move, restore and delete finished files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferry.http.models.body import Body, IfExists, OptionalEntityTag, OptionalUploadId

MAX_DELETED_NAMES = 100
"""Names in one request to delete files."""


class MoveBody(Body):
    """The file to move."""

    from_: Annotated[str, Field(alias="from")]
    """The name that the file has."""
    to: str
    """The name that it gets."""
    if_exists: Literal["fail", "replace"] | None = None
    """What to do when a file of the new name exists: `fail` by default; with `to_etag`, `replace`."""
    etag: OptionalEntityTag = None
    """The only file to move, by the entity tag of its content or of its record, quotes included. A request that is
    repeated with it gets the same success."""
    to_etag: OptionalEntityTag = None
    """The only file to replace, by the entity tag of its content or of its record, quotes included."""


class RestoreBody(Body):
    """The file to restore."""

    filename: str
    """The name that was deleted, or whose file was replaced."""
    upload_id: OptionalUploadId = None
    """The upload that made the file; by default the last file that the name lost."""
    to: str | None = None
    """The name that the file gets; by default the one that it had."""
    if_exists: IfExists = "fail"
    """What to do when a file of that name exists: reject the request, replace the file, or take the next free name,
    `name (2).ext` and so on."""


class DeleteEntryBody(Body):
    """A file to delete."""

    filename: str
    """The name of the file."""
    etag: OptionalEntityTag = None
    """The only file to delete, by the entity tag of its content or of its record, quotes included."""


class DeleteFilesBody(Body):
    """The files to delete."""

    filenames: Annotated[list[str | DeleteEntryBody], Field(min_length=1, max_length=MAX_DELETED_NAMES)]
    """The names, or objects with a name and an entity tag; at most 100."""
