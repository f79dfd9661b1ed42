"""Tokens of links: their verification, and the locks of passwords over time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from ferry.auth.issuer import TokenRequest, issue
from ferry.auth.key_cache import KeySetCache
from ferry.auth.link_issuer import issue_link_token
from ferry.auth.link_verifier import LinkVerifier
from ferry.auth.verifier import LEEWAY_SECONDS, InternalVerifier, is_link_token
from ferry.errors import InvalidToken
from ferry.link_errors import LinkLocked, LinkPassword, LinkRevoked
from ferry.links import passwords
from ferry.links.manage import CreateRequest, create_link
from ferry.links.tokens import TOTAL_RULE, get_token
from ferry.model.auth import Client
from ferry.model.links import ActivityAction, Link, LinkKind
from ferry.rules.durations import DAY_MS, MINUTE_MS
from tests.support.in_memory_service import NS
from tests.unit.links.conftest import CACHE_TTL_MS, LinkFixture

NETWORK = "192.0.2.0/24"


@pytest.fixture(autouse=True)
def fast_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work."""
    monkeypatch.setattr(passwords, "COST", 2)
    monkeypatch.setattr(passwords, "PARALLELISM", 1)


def make_link(fixture: LinkFixture, password: str | None = None) -> tuple[Link, str]:
    request = CreateRequest(LinkKind.DOWNLOAD, 2 * DAY_MS // 1000, prefix="in/", password=password)
    return create_link(fixture.services(), fixture.links(), NS, request, client_id="client", issuer="")


def verifier(fixture: LinkFixture) -> LinkVerifier:
    return LinkVerifier(KeySetCache(fixture.store, fixture.service.clock, CACHE_TTL_MS), issuer="ferry")


def client_verifier(fixture: LinkFixture) -> InternalVerifier:
    cache = KeySetCache(fixture.store, fixture.service.clock, CACHE_TTL_MS)
    return InternalVerifier(cache, issuer="ferry", audience="ferry")


def forge(fixture: LinkFixture, token: str, change: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """Return the token with other claims and headers, signed by the published key."""
    claims = jwt.decode(token, options={"verify_signature": False}) | dict(change)
    kept = {name: value for name, value in claims.items() if value is not None}
    header = jwt.get_unverified_header(token) | dict(headers)
    return jwt.encode(kept, fixture.signer._key("key-1"), algorithm="ES256", headers=header)


def test_token_of_link_is_verified(fixture: LinkFixture) -> None:
    """The token names its link, itself and its end."""
    link, _ = make_link(fixture)
    token = issue_link_token(fixture.issuer, link)
    found = verifier(fixture).verify(token.access_token)
    assert (found.link_id, found.token_id) == (link.link_id, token.token_id)
    assert found.expires_at == (fixture.service.clock() // 1000 + 900) * 1000
    assert is_link_token(token.access_token)


def test_clients_and_links_do_not_take_each_others_tokens(fixture: LinkFixture) -> None:
    """The verifier of clients rejects the token of a link, and the reverse."""
    link, _ = make_link(fixture)
    of_link = issue_link_token(fixture.issuer, link).access_token
    fixture.store.put_client(Client("c", NS, frozenset({"files:read"}), (hashlib.sha256(b"s").digest(),)))
    of_client = issue(fixture.issuer, TokenRequest("c", "s", "client_credentials", "")).access_token
    with pytest.raises(InvalidToken):
        client_verifier(fixture).verify(of_link)
    with pytest.raises(InvalidToken):
        verifier(fixture).verify(of_client)
    assert not is_link_token(of_client)


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"aud": "ferry"}, {}),
        ({"aud": ["ferry-links", "ferry"]}, {}),
        ({"iss": "another"}, {}),
        ({"sub": None}, {}),
        ({"sub": 5}, {}),
        ({"jti": None}, {}),
        ({"exp": "tomorrow"}, {}),
        ({"exp": 1}, {}),
        ({"nbf": 2**40}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"typ": "FERRY-LINK+JWT"}),
        ({}, {"kid": "unknown"}),
    ],
)
def test_other_claims_are_rejected(fixture: LinkFixture, change: Mapping[str, Any], headers: Mapping[str, Any]) -> None:
    """A token with another type, audience, issuer or time is not valid, although the published key signed it."""
    token = issue_link_token(fixture.issuer, make_link(fixture)[0]).access_token
    with pytest.raises(InvalidToken):
        verifier(fixture).verify(forge(fixture, token, change, headers))
    assert verifier(fixture).verify(forge(fixture, token, {}, {})).token_id


