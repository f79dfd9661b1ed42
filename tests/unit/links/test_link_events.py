"""The events of links: published once a link is created or used up, also if the request crashes."""

from __future__ import annotations

import pytest

from dev.fakes.faults import Fault, FaultPlan, ProcessCrashed
from ferry.downloads.download import DownloadRequest
from ferry.errors import BackendUnavailable
from ferry.files.put import PutRequest, put_file
from ferry.links.downloads import LinkCaller, download_by_link
from ferry.links.manage import CreateRequest, create_link
from ferry.links.uploads import link_services
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.events import EventKind
from ferry.model.files import IfExists
from ferry.model.links import Link, LinkKind
from ferry.rules.durations import HOUR_MS
from ferry.uploads.cancel import cancel
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, InMemoryService
from tests.unit.links.conftest import LinkFixture


@pytest.fixture
def fixture() -> LinkFixture:
    return LinkFixture(InMemoryService(publish_events=True))


NETWORK = "192.0.2.0/24"
FAULTS = (Fault.UNAVAILABLE, Fault.LOST_RESPONSE, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
MAX_CALLS = 6


def published(fixture: LinkFixture) -> list[str]:
    """Return the kinds of the published events of links."""
    return [event.kind.value for event in fixture.service.event_publisher.published if event.link is not None]


def make_download_link(fixture: LinkFixture, max_downloads: int = 2) -> Link:
    put_file(fixture.services(), NS, PutRequest("a", b"content"))
    request = CreateRequest(LinkKind.DOWNLOAD, 86_400, filename="a", max_downloads=max_downloads)
    return create_link(fixture.services(), fixture.links(), NS, request, client_id="client", issuer="")[0]


def make_upload_link(fixture: LinkFixture) -> Link:
    request = CreateRequest(LinkKind.UPLOAD, 86_400, prefix="in/", max_files=1, max_bytes=100)
    return create_link(fixture.services(), fixture.links(), NS, request, client_id="client", issuer="")[0]


def link_tasks(fixture: LinkFixture) -> list[str]:
    due = fixture.service.upload_repository.rows.task_due_times
    return [subject for kind, subject in due if kind is CleanupTaskKind.LINK]


def test_link_publishes_its_creation_and_its_end(fixture: LinkFixture) -> None:
    """A download link leaves no cleanup task behind, and its events name the link."""
    link = make_download_link(fixture)
    assert (published(fixture), link_tasks(fixture)) == (["ferry.link.created"], [])
    for kinds in (1, 2):
        download_by_link(fixture.services(), fixture.links(), LinkCaller(link, NETWORK), "a", DownloadRequest())
        assert len(published(fixture)) == kinds
    assert link_tasks(fixture) == []
    last = fixture.service.event_publisher.published[-1]
    assert (last.kind, last.id, last.link) == (EventKind.LINK_USED_UP, f"{link.link_id}.used_up", link)


def test_upload_link_is_used_up_once(fixture: LinkFixture) -> None:
    """An upload link that gets room again, and is used up again, publishes that once; its uploads name it."""
    link = make_upload_link(fixture)
    services = link_services(fixture.services(), LinkCaller(link, NETWORK))
    for _ in range(2):
        start(services, NS, StartRequest("in/a", 10, if_exists=IfExists.RENAME, fingerprint="x"))
        assert cancel(services, NS, "in/a")
    assert published(fixture) == ["ferry.link.created", "ferry.link.used_up"]
    uploads = [event for event in fixture.service.event_publisher.published if event.link is None]
    assert len(uploads) == 4
    assert {event.link_id for event in uploads} == {link.link_id}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(1, MAX_CALLS + 1))
def test_events_survive_faults(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """Whatever call fails: if the change was stored, cleanup publishes its event, and nothing stays due."""
    plan = FaultPlan({number: fault})
    put_file(fixture.services(), NS, PutRequest("a", b"content"))
    request = CreateRequest(LinkKind.DOWNLOAD, 864_000, filename="a", max_downloads=1)
    try:
        services, links = fixture.services(plan), fixture.links()
        links.repository = services.link_repository()
        link, _ = create_link(services, links, NS, request, client_id="client", issuer="")
        download_by_link(services, links, LinkCaller(link, NETWORK), "a", DownloadRequest())
    except (BackendUnavailable, ProcessCrashed):
        pass
    for _ in range(4):
        fixture.service.clock.advance(HOUR_MS)
        fixture.service.sweep()
    stored = fixture.service.link_repository.rows.links
    expected = {f"{link_id}.created" for link_id in stored}
    usages = fixture.service.link_repository.get_usages(list(stored))
    expected |= {f"{link_id}.used_up" for link_id, usage in usages.items() if usage.downloads}
    assert {event.id for event in fixture.service.event_publisher.published if event.link is not None} == expected
    assert (link_tasks(fixture), [usage for usage in usages.values() if usage.pending_events]) == ([], [])
