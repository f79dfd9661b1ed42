"""The response bodies of links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ferry.auth.link_tokens import LinkToken
from ferry.http.json_values import OMIT_NONE, Timestamp
from ferry.http.responses.members import Count, Time, Url
from ferry.links.lookup import LinkStatus
from ferry.model.links import Activity, ActivityAction, Link, LinkKind, LinkState, LinkUsage
from ferry.ports.types import Page


@dataclass(frozen=True, slots=True)
class LinkUsed:
    """What is used of a link's limits. Downloads without a limit are not counted."""

    downloads: Count
    """Counted downloads."""
    files: Count
    """Files that were put there, and uploads in progress."""
    bytes: Count
    """Bytes of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLinkBody:
    """A link to read one file, or the files of a folder."""

    link_id: str
    """Its id. The secret cannot be derived from it."""
    kind: Literal["download"] = "download"
    """Always `download`."""
    filename: str | None = field(default=None, metadata=OMIT_NONE)
    """The one file; absent for a folder."""
    prefix: str | None = field(default=None, metadata=OMIT_NONE)
    """The folder; absent for one file."""
    label: str | None = field(default=None, metadata=OMIT_NONE)
    """What its owner calls it."""
    max_downloads: Count | None
    """Downloads at most; `null` for no limit."""
    password: bool
    """Whether it has a password."""
    used: LinkUsed
    """What is used of its limits."""
    state: Literal["active", "expired", "revoked", "used_up"]
    """Whether it works."""
    created_by: str
    """The client that created it."""
    created_at: Time
    """When it was created."""
    expires_at: Time
    """When it ends."""
    url: Url | None = field(default=None, metadata=OMIT_NONE)
    """Its address, which is a secret. Shown when it is created, and never again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLinkBody:
    """A link to put files into a folder."""

    link_id: str
    """Its id. The secret cannot be derived from it."""
    kind: Literal["upload"] = "upload"
    """Always `upload`."""
    prefix: str
    """The folder."""
    label: str | None = field(default=None, metadata=OMIT_NONE)
    """What its owner calls it."""
    max_files: Count
    """Files at most."""
    max_bytes: Count
    """Bytes at most."""
    password: bool
    """Whether it has a password."""
    used: LinkUsed
    """What is used of its limits."""
    state: Literal["active", "expired", "revoked", "used_up"]
    """Whether it works."""
    created_by: str
    """The client that created it."""
    created_at: Time
    """When it was created."""
    expires_at: Time
    """When it ends."""
    url: Url | None = field(default=None, metadata=OMIT_NONE)
    """Its address, which is a secret. Shown when it is created, and never again."""


def link_body(status: LinkStatus, url: str | None = None) -> DownloadLinkBody | UploadLinkBody:
    """Return a link for its owner; with its address if it has just been created."""
    link, usage = status.link, status.usage
    state: Any = status.state.value
    if status.state is LinkState.ACTIVE and usage.is_used_up(link):
        state = "used_up"
    common: dict[str, Any] = {
        "link_id": link.link_id,
        "label": link.label,
        "password": link.password is not None,
        "used": LinkUsed(usage.downloads, usage.files, usage.bytes),
        "state": state,
        "created_by": link.created_by,
        "created_at": Timestamp(link.created_at),
        "expires_at": Timestamp(link.expires_at),
        "url": url,
    }
    if link.kind is LinkKind.DOWNLOAD:
        return DownloadLinkBody(filename=link.filename, prefix=link.prefix, max_downloads=link.max_downloads, **common)
    return UploadLinkBody(
        prefix=link.prefix or "", max_files=link.max_files or 0, max_bytes=link.max_bytes or 0, **common
    )


