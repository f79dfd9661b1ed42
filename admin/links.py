"""Links: list and revoke them, by link, client or namespace (docs/decisions/0014)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from admin.errors import AdminError
from admin.ports import AdminContext
from ferry.model.links import Link, LinkState, LinkUsage
from ferry.ports.link_repository import LinkRepository

PAGE_SIZE = 100
"""Links of one read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which links a command means: one, or those of a namespace, or of a client."""

    link_id: str | None = None
    """The id of one link; None: several."""

    ns: str | None = None
    """Their namespace; None: that of the client."""

    client_id: str | None = None
    """The client that created them; None: any."""


def find_links(context: AdminContext, repository: LinkRepository, selection: Selection) -> list[Link]:
    """Return the links that a command names, the newest first.

    Raises:
        AdminError: there is no such link or client.
    """
    if selection.link_id is not None:
        link = repository.get_link(selection.link_id)
        if link is None:
            raise AdminError(
                f"there is no link {selection.link_id!r}",
                "`ferry-admin links list --namespace NAME` shows ids; the id is not the last part of a link's address",
            )
        return [link]
    ns = selection.ns or _namespace_of(context, selection.client_id)
    links = _links_of(repository, ns)
    return [link for link in links if selection.client_id in (None, link.created_by)]


def usages_of(repository: LinkRepository, links: Sequence[Link]) -> dict[str, LinkUsage]:
    """Return the counters of links by their ids."""
    found = repository.get_usages([link.link_id for link in links])
    return {link.link_id: found.get(link.link_id, LinkUsage()) for link in links}


def revoke_links(
    context: AdminContext, repository: LinkRepository, links: Sequence[Link], subject: str, *, dry_run: bool
) -> list[Link]:
    """Revoke the links that work, and return them. Repeating it revokes what was created since.

    Args:
        context: the auth table, for the audit log.
        repository: the links.
        links: which.
        subject: what was named: a link, client or namespace.
        dry_run: whether nothing is written.
    """
    now = context.clock()
    working = [link for link in links if link.state(now) is LinkState.ACTIVE]
    if not working or dry_run:
        return working
    # Links are in the metadata table, the audit log in the auth table: without a common transaction the entry comes
    # first, so that no revocation lacks one.
    context.store.commit(context.audit_entry("link.revoke", subject, links=str(len(working)), ns=working[0].ns))
    for link in working:
        repository.revoke_link(link, now)
    return working


def _links_of(repository: LinkRepository, ns: str) -> Iterator[Link]:
    cursor: str | None = None
    while True:
        page = repository.list_links(ns, cursor, PAGE_SIZE)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _namespace_of(context: AdminContext, client_id: str | None) -> str:
    client = context.store.get_client(client_id or "")
    if client is None:
        raise AdminError(
            f"there is no client {client_id!r}", "for a client of an external issuer, add --namespace to name its files"
        )
    return client.ns
