"""Tokens: who gets one, what is in it, which ones are believed, and the keys behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from ferry.access.issue import Issuer, Token, TokenRequest, issue
from ferry.access.keyring import FRESH, RETRY, KeyCache, key_set, published, thumbprint
from ferry.access.oauth import InvalidClient, InvalidScope, InvalidTokenRequest, OAuthError, UnsupportedGrantType
from ferry.access.verify import LEEWAY, Principal, Verifier
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.ports import Moved
from ferry.trust import Client, Keyring, PublicKey
from tests.fakes.access import MemoryAccess, MemorySigner
from tests.fakes.clock import SettableClock

OLD, NEW = "old secret", "new secret"


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class World:
    """An issuer and a verifier over the same store, each with a cache of its own, and one clock for all."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = MemoryAccess()
        self.signer = MemorySigner()
        self.issuer = Issuer(
            store=self.store,
            keys=KeyCache(self.store, self.clock),
            signer=self.signer,
            clock=self.clock,
            key_ref="key-1",
            issuer="ferry",
            audience="ferry",
            lifetime=60,
        )
        self.verifier = self.new_verifier()
        self.store.put_client(Client("one", "ns", frozenset({"a", "b"}), (digest(OLD), digest(NEW))))

    def new_verifier(self) -> Verifier:
        return Verifier(KeyCache(self.store, self.clock), issuer="ferry", audience="ferry")

    def token(self, scope: str = "", secret: str = OLD) -> Token:
        return issue(self.issuer, TokenRequest("one", secret, "client_credentials", scope))

    def forge(self, change: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """A token signed with the right key, whose claims are changed; None takes one away."""
        claims = jwt.decode(self.token().access_token, options={"verify_signature": False}) | dict(change)
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.signer._key("key-1")
        kid = self.store.published.signing_kid if self.store.published else ""
        return jwt.encode(kept, key, algorithm="ES256", headers={"kid": kid, **(headers or {})})


@pytest.fixture
def world() -> World:
    """A fresh one for each test."""
    return World()


def test_a_token_tells_who_and_what(world: World) -> None:
    """What is issued is what is verified; without a scope it is all of the client's, sorted."""
    token = world.token()
    assert (token.scope, token.expires_in) == ("a b", 60)
    assert world.verifier.principal(token.access_token) == Principal("one", "ns", frozenset({"a", "b"}))
    narrow = world.token("b")
    assert world.verifier.principal(narrow.access_token).scopes == {"b"}
    assert narrow.scope == "b"


def test_both_secrets_work_during_a_rotation(world: World) -> None:
    """Neither needs the other."""
    assert world.token(secret=OLD).scope == world.token(secret=NEW).scope


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (TokenRequest("one", OLD, "", ""), InvalidTokenRequest),
        (TokenRequest("one", OLD, "password", ""), UnsupportedGrantType),
        (TokenRequest("one", "wrong", "client_credentials", ""), InvalidClient),
        (TokenRequest("two", OLD, "client_credentials", ""), InvalidClient),
        (TokenRequest("gone", OLD, "client_credentials", ""), InvalidClient),
        (TokenRequest("bare", "", "client_credentials", ""), InvalidClient),
        (TokenRequest("bare", OLD, "client_credentials", ""), InvalidClient),
        (TokenRequest("", OLD, "client_credentials", ""), InvalidClient),
        (TokenRequest("x" * 257, OLD, "client_credentials", ""), InvalidClient),
        (TokenRequest("\ud800", "\ud800", "client_credentials", ""), InvalidClient),
        (TokenRequest("one", OLD, "client_credentials", "a c"), InvalidScope),
        (TokenRequest("one", OLD, "client_credentials", "a  b"), InvalidScope),
        (TokenRequest("one", OLD, "client_credentials", " "), InvalidScope),
        (TokenRequest("one", OLD, "client_credentials", "a\n"), InvalidScope),
    ],
)
def test_who_gets_no_token(world: World, request_: TokenRequest, error: type[OAuthError]) -> None:
    """Each refusal is of its own kind; unknown, disabled and wrong are one."""
    world.store.put_client(Client("gone", "ns", frozenset({"a"}), (digest(OLD),), disabled=True))
    world.store.put_client(Client("bare", "ns", frozenset({"a"}), ()))
    with pytest.raises(error):
        issue(world.issuer, request_)


