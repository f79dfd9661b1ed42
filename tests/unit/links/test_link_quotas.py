"""The quota of the owner's namespace holds for uploads by a link, whatever its own limits allow."""

from __future__ import annotations

import pytest

from ferry.errors import QuotaExceeded
from ferry.model.files import IfExists
from ferry.model.quotas import Quota
from ferry.model.sequential import Protocol
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.create import CreateRequest, create
from ferry.rules.durations import HOUR_MS
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, InMemoryService
from tests.unit.links.conftest import LinkFixture
from tests.unit.links.guest import Guest, assert_exact, let_hours_pass


@pytest.fixture
def guest() -> Guest:
    service = InMemoryService(publish_events=True, quota=Quota(max_bytes=10, max_uploads=10))
    return Guest(LinkFixture(service))


def test_uploads_by_a_link_obey_the_quota(guest: Guest) -> None:
    """What the quota has no room for takes nothing of the link; what fits is counted in both."""
    services = guest.services()
    with pytest.raises(QuotaExceeded):
        start(services, NS, StartRequest("in/a", 11, if_exists=IfExists.RENAME))
    with pytest.raises(QuotaExceeded):
        create(services, NS, CreateRequest(Protocol.TUS, name="in/b", length=11))
    assert (guest.usage.files, guest.usage.bytes, guest.usage.started) == (0, 0, 0)
    create(services, NS, CreateRequest(Protocol.TUS, name="in/c", length=6))
    with pytest.raises(QuotaExceeded):
        start(services, NS, StartRequest("in/d", 6, if_exists=IfExists.RENAME))
    assert (guest.usage.files, guest.usage.bytes) == (1, 6)
    guest.fixture.service.assert_quota_usage()


def test_growth_beyond_the_quota_is_given_back(guest: Guest) -> None:
    """An append that the quota rejects stores nothing, and cleanup gives back what the link reserved for it."""
    services = guest.services()
    upload_id = create(services, NS, CreateRequest(Protocol.TUS, name="in/a")).record.upload_id
    append(services, NS, AppendRequest(upload_id, 0, b"12345"))
    with pytest.raises(QuotaExceeded):
        append(services, NS, AppendRequest(upload_id, 5, b"678901"))
    guest.fixture.service.clock.advance(HOUR_MS)
    let_hours_pass(guest, 3)
    assert_exact(guest)
    assert guest.usage.bytes == 5
