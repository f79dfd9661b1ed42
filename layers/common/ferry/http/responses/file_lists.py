"""The response bodies of listings of files: pages, each with the cursor of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ferry.files.list import FileListing
from ferry.http.json_values import OMIT_NONE
from ferry.http.responses.files import FileBody


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
