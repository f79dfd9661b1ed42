"""Uploads by a link at the limit, at the same time, and with faults at each call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.fakes.faults import Fault, FaultPlan, ProcessCrashed
from ferry.errors import BackendUnavailable
from ferry.link_errors import LinkLimit, LinkUsedUp
from ferry.links.downloads import LinkCaller
from ferry.links.uploads import link_services
from ferry.model.files import IfExists
from ferry.model.links import Link, LinkUsage
from ferry.model.sequential import Protocol
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.create import CreateRequest, create
from ferry.rules.durations import HOUR_MS
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS
from tests.unit.links.conftest import LinkFixture
from tests.unit.links.guest import make_link

FAULTS = (Fault.UNAVAILABLE, Fault.LOST_RESPONSE, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
MAX_CALLS = 8


def start_by(
    fixture: LinkFixture, link: Link, name: str, plan: FaultPlan | None = None, fingerprint: str | None = None
) -> bool:
    """Start an upload by the link, and return whether the limits left room."""
    services = link_services(fixture.services(plan), LinkCaller(link, "192.0.2.0/24"))
    try:
        start(services, NS, StartRequest(f"in/{name}", 10, if_exists=IfExists.RENAME, fingerprint=fingerprint or name))
    except (LinkUsedUp, LinkLimit):
        return False
    return True


def usage_of(fixture: LinkFixture, link: Link) -> LinkUsage:
    return fixture.service.link_repository.get_usages([link.link_id]).get(link.link_id, LinkUsage())


@pytest.mark.parametrize("limits", [{"max_files": 7}, {"max_bytes": 79}])
def test_racing_starts_get_what_the_limit_allows(fixture: LinkFixture, limits: dict[str, int]) -> None:
    """Of fifty starts at the same time exactly as many succeed as the limit allows, and as many are counted."""
    link = make_link(fixture, **({"max_files": 5_000} | limits))
    with ThreadPoolExecutor(8) as pool:
        succeeded = list(pool.map(lambda number: start_by(fixture, link, f"{number}"), range(50)))
    assert succeeded.count(True) == 7
    usage = usage_of(fixture, link)
    assert (usage.files, usage.bytes, len(usage.reservations)) == (7, 70, 7)


@pytest.mark.parametrize("limits", [{"max_files": 7}, {"max_bytes": 79}])
def test_racing_creations_get_what_the_limit_allows(fixture: LinkFixture, limits: dict[str, int]) -> None:
    """Of fifty creations and growths at the same time exactly as many succeed as the limit allows."""
    link = make_link(fixture, **({"max_files": 5_000} | limits))

    def create_by(number: int) -> bool:
        services = link_services(fixture.services(), LinkCaller(link, "192.0.2.0/24"))
        known = CreateRequest(Protocol.TUS, name=f"in/{number}", length=None if number % 2 else 10)
        try:
            upload = create(services, NS, known)
            if known.length is None:
                append(services, NS, AppendRequest(upload.record.upload_id, 0, bytes(10)))
        except (LinkUsedUp, LinkLimit):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        succeeded = list(pool.map(create_by, range(50)))
    usage = usage_of(fixture, link)
    assert succeeded.count(True) == sum(each.size == 10 for each in usage.reservations.values()) == 7
    assert (usage.bytes, usage.received_bytes, usage.files) == (70, 70, len(usage.reservations))


def test_starts_of_one_name_do_not_use_up_what_may_start(fixture: LinkFixture) -> None:
    """A start that loses its name to another one, and takes the next, counts once."""
    link = make_link(fixture, max_files=30)
    with ThreadPoolExecutor(8) as pool:
        succeeded = list(pool.map(lambda number: start_by(fixture, link, "same", fingerprint=f"{number}"), range(12)))
    assert all(succeeded)
    usage = usage_of(fixture, link)
    assert usage.started == usage.files == len(usage.reservations) == 12


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(1, MAX_CALLS + 1))
def test_cleanup_repairs_the_counters_of_a_failed_start(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """Whatever call of a start fails, the counters are those of the uploads in progress once cleanup has run."""
    link = make_link(fixture)
    try:
        start_by(fixture, link, "a", FaultPlan({number: fault}))
    except (BackendUnavailable, ProcessCrashed):
        start_by(fixture, link, "a")
    fixture.service.clock.advance(2 * HOUR_MS)
    for _ in range(3):
        fixture.service.sweep()
        fixture.service.clock.advance(2 * HOUR_MS)
    records = fixture.service.upload_repository.rows.records.values()
    by_link = [record for record in records if record.link_id == link.link_id]
    open_uploads = [record for record in by_link if record.state.in_progress]
    usage = usage_of(fixture, link)
    assert usage.started == len(by_link), "a start that created no upload counts as one"
    assert len(open_uploads) == 1
    assert (usage.files, usage.bytes) == (1, 10)
    assert usage.reservations.keys() == {open_uploads[0].upload_id}
    for _ in range(12):
        fixture.service.clock.advance(10 * HOUR_MS)
        fixture.service.sweep()
    assert (usage_of(fixture, link).files, usage_of(fixture, link).reservations) == (0, {})
