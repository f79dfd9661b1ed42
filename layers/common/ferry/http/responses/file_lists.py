"""The response bodies of listings of files: pages, each with the cursor of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ferry.files.list import FileListing
from ferry.files.list_deleted import DeletedListing
from ferry.http.json_values import OMIT_NONE, Timestamp
from ferry.http.responses.files import FileBody, file_members
from ferry.http.responses.members import Time
from ferry.model.files import DeletedFile


@dataclass(frozen=True, slots=True)
class FileList:
    """A page of finished files and of folders, ordered by name across both."""

    files: Sequence[FileBody]
    """The files of this page."""
    prefixes: Sequence[str] = ()
    """With `delimiter`: the folders of this page, each as the beginning that its names share, up to its `/`."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next page begins; absent on the last page."""

    @classmethod
    def from_listing(cls, listing: FileListing) -> FileList:
        return cls([FileBody.from_file(file) for file in listing.files], listing.prefixes, listing.cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedFileBody(FileBody):
    """A file that was deleted or replaced, and can be restored."""

    deleted_at: Time
    """When its name lost it."""
    restorable_until: Time
    """Until when it can be restored."""

    @classmethod
    def from_deleted_file(cls, deleted_file: DeletedFile) -> DeletedFileBody:
        return cls(
            **file_members(deleted_file.file),
            deleted_at=Timestamp(deleted_file.deleted_at),
            restorable_until=Timestamp(deleted_file.restorable_until),
        )


@dataclass(frozen=True, slots=True)
class DeletedFileList:
    """A page of files that can be restored: by name, and within a name the last deleted first."""

    files: Sequence[DeletedFileBody]
    """The files of this page."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next page begins; absent on the last page."""

    @classmethod
    def from_listing(cls, listing: DeletedListing) -> DeletedFileList:
        return cls([DeletedFileBody.from_deleted_file(each) for each in listing.files], listing.cursor)
