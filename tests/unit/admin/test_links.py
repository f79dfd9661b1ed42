"""Links as an operator sees and revokes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin.errors import AdminError
from admin.links import Selection, find_links, revoke_links
from admin.ports import AdminContext, AuditEntry
from dev.fakes.auth_store import MemoryAuthStore
from dev.fakes.clock import START_MS, SettableClock
from dev.fakes.link_repository import MemoryLinkRepository
from dev.fakes.metadata_table import MemoryTable
from ferry.model.auth import Client
from ferry.model.links import Link, LinkKind

DOWNLOAD_LINK = Link("0" * 32, b"hash", "ns", LinkKind.DOWNLOAD, "a", START_MS, START_MS + 86_400_000, filename="f")


class Store(MemoryAuthStore):
    """Keeps the audit entries."""

    def commit(self, entry: AuditEntry, **_: object) -> None:
        self.entries = [*getattr(self, "entries", []), entry]


@pytest.fixture
def repository() -> MemoryLinkRepository:
    """Three links of two clients, one of them in another namespace."""
    made = MemoryLinkRepository(MemoryTable())
    for number, (ns, client) in enumerate((("ns", "a"), ("ns", "b"), ("other", "a"))):
        link = replace(DOWNLOAD_LINK, link_id=f"{number:032x}", ns=ns, created_by=client)
        made.create_link(link)
    return made


@pytest.fixture
def context() -> AdminContext:
    store = Store()
    store.put_client(Client("a", "ns", frozenset({"files:share"}), ()))
    return AdminContext(store, "tester", SettableClock())


def ids(context: AdminContext, repository: MemoryLinkRepository, selection: Selection) -> set[int]:
    return {int(link.link_id, 16) for link in find_links(context, repository, selection)}


def test_selection_finds_links(context: AdminContext, repository: MemoryLinkRepository) -> None:
    """By id, by namespace, by client, whose namespace is known or given."""
    assert ids(context, repository, Selection(f"{1:032x}")) == {1}
    assert ids(context, repository, Selection(ns="ns")) == {0, 1}
    assert ids(context, repository, Selection(client_id="a")) == {0}
    assert ids(context, repository, Selection(ns="other", client_id="a")) == {2}
    for unknown in (Selection("x"), Selection(client_id="unknown")):
        with pytest.raises(AdminError):
            find_links(context, repository, unknown)


def test_revocation_is_audited_once(context: AdminContext, repository: MemoryLinkRepository) -> None:
    """A dry run writes nothing. Each revocation has an entry; without a link that works there is none."""
    links = find_links(context, repository, Selection(ns="ns"))
    assert len(revoke_links(context, repository, links, "ns", dry_run=True)) == 2
    assert not hasattr(context.store, "entries")
    for expected in (2, 0):
        links = find_links(context, repository, Selection(ns="ns"))
        assert len(revoke_links(context, repository, links, "ns", dry_run=False)) == expected
    [entry] = context.store.entries  # type: ignore[attr-defined]
    assert (entry.event, entry.subject, entry.details) == ("link.revoke", "ns", {"links": "2", "ns": "ns"})
    assert {link.revoked_at is None for link in find_links(context, repository, Selection(ns="other"))} == {True}
