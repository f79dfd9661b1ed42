"""Links: addresses by which people without an account download or upload files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import quote, urlencode

from ferry_client.api import Api
from ferry_client.errors import UsageError
from ferry_client.members import (
    JsonObject,
    boolean,
    integer,
    nested,
    objects,
    optional_integer,
    optional_text,
    parse_object,
    text,
)
from ferry_client.secret_text import SecretText
from ferry_client.transport import BytesBody

LinkKind = Literal["download", "upload"]
LinkState = Literal["active", "expired", "revoked", "used_up"]
LinkAction = Literal["download", "upload", "wrong_password", "locked"]


@dataclass(frozen=True, slots=True)
class LinkUse:
    """What is used of a link's limits."""

    downloads: int
    """Counted downloads; 0 where they are not limited."""
    files: int
    """Files that were uploaded, and uploads in progress."""
    bytes: int
    """Bytes of these files."""


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link."""

    link_id: str
    """Its id, which is no secret."""
    kind: LinkKind
    """What it is for."""
    filename: str | None
    """The one file of a download link; None for a folder."""
    prefix: str | None
    """The folder; None for one file."""
    label: str | None
    """What its owner calls it; those who open the link see it."""
    max_downloads: int | None
    """Downloads at most, of a download link; None: no limit."""
    max_files: int | None
    """Files at most, of an upload link; None for a download link."""
    max_bytes: int | None
    """Bytes at most, of an upload link; None for a download link."""
    has_password: bool
    """Whether it has a password."""
    used: LinkUse
    """What is used of its limits."""
    state: LinkState
    """Whether it works."""
    created_by: str
    """The client that created it."""
    created_at: str
    """When it was created (RFC 3339)."""
    expires_at: str
    """When it ends (RFC 3339)."""
    url: str | None = field(default=None, repr=False)
    """The address, a secret. Only `create_download` and `create_upload` return it, once."""

    @classmethod
    def from_json(cls, body: JsonObject) -> ShareLink:
        """Return the link of a response. Raises `ResponseError` if it is none."""
        used = nested(body, "used")
        return cls(
            link_id=text(body, "link_id"),
            kind=cast("LinkKind", text(body, "kind")),
            filename=optional_text(body, "filename"),
            prefix=optional_text(body, "prefix"),
            label=optional_text(body, "label"),
            max_downloads=optional_integer(body, "max_downloads"),
            max_files=optional_integer(body, "max_files"),
            max_bytes=optional_integer(body, "max_bytes"),
            has_password=boolean(body, "password"),
            used=LinkUse(integer(used, "downloads"), integer(used, "files"), integer(used, "bytes")),
            state=cast("LinkState", text(body, "state")),
            created_by=text(body, "created_by"),
            created_at=text(body, "created_at"),
            expires_at=text(body, "expires_at"),
            url=None if body.get("url") is None else SecretText(text(body, "url")),
        )


@dataclass(frozen=True, slots=True)
class LinkActivity:
    """What happened by a link."""

    at: str
    """When (RFC 3339)."""
    action: LinkAction
    """What: `locked` is a network that sent too many wrong passwords."""
    network: str
    """Where the request came from: an IPv4 /24 or an IPv6 /48."""
    filename: str | None = None
    """The file; None for passwords."""
    size: int | None = None
    """Bytes of the file; None for passwords."""
    is_approximate: bool = False
    """Whether the link records no downloads, because it does not limit them."""


class Links:
    """The links of one client. Thread-safe. It needs the scope `files:share`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create_download(
        self,
        *,
        filename: str | None = None,
        prefix: str | None = None,
        expires_in_seconds: int | None = None,
        max_downloads: int | None = None,
        unlimited_downloads: bool = False,
        password: str | None = None,
        label: str | None = None,
    ) -> ShareLink:
        """Create a link by which one file, or the files below a folder, are fetched. Each call creates another link.

        Args:
            filename: the file; or `prefix`.
            prefix: the folder, with `/` at its end; or `filename`.
            expires_in_seconds: how long it works, from a minute to 90 days; None: 7 days.
            max_downloads: downloads at most; None: the service's default.
            unlimited_downloads: whether downloads are not limited, and not counted.
            password: what those who open the link must enter, 8 to 256 bytes; None for none.
            label: what the link is called, up to 200 characters. Those who open it see the label.

        Raises:
            NotFoundError: there is no such file.
            AccessError: the client's scope does not suffice.
            NetworkError: there was no success, or the response was lost: then there may be a link whose address is
                unknown, which `list` shows.
            FerryError: see `ferry_client.errors` for the others.
        """
        if (filename is None) == (prefix is None):
            raise UsageError("A download link is for a file or for a folder: give either filename or prefix.")
        members: dict[str, object] = {"filename": filename, "prefix": prefix, "max_downloads": max_downloads}
        return self._create("download", members, expires_in_seconds, password, label, unlimited=unlimited_downloads)

    def create_upload(
        self,
        *,
        prefix: str | None = None,
        expires_in_seconds: int | None = None,
        max_files: int | None = None,
        max_bytes: int | None = None,
        password: str | None = None,
        label: str | None = None,
    ) -> ShareLink:
        """Create a link by which files are uploaded. Each call creates another link.

        Args:
            prefix: the folder that gets the files, with `/` at its end; None: one of the link's own.
            expires_in_seconds: how long it works, from a minute to 90 days; None: 7 days.
            max_files: files at most; None: the service's default.
            max_bytes: bytes at most; None: the service's default.
            password: what those who open the link must enter, 8 to 256 bytes; None for none.
            label: what the link is called, up to 200 characters. Those who open it see the label.

        Raises:
            AccessError: the client's scope does not suffice.
            NetworkError: there was no success, or the response was lost: then there may be a link whose address is
                unknown, which `list` shows.
            FerryError: see `ferry_client.errors` for the others.
        """
        members: dict[str, object] = {"prefix": prefix, "max_files": max_files, "max_bytes": max_bytes}
        return self._create("upload", members, expires_in_seconds, password, label)

    def get(self, link_id: str) -> ShareLink:
        """Return a link. Raises `NotFoundError` if no link has this id."""
        return ShareLink.from_json(self._api.get(f"/links/{quote(link_id, safe='')}"))

    def list(self) -> Iterator[ShareLink]:
        """Yield the links, the newest first; those that have ended for 90 days after their expiry, too."""
        for body in self._pages("/links"):
            yield from map(ShareLink.from_json, objects(body, "links"))

    def revoke(self, link_id: str) -> None:
        """End a link, within a minute. Raises `NotFoundError` if there is none."""
        self._api.request("DELETE", f"/links/{quote(link_id, safe='')}", accept=(204,))

    def activity(self, link_id: str) -> Iterator[LinkActivity]:
        """Yield what happened by a link in the last 90 days, the newest first. Raises `NotFoundError`."""
        for body in self._pages(f"/links/{quote(link_id, safe='')}/activity"):
            for entry in objects(body, "activity"):
                yield LinkActivity(
                    at=text(entry, "at"),
                    action=cast("LinkAction", text(entry, "action")),
                    network=text(entry, "network"),
                    filename=optional_text(entry, "filename"),
                    size=optional_integer(entry, "size"),
                    is_approximate=boolean(body, "approximate", default=False),
                )

    def _create(
        self,
        kind: str,
        members: dict[str, object],
        expires_in_seconds: int | None,
        password: str | None,
        label: str | None,
        *,
        unlimited: bool = False,
    ) -> ShareLink:
        """Create a link. A limit of None is left to the service; `unlimited` sends null."""
        members = {"kind": kind, **members, "expires_in": expires_in_seconds, "password": password, "label": label}
        given = {name: value for name, value in members.items() if value is not None}
        if unlimited:
            given["max_downloads"] = None
        headers = {"Content-Type": "application/json"}
        body = BytesBody(json.dumps(given).encode())
        response = self._api.request("POST", "/links", body=body, headers=headers, accept=(201,), is_repeatable=False)
        return ShareLink.from_json(parse_object(response.body))

    def _pages(self, path: str) -> Iterator[Mapping[str, object]]:
        cursor: str | None = None
        while True:
            query = {"limit": "1000", **({"cursor": cursor} if cursor else {})}
            body = self._api.get(f"{path}?{urlencode(query)}")
            yield body
            cursor = optional_text(body, "cursor")
            if cursor is None:
                return
