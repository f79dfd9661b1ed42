"""Where a request to `/uploads` comes in: with the token of a client or of a link, or below the address of a link."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ferry.errors import InvalidField
from ferry.http.request import Request
from ferry.model.files import IfExists
from ferry.model.uploads import Upload, UploadState
from ferry.resumable.lookup import shown_offset
from ferry.rules.filenames import normalize_filename

_LINK_SECRET = re.compile(r"/l/[A-Za-z0-9_-]{43}(?=/)")
_LINK_PLACEHOLDER = "/l/{secret}"
"""Stands for the address of a link, whose secret is stored nowhere."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an address of `/uploads` means: whose uploads, and which names."""

    ns: str
    """The namespace of the uploads."""

    location_base: str
    """The URL of creations, which those of uploads begin with."""

    link_prefix: str | None = None
    """The folder of the link that the request comes by; None: it comes with a client's token."""

    has_relative_names: bool = False
    """Whether names are relative to the folder of the link."""

    check_name: Callable[[str], None] = lambda _: None
    """Raises an error for a name that the link does not include."""

    @property
    def repeats_files(self) -> bool:
        """Return whether the response to a creation with all bytes of an existing file is that file."""
        return self.link_prefix is None

    @property
    def unnamed_folder(self) -> str:
        """Return the folder of uploads that are created without a name."""
        return self.link_prefix or ""

    def whole_name(self, name: str | None) -> str | None:
        """Return the whole name of a requested one; None for none. Raises `InvalidFilename`, `FileNotFound`."""
        if name is None:
            return None
        name = normalize_filename(name)
        if self.has_relative_names:
            name = normalize_filename(f"{self.link_prefix or ''}{name}")
        self.check_name(name)
        return name

    def if_exists(self, request: Request) -> IfExists:
        """Return `?if_exists=`; `rename` without it, and by a link, where `replace` is an `InvalidField`."""
        value = request.query.get("if_exists", IfExists.RENAME.value)
        try:
            chosen = IfExists(value)
        except ValueError as error:
            raise InvalidField.for_member("if_exists", "must be fail, replace or rename") from error
        if self.link_prefix is None:
            return chosen
        # Imported here: requests by a link have loaded it, those of clients do without.
        from ferry.links.uploads import choose_rename

        return choose_rename(chosen)

    def location(self, upload_id: str) -> dict[str, str]:
        """Return the header with the URL of an upload."""
        return {"Location": f"{self.location_base}/{upload_id}"}

    def upload_headers(self, upload: Upload) -> dict[str, str]:
        """Return the headers of every response about an upload: where it continues, and the file's name.

        A final upload has no offset header until its file is committed. Its bytes are all there, and a client of tus
        takes an offset that equals the length for the end.
        """
        state = upload.record.sequential
        name = {} if upload.record.is_partial else self.name_header(upload.record.owner[1])
        if state is not None and state.sources and upload.record.state is not UploadState.COMPLETE:
            return name
        return {"Upload-Offset": str(shown_offset(upload)), **name}

    def name_header(self, name: str | None) -> dict[str, str]:
        """Return the header with the name of a file, as percent-encoded UTF-8; its `/` stay. None: no header."""
        if name is None:
            return {}
        if self.has_relative_names and self.link_prefix is not None:
            name = name.removeprefix(self.link_prefix)
        return {"Ferry-Filename": quote(name, safe="/")}

    def echoed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return stored headers of the creation as they were sent."""
        link = self.location_base.removesuffix("/uploads") if self.has_relative_names else ""
        return {name: value.replace(_LINK_PLACEHOLDER, link[link.rfind("/l/") :]) for name, value in headers.items()}


def without_secrets(header: str) -> str:
    """Return a header with URLs without the secrets of links, which are stored nowhere."""
    return _LINK_SECRET.sub(_LINK_PLACEHOLDER, header)
