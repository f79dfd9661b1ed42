"""Links over fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from dev.fakes.auth_store import MemoryAuthStore, MemorySigner
from dev.fakes.faults import CallLog, FaultPlan, with_faults
from ferry.auth.issuer import Issuer
from ferry.auth.key_cache import KeySetCache
from ferry.links.lookup import Links
from ferry.model.links import Link
from ferry.services import Services
from tests.support.in_memory_service import InMemoryService

CACHE_TTL_MS = 45_000


@dataclass
class LinkFixture:
    """Links, files and an issuer over one store and one clock."""

    service: InMemoryService = field(default_factory=InMemoryService)
    store: MemoryAuthStore = field(default_factory=MemoryAuthStore)
    signer: MemorySigner = field(default_factory=MemorySigner)
    disabled: set[str] = field(default_factory=set)
    """Clients that are disabled."""

    def links(self, plan: FaultPlan | None = None, log: CallLog | None = None) -> Links:
        """Return the links as a new instance reads them. With a plan, its calls fail as planned."""
        repository = with_faults(self.service.link_repository, plan, log)
        return Links(repository, self.disabled.__contains__, self.service.clock, CACHE_TTL_MS)

    def services(self, plan: FaultPlan | None = None, log: CallLog | None = None) -> Services:
        return self.service.new_services(plan, log)

    @property
    def issuer(self) -> Issuer:
        clock = self.service.clock
        return Issuer(
            store=self.store,
            key_set_cache=KeySetCache(self.store, clock, CACHE_TTL_MS),
            signer=self.signer,
            clock=clock,
            key_ref="key-1",
            issuer="ferry",
            audience="ferry",
            token_ttl_seconds=60,
        )

    def change(self, link: Link, **changes: object) -> Link:
        """Store a link with other fields."""
        changed = replace(link, **changes)  # type: ignore[arg-type]
        self.service.link_repository.rows.links[link.link_id] = changed
        return changed


@pytest.fixture
def fixture() -> LinkFixture:
    return LinkFixture()


@pytest.fixture
def matrix(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Return a counter of cases of the fault matrix. tests/conftest.py prints their sum at the end of the run."""

    def count(name: str, number: int) -> None:
        record_property("fault matrix", [name, number])

    return count
