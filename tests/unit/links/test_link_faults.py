"""Every call of links fails, before and after its effect; then the request is repeated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.downloads.download import DownloadRequest
from ferry.errors import BackendUnavailable
from ferry.files.put import PutRequest, put_file
from ferry.link_errors import LinkPassword, LinkRevoked
from ferry.links import passwords, tokens
from ferry.links.downloads import LinkCaller, download_by_link
from ferry.links.lookup import Links
from ferry.links.manage import CreateRequest, create_link, delete_link
from ferry.model.links import Link, LinkKind
from ferry.ports.link_repository import ALL_NETWORKS
from tests.support.in_memory_service import NS
from tests.unit.links.conftest import LinkFixture

NETWORK = "192.0.2.0/24"
NAME = "a.txt"
FAULTS = (Fault.UNAVAILABLE, Fault.LOST_RESPONSE, Fault.THROTTLED, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
MAX_CALLS = 6
"""Calls of an operation at most; a plan for a call that is not made changes nothing."""
CELLS = [(fault, number) for fault in FAULTS for number in range(1, MAX_CALLS + 1)]


@pytest.fixture(autouse=True)
def fast_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work."""
    monkeypatch.setattr(passwords, "COST", 2)
    monkeypatch.setattr(passwords, "PARALLELISM", 1)


def make_link(fixture: LinkFixture, **members: object) -> tuple[Link, str]:
    """Store a file and create a link to it."""
    put_file(fixture.services(), NS, PutRequest(NAME, b"content"))
    request = CreateRequest(LinkKind.DOWNLOAD, 600, filename=NAME, **members)  # type: ignore[arg-type]
    return create_link(fixture.services(), fixture.links(), NS, request, client_id="client", issuer="")


def run_with_fault(fixture: LinkFixture, fault: Fault, number: int, operation: Callable[[Links], object]) -> bool:
    """Run the operation with a fault at a call, and return whether it succeeded. The log shows that it makes calls."""
    log = CallLog()
    links = fixture.links(FaultPlan({number: fault}), log)
    try:
        operation(links)
    except (BackendUnavailable, ProcessCrashed):
        assert len(log.calls) >= number
        return False
    finally:
        assert 0 < len(log.calls) <= MAX_CALLS
    return True


@pytest.mark.parametrize(("fault", "number"), CELLS)
def test_created_link_works_after_a_fault(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """A creation that failed is repeated; the secret that a client got opens its link."""
    put_file(fixture.services(), NS, PutRequest(NAME, b"content"))
    request = CreateRequest(LinkKind.DOWNLOAD, 600, filename=NAME)
    created: list[tuple[Link, str]] = []

    def create(links: Links) -> None:
        created.append(create_link(fixture.services(), links, NS, request, client_id="client", issuer=""))

    while not run_with_fault(fixture, fault, number, create):
        number = MAX_CALLS + 1
    [(link, secret)] = created
    assert fixture.links().get_by_secret(secret) == link


@pytest.mark.parametrize(("fault", "number"), CELLS)
def test_deleted_link_stays_deleted_after_a_fault(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """A deletion that failed is repeated; afterwards the link is revoked."""
    link, secret = make_link(fixture)
    while not run_with_fault(fixture, fault, number, lambda links: delete_link(links, NS, link.link_id)):
        number = MAX_CALLS + 1
    with pytest.raises(LinkRevoked):
        fixture.links().get_by_secret(secret)


@pytest.mark.parametrize(("fault", "number"), CELLS)
def test_answered_download_is_counted_despite_faults(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """No answer without a count: a download that failed may be counted, one that succeeded is, with its activity."""
    link, _ = make_link(fixture, max_downloads=5)

    def fetch(links: Links) -> object:
        return download_by_link(fixture.services(), links, LinkCaller(link, NETWORK), NAME, DownloadRequest())

    answered = [run_with_fault(fixture, fault, number, fetch), run_with_fault(fixture, fault, MAX_CALLS + 1, fetch)]
    usage = fixture.service.link_repository.get_usages([link.link_id])[link.link_id]
    activity = fixture.service.link_repository.list_activity(link.link_id, None, 10).items
    assert answered.count(True) <= len(activity) <= usage.downloads <= 2


@pytest.mark.parametrize(("fault", "number"), CELLS)
def test_wrong_password_is_counted_before_it_is_hashed(
    fixture: LinkFixture, fault: Fault, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, no password is compared that was not reserved as an attempt of its network and of all."""
    link, secret = make_link(fixture, password="correct horse")
    compared: list[str] = []

    def is_password(_: object, password: str) -> bool:
        compared.append(password)
        return False

    monkeypatch.setattr(tokens, "is_password", is_password)

    def attempt(links: Links) -> None:
        with suppress(LinkPassword):
            tokens.get_token(links, fixture.issuer, secret, "wrong horse", NETWORK)

    run_with_fault(fixture, fault, number, attempt)
    attempts = fixture.service.link_repository.rows.link_attempts
    for network in (NETWORK, ALL_NETWORKS):
        assert len(compared) <= attempts.get((link.link_id, network), (0, 0))[0]


@pytest.mark.parametrize(("fault", "number"), CELLS)
def test_right_password_gets_a_token_after_a_fault(fixture: LinkFixture, fault: Fault, number: int) -> None:
    """The right password opens the link again and again, and locks nothing."""
    _, secret = make_link(fixture, password="correct horse")

    def get(links: Links) -> object:
        return tokens.get_token(links, fixture.issuer, secret, "correct horse", NETWORK)

    run_with_fault(fixture, fault, number, get)
    for _ in range(12):
        assert run_with_fault(fixture, fault, MAX_CALLS + 1, get)
