"""Issuing and verifying Ferry's own tokens, and the published keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from dev.fakes.auth_store import MemoryAuthStore, MemorySigner
from dev.fakes.clock import SettableClock
from ferry.auth.issuer import Issuer, Token, TokenRequest, issue
from ferry.auth.key_cache import REFETCH_INTERVAL_MS, KeySetCache, load_or_publish, thumbprint
from ferry.auth.oauth import InvalidClient, InvalidScope, InvalidTokenRequest, OAuthError, UnsupportedGrantType
from ferry.auth.verifier import LEEWAY_SECONDS, InternalVerifier, Principal
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.http.json_values import to_json
from ferry.http.responses.keys import JsonWebKeySet
from ferry.model.auth import Client, KeySet, PublicKey
from ferry.ports.errors import ConcurrentUpdate

OLD_SECRET, NEW_SECRET = "old secret", "new secret"
CACHE_TTL_MS = 45_000


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class AuthHarness:
    """An issuer and a verifier over one store and one clock, each with a cache of its own."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = MemoryAuthStore()
        self.signer = MemorySigner()
        self.issuer = Issuer(
            store=self.store,
            key_set_cache=KeySetCache(self.store, self.clock, CACHE_TTL_MS),
            signer=self.signer,
            clock=self.clock,
            key_ref="key-1",
            issuer="ferry",
            audience="ferry",
            token_ttl_seconds=60,
        )
        self.verifier = self.new_verifier()
        self.store.put_client(
            Client("one", "ns", frozenset({"a", "b"}), (secret_hash(OLD_SECRET), secret_hash(NEW_SECRET)))
        )

    def new_verifier(self) -> InternalVerifier:
        return InternalVerifier(KeySetCache(self.store, self.clock, CACHE_TTL_MS), issuer="ferry", audience="ferry")

    def token(self, scope: str = "", secret: str = OLD_SECRET) -> Token:
        return issue(self.issuer, TokenRequest("one", secret, "client_credentials", scope))

    def forge(self, change: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """Return a token of the published key with changed claims. A change to None removes the claim."""
        claims = jwt.decode(self.token().access_token, options={"verify_signature": False}) | dict(change)
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.signer._key("key-1")
        kid = self.store.published_key_set.signing_kid if self.store.published_key_set else ""
        return jwt.encode(kept, key, algorithm="ES256", headers={"kid": kid, **(headers or {})})


@pytest.fixture
def harness() -> AuthHarness:
    return AuthHarness()


def test_issued_token_verifies_to_principal(harness: AuthHarness) -> None:
    """A token verifies to its client. Without a requested scope it has all of the client's scopes, sorted."""
    token = harness.token()
    assert (token.scope, token.expires_in) == ("a b", 60)
    assert harness.verifier.verify(token.access_token) == Principal("one", "ns", frozenset({"a", "b"}))
    narrow = harness.token("b")
    assert harness.verifier.verify(narrow.access_token).scopes == {"b"}
    assert narrow.scope == "b"


def test_both_secrets_work_during_rotation(harness: AuthHarness) -> None:
    """The old and the new secret both get a token."""
    assert harness.token(secret=OLD_SECRET).scope == harness.token(secret=NEW_SECRET).scope


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (TokenRequest("one", OLD_SECRET, "", ""), InvalidTokenRequest),
        (TokenRequest("one", OLD_SECRET, "password", ""), UnsupportedGrantType),
        (TokenRequest("one", "wrong", "client_credentials", ""), InvalidClient),
        (TokenRequest("two", OLD_SECRET, "client_credentials", ""), InvalidClient),
        (TokenRequest("gone", OLD_SECRET, "client_credentials", ""), InvalidClient),
        (TokenRequest("bare", "", "client_credentials", ""), InvalidClient),
        (TokenRequest("bare", OLD_SECRET, "client_credentials", ""), InvalidClient),
        (TokenRequest("", OLD_SECRET, "client_credentials", ""), InvalidClient),
        (TokenRequest("x" * 257, OLD_SECRET, "client_credentials", ""), InvalidClient),
        (TokenRequest("\ud800", "\ud800", "client_credentials", ""), InvalidClient),
        (TokenRequest("one", OLD_SECRET, "client_credentials", "a c"), InvalidScope),
        (TokenRequest("one", OLD_SECRET, "client_credentials", "a  b"), InvalidScope),
        (TokenRequest("one", OLD_SECRET, "client_credentials", " "), InvalidScope),
        (TokenRequest("one", OLD_SECRET, "client_credentials", "a\n"), InvalidScope),
    ],
)
def test_invalid_token_request_is_rejected(
    harness: AuthHarness, request_: TokenRequest, error: type[OAuthError]
) -> None:
    """Each invalid request raises its own error; unknown, disabled and wrong secret raise the same one."""
    harness.store.put_client(Client("gone", "ns", frozenset({"a"}), (secret_hash(OLD_SECRET),), disabled=True))
    harness.store.put_client(Client("bare", "ns", frozenset({"a"}), ()))
    with pytest.raises(error):
        issue(harness.issuer, request_)


