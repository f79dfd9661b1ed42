"""Create, list and delete links: what their owner does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferry.errors import FileNotFound
from ferry.links.events import publish_created
from ferry.links.lookup import Links, LinkStatus
from ferry.links.passwords import hash_password
from ferry.links.secrets import hash_of, link_id_of, new_secret
from ferry.model.links import Activity, Link, LinkKind, LinkUsage
from ferry.outbox import publish_deadline
from ferry.ports.types import Page
from ferry.rules.durations import SECOND_MS
from ferry.services import Services

DEFAULT_UPLOAD_FOLDER = "uploads/{}/"
"""The folder of an upload link without a prefix, by its link id."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A client's request for a link."""

    kind: LinkKind
    """What it is for."""

    expires_in_seconds: int
    """How long it works."""

    filename: str | None = None
    """The one file of a download link."""

    prefix: str | None = None
    """The folder; None for an upload link: a folder of its own."""

    label: str | None = None
    """What it is called."""

    password: str | None = None
    """Its password; None for none."""

    max_downloads: int | None = None
    """Downloads at most; None: no limit."""

    max_files: int | None = None
    """Files at most, of an upload link."""

    max_bytes: int | None = None
    """Bytes at most, of an upload link."""


def create_link(
    services: Services, links: Links, ns: str, request: CreateRequest, *, client_id: str, issuer: str
) -> tuple[Link, str]:
    """Create a link, and return it with its secret, which is stored nowhere.

    Args:
        services: the backends.
        links: reads and stores links.
        ns: the namespace of the files.
        request: what the link is for.
        client_id: the client that creates it.
        issuer: the external issuer of the client's token; empty for Ferry's own clients.

    Raises:
        FileNotFound: there is no file of that name.
    """
    if request.filename is not None and services.file_repository.get_file(ns, request.filename) is None:
        raise FileNotFound
    secret = new_secret()
    link = _new_link(ns, request, hash_of(secret), links.clock(), client_id=client_id, issuer=issuer)
    deadline = publish_deadline(services)
    links.repository.create_link(link, deadline)
    publish_created(services, link, deadline)
    return link, secret


def _new_link(ns: str, request: CreateRequest, secret_hash: bytes, now: int, *, client_id: str, issuer: str) -> Link:
    link_id = link_id_of(secret_hash)
    prefix = request.prefix
    if prefix is None and request.kind is LinkKind.UPLOAD:
        prefix = DEFAULT_UPLOAD_FOLDER.format(link_id)
    return Link(
        link_id=link_id,
        secret_hash=secret_hash,
        ns=ns,
        kind=request.kind,
        created_by=client_id,
        created_at=now,
        expires_at=now + request.expires_in_seconds * SECOND_MS,
        issuer=issuer,
        filename=request.filename,
        prefix=prefix,
        label=request.label,
        max_downloads=request.max_downloads,
        max_files=request.max_files,
        max_bytes=request.max_bytes,
        password=None if request.password is None else hash_password(request.password),
    )


def list_links(links: Links, ns: str, cursor: str | None, limit: int) -> Page[LinkStatus]:
    """Return a page of the namespace's links, the newest first. Raises `InvalidField` for another cursor."""
    page = links.repository.list_links(ns, cursor, limit)
    return Page(_statuses(links, page.items), page.cursor)


def get_link(links: Links, ns: str, link_id: str) -> LinkStatus:
    """Return a link of the namespace, whatever its state. Raises `LinkNotFound`."""
    return _statuses(links, [links.get_of_namespace(ns, link_id)])[0]


def delete_link(links: Links, ns: str, link_id: str) -> Link:
    """Delete a link, and return it. It ends within a minute; repeating it changes nothing. Raises `LinkNotFound`."""
    link = links.get_of_namespace(ns, link_id)
    links.repository.revoke_link(link, links.clock())
    links.forget(link_id)
    return link


def list_activity(links: Links, ns: str, link_id: str, cursor: str | None, limit: int) -> tuple[Link, Page[Activity]]:
    """Return a link and a page of what happened by it, the newest first. Raises `LinkNotFound`, `InvalidField`."""
    link = links.get_of_namespace(ns, link_id)
    return link, links.repository.list_activity(link_id, cursor, limit)


def _statuses(links: Links, found: Sequence[Link]) -> list[LinkStatus]:
    usages = links.repository.get_usages([link.link_id for link in found])
    return [LinkStatus(link, usages.get(link.link_id, LinkUsage()), links.state_of(link)) for link in found]
