"""Downloads by a link: which files, how many, and what is recorded of them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from ferry.downloads.download import DownloadRequest, DownloadResponse, ResponseKind, download
from ferry.errors import FileNotFound, InvalidField
from ferry.link_errors import LinkForbidden, LinkPassword, LinkUsedUp
from ferry.links.events import publish_used_up, used_up_event
from ferry.links.lookup import Links
from ferry.model.links import Activity, ActivityAction, DownloadClaim, DownloadCount, Link, LinkKind
from ferry.services import Services

MAX_URL_TTL_SECONDS = 60
"""Lifetime of presigned URLs that a link gives out: they outlive its deletion."""

_COUNTED_KINDS = (ResponseKind.WHOLE, ResponseKind.PART, ResponseKind.REDIRECT, ResponseKind.LINK)
"""Responses with bytes, or with a URL to them."""


@dataclass(frozen=True, slots=True)
class LinkCaller:
    """The sender of a request by a link."""

    link: Link
    """The link, which works."""

    network: str
    """The network that the request comes from (`ferry.rules.networks`)."""

    token_id: str | None = None
    """The `jti` of the token; None for a request with the secret."""

    token_expires_at: int = 0
    """When the token stops working, in epoch milliseconds."""


def require_open_download(link: Link) -> None:
    """Check that files can be fetched by the secret alone.

    Raises:
        LinkForbidden: the link is for uploads.
        LinkPassword: it has a password, so a token is needed.
    """
    if link.kind is not LinkKind.DOWNLOAD:
        raise LinkForbidden("The link is for uploads. Nothing can be downloaded by it.")
    if link.password is not None:
        raise LinkPassword


def name_by_link(link: Link, name: str | None) -> str:
    """Return the file that a request means; without a name, the one file of the link.

    Raises:
        FileNotFound: the name is outside the link.
        InvalidField: the link has a folder, and the request no name.
    """
    if name is None:
        name = link.filename
    if name is None:
        raise InvalidField.for_member("filename", "is required, because the link has a folder; send ?filename=<name>")
    if not link.includes(name):
        raise FileNotFound
    return name


def prefix_by_link(link: Link, prefix: str) -> str:
    """Return the prefix that a listing by a link has; without one, the folder of the link.

    Raises:
        LinkForbidden: the link has one file.
        FileNotFound: the prefix is outside the folder.
    """
    if link.prefix is None:
        raise LinkForbidden("The link is for one file. There is nothing to list.")
    if not prefix:
        return link.prefix
    if not prefix.startswith(link.prefix):
        raise FileNotFound
    return prefix


def download_by_link(
    services: Services, links: Links, caller: LinkCaller, name: str, request: DownloadRequest
) -> DownloadResponse:
    """Count the download, then return the file. Each response with bytes, or with a URL to them, is a download.

    Raises:
        LinkUsedUp: no download is left.
        FileNotFound, PreconditionFailed, RangeNotSatisfiable: as `ferry.downloads.download.download`.
    """
    link = caller.link
    ttl_seconds = min(services.presigned_url_ttl_seconds, MAX_URL_TTL_SECONDS)
    response = download(replace(services, presigned_url_ttl_seconds=ttl_seconds), link.ns, name, request)
    if link.max_downloads is None:
        return response
    if response.kind in _COUNTED_KINDS:
        _count(services, links, caller, name, response.file.size)
    elif caller.token_id is None and links.get_usage(link).is_used_up(link):
        raise LinkUsedUp
    return response


def _count(services: Services, links: Links, caller: LinkCaller, name: str, size: int) -> None:
    link, event = caller.link, used_up_event(services)
    claim = None if caller.token_id is None else DownloadClaim(caller.token_id, caller.token_expires_at, name)
    result, usage = links.repository.count_download(link, claim, event)
    if result is DownloadCount.USED_UP:
        raise LinkUsedUp
    if result is DownloadCount.COUNTED:
        activity = Activity(
            links.clock(), ActivityAction.DOWNLOAD, caller.network, secrets.token_hex(8), filename=name, size=size
        )
        links.repository.add_activity(link.link_id, activity)
        publish_used_up(services, link, usage, event)
