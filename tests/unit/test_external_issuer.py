"""Tokens of an issuer outside: which are believed, what they mean, and what happens when the issuer is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dev.fakes.clock import SettableClock
from ferry.auth.external import (
    CACHE_TTL_MS,
    MAX_STALE_MS,
    REFETCH_INTERVAL_MS,
    REFETCH_INTERVAL_WITHOUT_KEYS_MS,
    ExternalKeys,
    ExternalVerifier,
    IssuerDispatchVerifier,
)
from ferry.auth.verifier import LEEWAY_SECONDS, Principal
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.settings import ExternalIssuer
from tests.support.issuer import ISSUER, FakeIssuer, ec_jwk, rsa_key

EXTERNAL_ISSUER = ExternalIssuer(
    url=ISSUER,
    jwks_url="https://issuer.example/keys",
    audiences=frozenset({"ferry", "other"}),
    audience_claim="aud",
    scope_claim="scope",
    scope_prefix="",
    namespace_claim="ns",
)


class ExternalIssuerHarness:
    """An issuer that may be down, and a verifier; `asked` counts the questions."""

    def __init__(self, external_issuer: ExternalIssuer = EXTERNAL_ISSUER) -> None:
        self.clock = SettableClock()
        self.issuer = FakeIssuer(self.clock)
        self.fetch_count = 0
        self.issuer_is_down = False
        self.verifier = ExternalVerifier(ExternalKeys(self.fetch, self.clock), external_issuer)

    def fetch(self) -> bytes:
        self.fetch_count += 1
        if self.issuer_is_down:
            raise ConnectionError
        return self.issuer.jwks_document()

    def rejects(self, token: str) -> bool:
        try:
            self.verifier.verify(token)
        except InvalidToken:
            return True
        return False


@pytest.fixture
def harness() -> ExternalIssuerHarness:
    return ExternalIssuerHarness()


def test_external_token_verifies_to_principal(harness: ExternalIssuerHarness) -> None:
    """Subject, namespace, scopes, and from whom it is."""
    principal = harness.verifier.verify(harness.issuer.sign_token())
    assert principal == Principal("robot", "acme", frozenset({"files:read", "email"}), issuer=ISSUER)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://issuer.example/other"},
        {"iss": None},
        {"aud": "somebody"},
        {"aud": ["somebody"]},
        {"aud": None},
        {"aud": {"ferry": 1}},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"ns": None},
        {"ns": ""},
        {"ns": 7},
        {"ns": ["acme"]},
        {"ns": "a b"},
        {"ns": "a\n"},
        {"ns": "a\x00"},
        {"ns": "é"},
        {"ns": "n" * 129},
    ],
)
def test_invalid_claims_are_rejected(harness: ExternalIssuerHarness, changes: dict[str, Any]) -> None:
    """Signed by the issuer all the same: for somebody else, from somebody else, or for no namespace."""
    assert not harness.rejects(harness.issuer.sign_token())
    assert harness.rejects(harness.issuer.sign_token(**changes))


def test_time_claims_have_leeway(harness: ExternalIssuerHarness) -> None:
    """Expired, and not valid yet: 30 s either way and no more; times that are no integers are none."""
    now = harness.clock() // 1000
    for good in ({"exp": now - LEEWAY_SECONDS + 1}, {"nbf": now + LEEWAY_SECONDS}, {"iat": now + LEEWAY_SECONDS}):
        assert not harness.rejects(harness.issuer.sign_token(**good))
    for bad in (
        {"exp": now - LEEWAY_SECONDS},
        {"nbf": now + LEEWAY_SECONDS + 1},
        {"iat": now + LEEWAY_SECONDS + 1},
        {"exp": now + 0.5},
    ):
        assert harness.rejects(harness.issuer.sign_token(**bad))


def test_only_issuer_keys_with_own_algorithm_are_accepted(harness: ExternalIssuerHarness) -> None:
    """Nothing unsigned, nothing by a key of somebody else, no other algorithm, no key that the token brings itself."""
    claims, kid = harness.issuer.claims(), harness.issuer.kid
    own = rsa_key(1)
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = harness.issuer.keys[0]["n"]
    forged = [
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, rsa_key(2), algorithm="RS256", headers={"kid": kid}),
        jwt.encode(claims, own, algorithm="RS512", headers={"kid": kid}),
        jwt.encode(claims, own, algorithm="PS256", headers={"kid": kid}),
        jwt.encode(claims, own, algorithm="RS256"),
        jwt.encode(claims, own, algorithm="RS256", headers={"kid": kid, "crit": ["x"], "x": 1}),
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid, "jwk": ec_jwk("own", stranger)}),
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid}),
        harness.issuer.sign_token()[:-3],
        "",
        "a.b.c",
    ]
    for token in forged:
        assert harness.rejects(token)


def test_cognito_access_token_is_accepted() -> None:
    """No aud but client_id, scopes behind a resource server's name, a namespace by client."""
    trust = replace(EXTERNAL_ISSUER, audience_claim="client_id", scope_prefix="ferry/", namespace_claim="client_id")
    harness = ExternalIssuerHarness(replace(trust, audiences=frozenset({"7abc", "8def"})))
    claims = {"aud": None, "client_id": "7abc", "scope": "ferry/files:read ferry/files:write other/files:admin"}
    principal = harness.verifier.verify(harness.issuer.sign_token(**claims))
    assert (principal.ns, principal.scopes) == ("7abc", frozenset({"files:read", "files:write"}))
    assert harness.rejects(harness.issuer.sign_token(**{**claims, "client_id": "9ghi"}))
    # An id token is for the same client, which it names elsewhere.
    assert harness.rejects(harness.issuer.sign_token(aud="7abc", token_use="id"))


