"""A guest with an upload link, the requests that a guest sends, and the check of the link's counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dev.fakes.faults import CallLog, FaultPlan
from ferry.links.downloads import LinkCaller
from ferry.links.manage import CreateRequest as LinkRequest
from ferry.links.manage import create_link
from ferry.links.uploads import link_services
from ferry.model.files import IfExists
from ferry.model.links import ActivityAction, Link, LinkKind, LinkUsage
from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadRecord, UploadState
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.concatenate import create_final
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.rules.durations import HOUR_MS
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, InMemoryService
from tests.unit.links.conftest import LinkFixture

BODY = b"0123456789"


@dataclass
class Guest:
    """A person with an upload link, and the ids of the uploads that this person has started."""

    fixture: LinkFixture = field(default_factory=lambda: LinkFixture(InMemoryService(publish_events=True)))
    ids: list[str] = field(default_factory=list)
    link: Link = field(init=False)

    def __post_init__(self) -> None:
        request = LinkRequest(LinkKind.UPLOAD, 90 * 86_400, prefix="in/", max_files=5, max_bytes=100)
        services, links = self.fixture.services(), self.fixture.links()
        self.link, _ = create_link(services, links, NS, request, client_id="client", issuer="")

    def services(self, plan: FaultPlan | None = None, log: CallLog | None = None) -> Services:
        return link_services(self.fixture.services(plan, log), LinkCaller(self.link, "192.0.2.0/24"))

    @property
    def usage(self) -> LinkUsage:
        link_id = self.link.link_id
        return self.fixture.service.link_repository.get_usages([link_id]).get(link_id, LinkUsage())

    @property
    def records(self) -> list[UploadRecord]:
        rows = self.fixture.service.upload_repository.rows
        return [record for record in rows.records.values() if record.link_id == self.link.link_id]


def begin(guest: Guest, services: Services) -> None:
    start(services, NS, StartRequest("in/a", len(BODY), if_exists=IfExists.RENAME, fingerprint="x"))


def send(_: Guest, services: Services) -> None:
    accept_chunk(services, NS, ChunkRequest("in/a", 1, BODY))


def finish(_: Guest, services: Services) -> None:
    complete(services, NS, CompleteRequest("in/a", if_exists=IfExists.RENAME))


def cancel_by_name(_: Guest, services: Services) -> None:
    cancel(services, NS, "in/a")


def make(guest: Guest, services: Services, *, length: int | None = len(BODY), is_partial: bool = False) -> None:
    request = CreateRequest(Protocol.TUS, name="in/s", length=length, is_partial=is_partial)
    guest.ids.append(create(services, NS, request).record.upload_id)


def send_at(guest: Guest, services: Services, *, offset: int, end: int) -> None:
    append(services, NS, AppendRequest(guest.ids[-1], offset, BODY[offset:end]))


def remove(guest: Guest, services: Services) -> None:
    delete(services, NS, guest.ids[-1])


def concatenate(guest: Guest, services: Services) -> None:
    create_final(services, NS, CreateRequest(Protocol.TUS, name="in/whole"), guest.ids[:2])


def let_hours_pass(guest: Guest, hours: int) -> None:
    for _ in range(hours):
        guest.fixture.service.clock.advance(HOUR_MS)
        guest.fixture.service.sweep()


def assert_exact(guest: Guest, *, moved: int = 0) -> None:
    """Check the counters against the records. `moved` bytes of partial uploads are those of a final one."""
    usage, records = guest.usage, guest.records
    done = [record for record in records if record.state is UploadState.COMPLETE]
    in_progress = [record for record in records if record.state.in_progress]
    counted = [record for record in in_progress if record.upload_id in usage.reservations]
    # Partial uploads that a final one has taken over are no longer counted on their own.
    assert all(record.is_partial for record in in_progress if record not in counted)
    assert len(in_progress) == len(counted) or moved
    assert set(usage.reservations) == {record.upload_id for record in counted}
    assert {each.size for each in usage.reservations.values()} == {record.layout.size for record in counted}
    assert usage.files == len(done) + sum(not record.is_partial for record in counted)
    assert usage.bytes == sum(record.layout.size for record in [*done, *counted])
    assert usage.partials == sum(record.is_partial for record in counted)
    assert usage.bytes <= usage.received_bytes <= usage.bytes + sum(record.layout.size for record in records)
    service = guest.fixture.service
    activity = service.link_repository.list_activity(guest.link.link_id, None, 100).items
    assert [each.action for each in activity] == [ActivityAction.UPLOAD] * len(done)


def make_link(fixture: LinkFixture, **members: int) -> Link:
    """Create an upload link to the folder `in/`. `members` are its limits."""
    limits = {"max_files": 10, "max_bytes": 1_000, **members}
    request = LinkRequest(
        LinkKind.UPLOAD, 86_400, prefix="in/", max_files=limits["max_files"], max_bytes=limits["max_bytes"]
    )
    return create_link(fixture.services(), fixture.links(), NS, request, client_id="client", issuer="")[0]


Step = Callable[[Guest, Services], None]
MAKE_DEFERRED, MAKE_PARTIAL = partial(make, length=None), partial(make, is_partial=True)
SEND_HALF, SEND_REST, SEND_ALL = (partial(send_at, offset=a, end=b) for a, b in ((0, 5), (5, 10), (0, 10)))