@pytest.mark.parametrize("client_id", ["one", "two"])
def test_wrong_and_unknown_credentials_compare_two_hashes(
    harness: AuthHarness, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong secret and an unknown client take two comparisons each, so timing reveals nothing."""
    compared: list[bytes] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(second)
        return first == second

    monkeypatch.setattr("ferry.auth.issuer.hmac.compare_digest", compare)
    with pytest.raises(InvalidClient):
        issue(harness.issuer, TokenRequest(client_id, "wrong", "client_credentials", ""))
    assert len(compared) == 2


REQUIRED_CLAIMS = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns")


@pytest.mark.parametrize(
    "change",
    [{name: None} for name in REQUIRED_CLAIMS]
    + [{name: ["x"]} for name in REQUIRED_CLAIMS]
    + [{name: True} for name in REQUIRED_CLAIMS]
    + [{"exp": 1.5}, {"iat": "1"}, {"sub": 1}, {"iss": "other"}, {"aud": "other"}, {"aud": ["ferry"]}, {"ns": {}}],
)
def test_invalid_claims_are_rejected(harness: AuthHarness, change: dict[str, Any]) -> None:
    """A correctly signed token is rejected if a claim is missing or of a wrong type."""
    harness.verifier.verify(harness.forge({}))
    try:
        forged = harness.forge(change)
    except TypeError:  # PyJWT does not sign these values, so no such token exists
        return
    with pytest.raises(InvalidToken):
        harness.verifier.verify(forged)


def test_leeway_allows_clock_skew(harness: AuthHarness) -> None:
    """Clocks may differ by 30 seconds in either direction."""
    now = harness.clock() // 1000
    for change in (
        {"exp": now - LEEWAY_SECONDS + 5},
        {"nbf": now + LEEWAY_SECONDS - 5},
        {"iat": now + LEEWAY_SECONDS - 5},
    ):
        harness.verifier.verify(harness.forge(change))
    for change in (
        {"exp": now - LEEWAY_SECONDS - 1},
        {"nbf": now + LEEWAY_SECONDS + 5},
        {"iat": now + LEEWAY_SECONDS + 5},
    ):
        with pytest.raises(InvalidToken):
            harness.verifier.verify(harness.forge(change))


def test_only_es256_with_published_key_is_accepted(harness: AuthHarness) -> None:
    """Rejects other algorithms, unknown keys, critical extensions and unsigned tokens."""
    token = harness.token().access_token
    assert harness.store.published_key_set is not None
    kid = harness.store.published_key_set.signing_kid
    claims = jwt.decode(token, options={"verify_signature": False})
    stranger = MemorySigner()._key("x")
    public = str(harness.store.published_key_set.keys[0].jwk["x"]).ljust(32, "x")
    forged = [
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid}),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, harness.signer._key("key-1"), algorithm="ES256"),
        harness.forge({}, {"kid": "unknown"}),
        harness.forge({}, {"crit": ["x"], "x": 1}),
        token[:-2],
        token + "x",
        token.split(".")[0],
        "",
    ]
    for each in forged:
        with pytest.raises(InvalidToken):
            harness.verifier.verify(each)


def test_key_set_is_cached(harness: AuthHarness) -> None:
    """The key set is read once per cache lifetime; for unknown key ids once in five seconds at most."""
    token = harness.token().access_token
    unknown = harness.forge({}, {"kid": "unknown"})
    harness.store.key_set_reads = 0
    for _ in range(10):
        harness.verifier.verify(token)
    assert harness.store.key_set_reads == 1
    for _ in range(10):
        with pytest.raises(InvalidToken):
            harness.verifier.verify(unknown)
    assert harness.store.key_set_reads == 1
    harness.clock.advance(REFETCH_INTERVAL_MS)
    for _ in range(10):
        with pytest.raises(InvalidToken):
            harness.verifier.verify(unknown)
    assert harness.store.key_set_reads == 2


def test_earlier_clock_refreshes_key_set_cache(harness: AuthHarness) -> None:
    """If the clock jumps back, the cached key set counts as stale."""
    keys = KeySetCache(harness.store, harness.clock, CACHE_TTL_MS)
    harness.token()
    keys.key_set()
    harness.store.key_set_reads = 0
    harness.clock.advance(-10 * CACHE_TTL_MS)
    keys.key_set()
    assert harness.store.key_set_reads == 1


def test_missing_key_set_is_not_cached(harness: AuthHarness) -> None:
    """A missing key set is not cached, so the first token verifies immediately after a failed check."""
    with pytest.raises(InvalidToken):
        harness.verifier.verify(jwt.encode({}, MemorySigner()._key("x"), algorithm="ES256", headers={"kid": "x"}))
    harness.verifier.verify(harness.token().access_token)


def test_concurrent_first_publishers_agree(harness: AuthHarness) -> None:
    """The second publisher uses the key set of the first; if that is gone, the request fails."""
    first = load_or_publish(
        KeySetCache(harness.store, harness.clock, CACHE_TTL_MS), harness.store, harness.signer, "key-1"
    )

    class LatePublisherStore(MemoryAuthStore):
        found: KeySet | None = first

        def get_key_set(self) -> KeySet | None:
            self.key_set_reads += 1
            return None if self.key_set_reads == 1 else self.found

        def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
            raise ConcurrentUpdate

    late = LatePublisherStore()
    assert load_or_publish(KeySetCache(late, harness.clock, CACHE_TTL_MS), late, harness.signer, "key-2") == first
    gone = LatePublisherStore()
    gone.found = None
    with pytest.raises(BackendUnavailable):
        load_or_publish(KeySetCache(gone, harness.clock, CACHE_TTL_MS), gone, harness.signer, "key-2")


def test_kid_is_rfc_7638_thumbprint() -> None:
    """The kid is the thumbprint over the required members; other members do not change it."""
    jwk = {"kty": "EC", "crv": "P-256", "x": "1", "y": "2"}
    canonical = b'{"crv":"P-256","kty":"EC","x":"1","y":"2"}'
    expected = jwt.utils.base64url_encode(hashlib.sha256(canonical).digest()).decode()
    assert thumbprint(jwk) == thumbprint({**jwk, "use": "sig"}) == expected


def test_jwks_has_no_signer_reference() -> None:
    """The key set names no KMS key."""
    key_set = KeySet("k", (PublicKey("k", {"kty": "EC", "crv": "P-256", "x": "1", "y": "2"}, "arn:secret"),))
    [key] = to_json(JsonWebKeySet.from_key_set(key_set))["keys"]
    assert key == {"kty": "EC", "crv": "P-256", "x": "1", "y": "2", "kid": "k", "use": "sig", "alg": "ES256"}


def test_token_in_another_spelling_is_rejected(harness: AuthHarness) -> None:
    """Padding, and spare bits that a decoder drops, make another text of the same token: both are rejected."""
    token = harness.token().access_token
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other_spare_bits = token[:-1] + letters[letters.index(token[-1]) ^ 1]
    harness.verifier.verify(token)
    for spelling in (f"{token}==", f"{token}=", other_spare_bits):
        with pytest.raises(InvalidToken):
            harness.verifier.verify(spelling)
