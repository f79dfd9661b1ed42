"""Verifying tokens of an external issuer, and its key set while the issuer is unreachable."""

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
    """An issuer that may be down, and a verifier. `fetch_count` counts fetches of the key set."""

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
    """A token verifies to its subject, namespace, scopes and issuer."""
    principal = harness.verifier.verify(harness.issuer.sign_token())
    assert principal == Principal("robot", "acme", frozenset({"files:read", "email"}), issuer=ISSUER)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://issuer.example/other"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": ["another-service"]},
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
    """A correctly signed token of another issuer or audience, or without a valid namespace, is rejected."""
    assert not harness.rejects(harness.issuer.sign_token())
    assert harness.rejects(harness.issuer.sign_token(**changes))


def test_time_claims_have_leeway(harness: ExternalIssuerHarness) -> None:
    """Time claims have 30 seconds of leeway and must be integers."""
    now = harness.clock() // 1000
    for accepted in ({"exp": now - LEEWAY_SECONDS + 1}, {"nbf": now + LEEWAY_SECONDS}, {"iat": now + LEEWAY_SECONDS}):
        assert not harness.rejects(harness.issuer.sign_token(**accepted))
    for rejected in (
        {"exp": now - LEEWAY_SECONDS},
        {"nbf": now + LEEWAY_SECONDS + 1},
        {"iat": now + LEEWAY_SECONDS + 1},
        {"exp": now + 0.5},
    ):
        assert harness.rejects(harness.issuer.sign_token(**rejected))


def test_only_issuer_keys_with_own_algorithm_are_accepted(harness: ExternalIssuerHarness) -> None:
    """Rejects unsigned tokens, other keys and algorithms, and a key inside the token's header."""
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
    """Cognito: the audience in client_id, scopes with a prefix, and a namespace for each client."""
    external_issuer = replace(
        EXTERNAL_ISSUER, audience_claim="client_id", scope_prefix="ferry/", namespace_claim="client_id"
    )
    harness = ExternalIssuerHarness(replace(external_issuer, audiences=frozenset({"7abc", "8def"})))
    claims = {"aud": None, "client_id": "7abc", "scope": "ferry/files:read ferry/files:write other/files:admin"}
    principal = harness.verifier.verify(harness.issuer.sign_token(**claims))
    assert (principal.ns, principal.scopes) == ("7abc", frozenset({"files:read", "files:write"}))
    assert harness.rejects(harness.issuer.sign_token(**{**claims, "client_id": "9ghi"}))
    # An ID token names the client in another claim.
    assert harness.rejects(harness.issuer.sign_token(aud="7abc", token_use="id"))


def test_entra_application_token_is_accepted() -> None:
    """Entra: scopes are a list in roles, and the tenant is the namespace."""
    harness = ExternalIssuerHarness(
        replace(EXTERNAL_ISSUER, audiences=frozenset({"api://ferry"}), scope_claim="roles", namespace_claim="tid")
    )
    claims = {"aud": "api://ferry", "scope": None, "roles": ["files:read", 7], "tid": "72f988bf-86f1-41af"}
    principal = harness.verifier.verify(harness.issuer.sign_token(**claims))
    assert (principal.ns, principal.scopes) == ("72f988bf-86f1-41af", frozenset({"files:read"}))
    assert harness.verifier.verify(harness.issuer.sign_token(**{**claims, "roles": {"files:read": 1}})).scopes == set()


def test_keycloak_audience_list_is_accepted(harness: ExternalIssuerHarness) -> None:
    """Keycloak: one of several audiences suffices."""
    assert not harness.rejects(harness.issuer.sign_token(aud=["account", "ferry"]))


def test_keys_are_cached(harness: ExternalIssuerHarness) -> None:
    """The key set is fetched once in five minutes."""
    for _ in range(10):
        harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 1
    harness.clock.advance(CACHE_TTL_MS)
    harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 2