def test_entra_application_token_is_accepted() -> None:
    """Application permissions are a list in roles; the tenant is the namespace."""
    harness = ExternalIssuerHarness(
        replace(EXTERNAL_ISSUER, audiences=frozenset({"api://ferry"}), scope_claim="roles", namespace_claim="tid")
    )
    claims = {"aud": "api://ferry", "scope": None, "roles": ["files:read", 7], "tid": "72f988bf-86f1-41af"}
    principal = harness.verifier.verify(harness.issuer.sign_token(**claims))
    assert (principal.ns, principal.scopes) == ("72f988bf-86f1-41af", frozenset({"files:read"}))
    assert harness.verifier.verify(harness.issuer.sign_token(**{**claims, "roles": {"files:read": 1}})).scopes == set()


def test_keycloak_audience_list_is_accepted(harness: ExternalIssuerHarness) -> None:
    """Ours is one of them."""
    assert not harness.rejects(harness.issuer.sign_token(aud=["account", "ferry"]))


def test_keys_are_cached(harness: ExternalIssuerHarness) -> None:
    """Once in five minutes for tokens that are good."""
    for _ in range(10):
        harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 1
    harness.clock.advance(CACHE_TTL_MS)
    harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 2


def test_unknown_kids_are_rate_limited(harness: ExternalIssuerHarness) -> None:
    """A thousand made-up ids are one question in 30 s; the good tokens between them go on."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.clock.advance(REFETCH_INTERVAL_MS)
    asked = harness.fetch_count
    for number in range(1000):
        assert harness.rejects(jwt.encode({}, rsa_key(2), algorithm="RS256", headers={"kid": f"made-up-{number}"}))
        if not number % 100:
            harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == asked + 1


def test_new_key_is_fetched_on_first_use(harness: ExternalIssuerHarness) -> None:
    """A key that is not known is looked for at once; what the old one has signed is believed while it is published."""
    old = harness.issuer.sign_token()
    harness.verifier.verify(old)
    harness.clock.advance(REFETCH_INTERVAL_MS)
    before = list(harness.issuer.keys)
    harness.issuer.rotate_key()
    harness.issuer.publish_current_key()
    harness.issuer.keys += before
    assert not harness.rejects(harness.issuer.sign_token())
    assert not harness.rejects(old)
    harness.issuer.publish_current_key()
    harness.clock.advance(CACHE_TTL_MS)
    assert not harness.rejects(harness.issuer.sign_token())
    assert harness.rejects(old)


def test_cached_keys_serve_for_an_hour_while_issuer_is_down(harness: ExternalIssuerHarness) -> None:
    """No key that is not known, and nobody at all when the hour is over; a question in 30 s; then all is as before."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.issuer_is_down = True
    stranger = jwt.encode(harness.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-2"})
    asked, seconds = harness.fetch_count, MAX_STALE_MS // 1000 - 1
    for _ in range(seconds):
        harness.clock.advance(1000)
        assert not harness.rejects(harness.issuer.sign_token())
        assert harness.rejects(stranger)
    assert harness.fetch_count - asked <= seconds // (REFETCH_INTERVAL_MS // 1000) + 1
    harness.clock.advance(1000)
    token = harness.issuer.sign_token()
    for each in (token, stranger):
        with pytest.raises(BackendUnavailable):
            harness.verifier.verify(each)
    harness.issuer_is_down = False
    harness.clock.advance(REFETCH_INTERVAL_MS)
    assert not harness.rejects(token)


def test_no_keys_raises_backend_unavailable(harness: ExternalIssuerHarness) -> None:
    """A 503, not a 401, for the token may be good; and it is asked again soon, though not by every request."""
    harness.issuer_is_down = True
    for _ in range(10):
        with pytest.raises(BackendUnavailable):
            harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 1
    harness.issuer_is_down = False
    harness.clock.advance(REFETCH_INTERVAL_WITHOUT_KEYS_MS)
    assert not harness.rejects(harness.issuer.sign_token())


def test_invalid_document_keeps_cached_keys(harness: ExternalIssuerHarness) -> None:
    """The keys of before go on; an empty set is one, and is believed: the issuer takes its keys away by it."""
    token = harness.issuer.sign_token()
    harness.verifier.verify(token)
    harness.issuer.keys = [{}] * 1000
    harness.clock.advance(CACHE_TTL_MS)
    assert not harness.rejects(token)
    harness.issuer.keys = []
    harness.clock.advance(REFETCH_INTERVAL_MS)
    assert harness.rejects(token)


def test_clock_set_back_refreshes_keys(harness: ExternalIssuerHarness) -> None:
    """What was read in the future is read again."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.clock.advance(-10 * MAX_STALE_MS)
    harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 2


def test_token_is_dispatched_by_issuer(harness: ExternalIssuerHarness) -> None:
    """The claim chooses, unverified, and is then demanded: naming the other issuer helps nobody."""
    asked: list[str] = []

    class Own:
        def verify(self, token: str) -> Principal:
            asked.append(token)
            raise InvalidToken

    either = IssuerDispatchVerifier(Own(), harness.verifier, ISSUER)
    assert either.verify(harness.issuer.sign_token()).ns == "acme"
    assert asked == []
    as_ferry = harness.issuer.sign_token(iss="ferry")
    for token in (as_ferry, "", "a.b.c", harness.issuer.sign_token(iss=None)):
        with pytest.raises(InvalidToken):
            either.verify(token)
    assert as_ferry in asked
    # A token that Ferry itself might have signed, but for its issuer: the outside's keys do not verify it.
    with pytest.raises(InvalidToken):
        either.verify(jwt.encode(harness.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-1"}))


@pytest.mark.parametrize("missing", ["JWKS_URL", "AUDIENCE", "NAMESPACE_CLAIM"])
def test_incomplete_external_issuer_raises(missing: str) -> None:
    """What is not told is not guessed: an issuer without an audience would be believed for everybody's tokens."""
    names = ("URL", "JWKS_URL", "AUDIENCE", "AUDIENCE_CLAIM", "SCOPE_CLAIM", "NAMESPACE_CLAIM")
    whole = {f"FERRY_EXTERNAL_ISSUER_{name}": "x" for name in names}
    assert ExternalIssuer.from_environment({}) is None
    assert ExternalIssuer.from_environment(whole) is not None
    with pytest.raises(ValueError, match="is empty"):
        ExternalIssuer.from_environment({**whole, f"FERRY_EXTERNAL_ISSUER_{missing}": ""})