@dataclass(frozen=True, slots=True)
class LinkList:
    """A page of links, the newest first. Those that have ended are listed for 90 days after their expiry."""

    links: Sequence[DownloadLinkBody | UploadLinkBody]
    """The links of this page."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next page begins; absent on the last page."""

    @classmethod
    def from_page(cls, page: Page[LinkStatus]) -> LinkList:
        return cls([link_body(status) for status in page.items], page.cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityBody:
    """What happened by a link."""

    at: Time
    """When it happened."""
    action: ActivityAction
    """A counted download, a file that was put there, a wrong password, or a network that was locked for them."""
    filename: str | None = field(default=None, metadata=OMIT_NONE)
    """The file; absent for passwords."""
    size: Count | None = field(default=None, metadata=OMIT_NONE)
    """Bytes of the file; absent for passwords."""
    network: str
    """The network that the request came from: an IPv4 /24 or an IPv6 /48."""

    @classmethod
    def from_activity(cls, activity: Activity) -> ActivityBody:
        return cls(
            at=Timestamp(activity.at),
            action=activity.action,
            filename=activity.filename,
            size=activity.size,
            network=activity.network,
        )


@dataclass(frozen=True, slots=True)
class ActivityList:
    """A page of what happened by a link, the newest first. Entries are kept for 90 days."""

    activity: Sequence[ActivityBody]
    """The entries of this page."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next page begins; absent on the last page."""
    approximate: bool | None = field(default=None, metadata=OMIT_NONE)
    """`true` for a download link without a limit, whose downloads are not recorded; otherwise absent."""

    @classmethod
    def from_page(cls, link: Link, page: Page[Activity]) -> ActivityList:
        is_unlimited = link.kind is LinkKind.DOWNLOAD and link.max_downloads is None
        return cls([ActivityBody.from_activity(each) for each in page.items], page.cursor, is_unlimited or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTokenResponse:
    """A token of a link. Send it as `Authorization: Bearer <token>` to the routes that take tokens of links."""

    access_token: str
    """A JWT of the type `ferry-link+jwt`, signed with ES256. It is no token of a client."""
    expires_in: Count
    """Seconds until it expires, 15 minutes at most."""
    scope: Literal["link:download", "link:upload"]
    """What it is for."""
    filename: str | None = field(default=None, metadata=OMIT_NONE)
    """The one file of the link; absent for a folder."""
    prefix: str | None = field(default=None, metadata=OMIT_NONE)
    """The folder of the link; absent for one file."""

    @classmethod
    def from_token(cls, token: LinkToken) -> LinkTokenResponse:
        scope: Any = token.scope
        return cls(
            access_token=token.access_token,
            expires_in=token.expires_in,
            scope=scope,
            filename=token.link.filename,
            prefix=token.link.prefix,
        )


@dataclass(frozen=True, slots=True)
class LinkLimitsLeft:
    """What a link still gives. A limit that it does not have is absent."""

    downloads: Count | None = field(default=None, metadata=OMIT_NONE)
    """Downloads."""
    files: Count | None = field(default=None, metadata=OMIT_NONE)
    """Files."""
    bytes: Count | None = field(default=None, metadata=OMIT_NONE)
    """Bytes."""

    @classmethod
    def from_usage(cls, link: Link, usage: LinkUsage) -> LinkLimitsLeft:
        if link.kind is LinkKind.UPLOAD:
            files, size = usage.left(link)
            return cls(files=files, bytes=size)
        limit = link.max_downloads
        return cls() if limit is None else cls(downloads=max(limit - usage.downloads, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLink:
    """A link, for those who open it."""

    kind: LinkKind
    """What it is for."""
    filename: str | None = field(default=None, metadata=OMIT_NONE)
    """The one file; absent for a folder, and while the password is not given."""
    prefix: str | None = field(default=None, metadata=OMIT_NONE)
    """The folder; absent for one file, and while the password is not given."""
    label: str | None = field(default=None, metadata=OMIT_NONE)
    """What its owner calls it."""
    password: bool
    """Whether it needs a password, which `POST /l/{secret}/token` takes."""
    left: LinkLimitsLeft
    """What it still gives."""
    expires_at: Time
    """When it ends."""

    @classmethod
    def from_link(cls, link: Link, usage: LinkUsage) -> SharedLink:
        is_open = link.password is None
        return cls(
            kind=link.kind,
            filename=link.filename if is_open else None,
            prefix=link.prefix if is_open else None,
            label=link.label,
            password=not is_open,
            left=LinkLimitsLeft.from_usage(link, usage),
            expires_at=Timestamp(link.expires_at),
        )