def test_unknown_kids_are_rate_limited(harness: ExternalIssuerHarness) -> None:
    """A thousand unknown key ids cause one fetch in 30 seconds, and valid tokens are accepted meanwhile."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.clock.advance(REFETCH_INTERVAL_MS)
    fetch_count = harness.fetch_count
    for number in range(1000):
        assert harness.rejects(jwt.encode({}, rsa_key(2), algorithm="RS256", headers={"kid": f"made-up-{number}"}))
        if not number % 100:
            harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == fetch_count + 1


def test_new_key_is_fetched_on_first_use(harness: ExternalIssuerHarness) -> None:
    """An unknown key is fetched at once; the old key's tokens are accepted as long as it is published."""
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
    """Cached keys serve for an hour with a fetch in 30 seconds; then requests fail until the issuer is back."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.issuer_is_down = True
    stranger = jwt.encode(harness.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-2"})
    fetch_count, seconds = harness.fetch_count, MAX_STALE_MS // 1000 - 1
    token = harness.issuer.sign_token()  # For all checks of 50 minutes: a signature takes longer than a check.
    for second in range(1, seconds + 1):
        harness.clock.advance(1000)
        if second % 3_000 == 0:
            token = harness.issuer.sign_token()
        assert not harness.rejects(token)
        assert harness.rejects(stranger)
    assert harness.fetch_count - fetch_count <= seconds // (REFETCH_INTERVAL_MS // 1000) + 1
    harness.clock.advance(1000)
    token = harness.issuer.sign_token()
    for each in (token, stranger):
        with pytest.raises(BackendUnavailable):
            harness.verifier.verify(each)
    harness.issuer_is_down = False
    harness.clock.advance(REFETCH_INTERVAL_MS)
    assert not harness.rejects(token)


def test_no_keys_raises_backend_unavailable(harness: ExternalIssuerHarness) -> None:
    """Without keys a token gets a 503, since it may be valid; the key set is fetched again after five seconds."""
    harness.issuer_is_down = True
    for _ in range(10):
        with pytest.raises(BackendUnavailable):
            harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 1
    harness.issuer_is_down = False
    harness.clock.advance(REFETCH_INTERVAL_WITHOUT_KEYS_MS)
    assert not harness.rejects(harness.issuer.sign_token())


def test_invalid_document_keeps_cached_keys(harness: ExternalIssuerHarness) -> None:
    """An invalid document keeps the cached keys; an empty key set replaces them."""
    token = harness.issuer.sign_token()
    harness.verifier.verify(token)
    harness.issuer.keys = [{}] * 1000
    harness.clock.advance(CACHE_TTL_MS)
    assert not harness.rejects(token)
    harness.issuer.keys = []
    harness.clock.advance(REFETCH_INTERVAL_MS)
    assert harness.rejects(token)


def test_earlier_clock_refreshes_keys(harness: ExternalIssuerHarness) -> None:
    """If the clock jumps back, the cached keys count as stale."""
    harness.verifier.verify(harness.issuer.sign_token())
    harness.clock.advance(-10 * MAX_STALE_MS)
    harness.verifier.verify(harness.issuer.sign_token())
    assert harness.fetch_count == 2


def test_token_is_dispatched_by_issuer(harness: ExternalIssuerHarness) -> None:
    """The issuer claim selects the verifier, which then requires that issuer."""
    internally_verified: list[str] = []

    class InternalVerifierFake:
        def verify(self, token: str) -> Principal:
            internally_verified.append(token)
            raise InvalidToken

    verifier = IssuerDispatchVerifier(InternalVerifierFake(), harness.verifier, ISSUER)
    assert verifier.verify(harness.issuer.sign_token()).ns == "acme"
    assert internally_verified == []
    as_ferry = harness.issuer.sign_token(iss="ferry")
    for token in (as_ferry, "", "a.b.c", harness.issuer.sign_token(iss=None)):
        with pytest.raises(InvalidToken):
            verifier.verify(token)
    assert as_ferry in internally_verified
    # A token of another key that names the external issuer does not verify with the external issuer's keys.
    with pytest.raises(InvalidToken):
        verifier.verify(jwt.encode(harness.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-1"}))


@pytest.mark.parametrize("missing", ["JWKS_URL", "AUDIENCE", "NAMESPACE_CLAIM"])
def test_incomplete_external_issuer_raises(missing: str) -> None:
    """A missing setting of the external issuer is an error that names the variable; none has a default."""
    names = ("URL", "JWKS_URL", "AUDIENCE", "AUDIENCE_CLAIM", "SCOPE_CLAIM", "NAMESPACE_CLAIM")
    complete = {f"FERRY_EXTERNAL_ISSUER_{name}": "x" for name in names}
    assert ExternalIssuer.from_environment({}) is None
    assert ExternalIssuer.from_environment(complete) is not None
    with pytest.raises(ValueError, match=f"FERRY_EXTERNAL_ISSUER_{missing} is empty"):
        ExternalIssuer.from_environment({**complete, f"FERRY_EXTERNAL_ISSUER_{missing}": ""})