def test_token_of_link_expires_after_its_leeway(fixture: LinkFixture) -> None:
    """A token works for 15 minutes, and for the leeway of clocks."""
    token = issue_link_token(fixture.issuer, make_link(fixture)[0]).access_token
    fixture.service.clock.advance(15 * MINUTE_MS + LEEWAY_SECONDS * 1000 - 1000)
    assert verifier(fixture).verify(token).token_id
    fixture.service.clock.advance(1000)
    with pytest.raises(InvalidToken):
        verifier(fixture).verify(token)


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "eyJ0eXAiOjV9.e30.x", "W10.e30.x", "x" * 5_000, "é.b.c"])
def test_malformed_header_is_no_link_token(token: str) -> None:
    """Text that is no token of a link is left to the verifier of clients."""
    assert not is_link_token(token)


def test_network_is_locked_for_a_quarter_of_an_hour(fixture: LinkFixture) -> None:
    """The lock begins with the tenth wrong password and ends 15 minutes later."""
    _, secret = make_link(fixture, "correct horse")
    links = fixture.links()
    for _ in range(10):
        with pytest.raises(LinkPassword):
            get_token(links, fixture.issuer, secret, "wrong horse", NETWORK)
        fixture.service.clock.advance(1_000)
    with pytest.raises(LinkLocked) as locked:
        get_token(links, fixture.issuer, secret, "correct horse", NETWORK)
    assert locked.value.retry_after_seconds == 899
    fixture.service.clock.advance(899_000)
    assert get_token(links, fixture.issuer, secret, "correct horse", NETWORK).expires_in


def test_all_networks_are_locked_after_many_wrong_passwords(fixture: LinkFixture) -> None:
    """After 200 wrong passwords in a day no network gets a token until the day is over."""
    link, secret = make_link(fixture, "correct horse")
    links = fixture.links()
    for number in range(TOTAL_RULE.max_attempts):
        with pytest.raises(LinkPassword):
            get_token(links, fixture.issuer, secret, "wrong horse", f"10.0.{number // 5}.0/24")
    with pytest.raises(LinkLocked) as locked:
        get_token(links, fixture.issuer, secret, "correct horse", NETWORK)
    assert locked.value.retry_after_seconds == DAY_MS // 1000
    actions = [each.action for each in links.repository.list_activity(link.link_id, None, 1_000).items]
    assert (actions.count(ActivityAction.WRONG_PASSWORD), actions.count(ActivityAction.LOCKED)) == (200, 1)
    fixture.service.clock.advance(DAY_MS)
    assert get_token(fixture.links(), fixture.issuer, secret, "correct horse", NETWORK).expires_in


def test_cached_link_ends_within_its_cache(fixture: LinkFixture) -> None:
    """An instance that has read a link learns of its deletion within 45 seconds, of its client's at once."""
    link, secret = make_link(fixture)
    links = fixture.links()
    assert links.get_by_secret(secret) == link
    fixture.disabled.add("client")
    with pytest.raises(LinkRevoked):
        links.get_by_secret(secret)
    fixture.disabled.clear()
    fixture.service.link_repository.revoke_link(link, fixture.service.clock())
    assert links.get_by_secret(secret) == link
    fixture.service.clock.advance(CACHE_TTL_MS)
    with pytest.raises(LinkRevoked):
        links.get_by_secret(secret)