@pytest.mark.parametrize("client_id", ["one", "two"])
def test_wrong_and_unknown_do_the_same_work(world: World, client_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two comparisons each, so that the time tells nothing."""
    compared: list[bytes] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(second)
        return first == second

    monkeypatch.setattr("ferry.access.issue.hmac.compare_digest", compare)
    with pytest.raises(InvalidClient):
        issue(world.issuer, TokenRequest(client_id, "wrong", "client_credentials", ""))
    assert len(compared) == 2


CLAIMS = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns")


@pytest.mark.parametrize(
    "change",
    [{name: None} for name in CLAIMS]
    + [{name: ["x"]} for name in CLAIMS]
    + [{name: True} for name in CLAIMS]
    + [{"exp": 1.5}, {"iat": "1"}, {"sub": 1}, {"iss": "other"}, {"aud": "other"}, {"aud": ["ferry"]}, {"ns": {}}],
)
def test_a_token_whose_claims_are_missing_or_wrong(world: World, change: dict[str, Any]) -> None:
    """Signed with the right key all the same: every claim is required, and of its type."""
    world.verifier.principal(world.forge({}))
    try:
        forged = world.forge(change)
    except TypeError:  # the library refuses to sign some; those cannot arrive from it
        return
    with pytest.raises(InvalidToken):
        world.verifier.principal(forged)


def test_clocks_may_differ_by_the_leeway(world: World) -> None:
    """30 s either way, and no more."""
    now = world.clock() // 1000
    for change in ({"exp": now - LEEWAY + 5}, {"nbf": now + LEEWAY - 5}, {"iat": now + LEEWAY - 5}):
        world.verifier.principal(world.forge(change))
    for change in ({"exp": now - LEEWAY - 1}, {"nbf": now + LEEWAY + 5}, {"iat": now + LEEWAY + 5}):
        with pytest.raises(InvalidToken):
            world.verifier.principal(world.forge(change))


def test_only_es256_with_a_published_key(world: World) -> None:
    """No other algorithm, no key of somebody else, no critical extension, nothing unsigned."""
    token = world.token().access_token
    assert world.store.published is not None
    kid = world.store.published.signing_kid
    claims = jwt.decode(token, options={"verify_signature": False})
    stranger = MemorySigner()._key("x")
    public = str(world.store.published.keys[0].jwk["x"]).ljust(32, "x")
    forged = [
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid}),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, world.signer._key("key-1"), algorithm="ES256"),
        world.forge({}, {"kid": "unknown"}),
        world.forge({}, {"crit": ["x"], "x": 1}),
        token[:-2],
        token + "x",
        token.split(".")[0],
        "",
    ]
    for each in forged:
        with pytest.raises(InvalidToken):
            world.verifier.principal(each)


def test_the_keyring_is_read_seldom(world: World) -> None:
    """Once in `FRESH`; and for unknown keys once in five seconds, however many come."""
    token = world.token().access_token
    unknown = world.forge({}, {"kid": "unknown"})
    world.store.reads = 0
    for _ in range(10):
        world.verifier.principal(token)
    assert world.store.reads == 1
    for _ in range(10):
        with pytest.raises(InvalidToken):
            world.verifier.principal(unknown)
    assert world.store.reads == 1
    world.clock.advance(RETRY)
    for _ in range(10):
        with pytest.raises(InvalidToken):
            world.verifier.principal(unknown)
    assert world.store.reads == 2


def test_a_clock_set_back_does_not_freeze_the_cache(world: World) -> None:
    """What was read in the future is read again."""
    keys = KeyCache(world.store, world.clock)
    world.token()
    keys.keyring()
    world.store.reads = 0
    world.clock.advance(-10 * FRESH)
    keys.keyring()
    assert world.store.reads == 1


def test_without_any_key_every_look_is_a_read(world: World) -> None:
    """So the first token ever issued is believed at once, even by who was just asked about another."""
    with pytest.raises(InvalidToken):
        world.verifier.principal(jwt.encode({}, MemorySigner()._key("x"), algorithm="ES256", headers={"kid": "x"}))
    world.verifier.principal(world.token().access_token)


def test_two_first_publishers_agree(world: World) -> None:
    """Who comes second takes what is there; if even that is gone, the request fails."""
    first = published(KeyCache(world.store, world.clock), world.store, world.signer, "key-1")

    class Late(MemoryAccess):
        found: Keyring | None = first

        def keyring(self) -> Keyring | None:
            self.reads += 1
            return None if self.reads == 1 else self.found

        def publish(self, keyring: Keyring, *, over: Keyring | None) -> None:
            raise Moved

    late = Late()
    assert published(KeyCache(late, world.clock), late, world.signer, "key-2") == first
    gone = Late()
    gone.found = None
    with pytest.raises(BackendUnavailable):
        published(KeyCache(gone, world.clock), gone, world.signer, "key-2")


def test_the_key_id_is_the_rfc_7638_thumbprint() -> None:
    """Computed over the required members in order, so what else a JWK has changes nothing."""
    jwk = {"kty": "EC", "crv": "P-256", "x": "1", "y": "2"}
    canonical = b'{"crv":"P-256","kty":"EC","x":"1","y":"2"}'
    expected = jwt.utils.base64url_encode(hashlib.sha256(canonical).digest()).decode()
    assert thumbprint(jwk) == thumbprint({**jwk, "use": "sig"}) == expected


def test_the_key_set_has_no_reference_to_the_signer() -> None:
    """What is public is public; where the private half lives is not."""
    ring = Keyring("k", (PublicKey("k", {"kty": "EC", "crv": "P-256", "x": "1", "y": "2"}, "arn:secret"),))
    [key] = key_set(ring)["keys"]
    assert key == {"kty": "EC", "crv": "P-256", "x": "1", "y": "2", "kid": "k", "use": "sig", "alg": "ES256"}
