"""Tokens of an issuer outside: which are believed, what they mean, and what happens when the issuer is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ferry.access.outside import FRESH, RETRY, RETRY_WITHOUT, STALE, EitherVerifier, OutsideKeys, OutsideVerifier
from ferry.access.verify import LEEWAY, Principal
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.settings import Outside
from tests.fakes.clock import SettableClock
from tests.support.issuer import ISSUER, Issuer, ec_jwk, rsa_key

TRUST = Outside(
    issuer=ISSUER,
    jwks_url="https://issuer.example/keys",
    audiences=frozenset({"ferry", "other"}),
    audience_claim="aud",
    scope_claim="scope",
    scope_prefix="",
    namespace_claim="ns",
)


class World:
    """An issuer that may be down, and a verifier; `asked` counts the questions."""

    def __init__(self, trust: Outside = TRUST) -> None:
        self.clock = SettableClock()
        self.issuer = Issuer(self.clock)
        self.asked = 0
        self.down = False
        self.verifier = OutsideVerifier(OutsideKeys(self.fetch, self.clock), trust)

    def fetch(self) -> bytes:
        self.asked += 1
        if self.down:
            raise ConnectionError
        return self.issuer.document()

    def refuses(self, token: str) -> bool:
        try:
            self.verifier.principal(token)
        except InvalidToken:
            return True
        return False


@pytest.fixture
def world() -> World:
    return World()


def test_a_token_from_outside_tells_who_and_what(world: World) -> None:
    """Subject, namespace, scopes, and from whom it is."""
    principal = world.verifier.principal(world.issuer.token())
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
def test_claims_that_are_missing_or_wrong(world: World, changes: dict[str, Any]) -> None:
    """Signed by the issuer all the same: for somebody else, from somebody else, or for no namespace."""
    assert not world.refuses(world.issuer.token())
    assert world.refuses(world.issuer.token(**changes))


def test_its_times_are_checked_with_leeway(world: World) -> None:
    """Expired, and not valid yet: 30 s either way and no more; times that are no integers are none."""
    now = world.clock() // 1000
    for good in ({"exp": now - LEEWAY + 1}, {"nbf": now + LEEWAY}, {"iat": now + LEEWAY}):
        assert not world.refuses(world.issuer.token(**good))
    for bad in ({"exp": now - LEEWAY}, {"nbf": now + LEEWAY + 1}, {"iat": now + LEEWAY + 1}, {"exp": now + 0.5}):
        assert world.refuses(world.issuer.token(**bad))


def test_only_the_issuers_keys_by_their_own_algorithm(world: World) -> None:
    """Nothing unsigned, nothing by a key of somebody else, no other algorithm, no key that the token brings itself."""
    claims, kid = world.issuer.claims(), world.issuer.kid
    own = rsa_key(1)
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = world.issuer.keys[0]["n"]
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
        world.issuer.token()[:-3],
        "",
        "a.b.c",
    ]
    for token in forged:
        assert world.refuses(token)


def test_cognitos_access_tokens() -> None:
    """No aud but client_id, scopes behind a resource server's name, a namespace by client."""
    trust = replace(TRUST, audience_claim="client_id", scope_prefix="ferry/", namespace_claim="client_id")
    world = World(replace(trust, audiences=frozenset({"7abc", "8def"})))
    claims = {"aud": None, "client_id": "7abc", "scope": "ferry/files:read ferry/files:write other/files:admin"}
    principal = world.verifier.principal(world.issuer.token(**claims))
    assert (principal.ns, principal.scopes) == ("7abc", frozenset({"files:read", "files:write"}))
    assert world.refuses(world.issuer.token(**{**claims, "client_id": "9ghi"}))
    # An id token is for the same client, which it names elsewhere.
    assert world.refuses(world.issuer.token(aud="7abc", token_use="id"))


def test_entras_tokens_for_programs() -> None:
    """Application permissions are a list in roles; the tenant is the namespace."""
    world = World(replace(TRUST, audiences=frozenset({"api://ferry"}), scope_claim="roles", namespace_claim="tid"))
    claims = {"aud": "api://ferry", "scope": None, "roles": ["files:read", 7], "tid": "72f988bf-86f1-41af"}
    principal = world.verifier.principal(world.issuer.token(**claims))
    assert (principal.ns, principal.scopes) == ("72f988bf-86f1-41af", frozenset({"files:read"}))
    assert world.verifier.principal(world.issuer.token(**{**claims, "roles": {"files:read": 1}})).scopes == set()


def test_keycloaks_audiences_are_a_list(world: World) -> None:
    """Ours is one of them."""
    assert not world.refuses(world.issuer.token(aud=["account", "ferry"]))


def test_the_keys_are_asked_for_seldom(world: World) -> None:
    """Once in five minutes for tokens that are good."""
    for _ in range(10):
        world.verifier.principal(world.issuer.token())
    assert world.asked == 1
    world.clock.advance(FRESH)
    world.verifier.principal(world.issuer.token())
    assert world.asked == 2


def test_unknown_keys_do_not_hammer_the_issuer(world: World) -> None:
    """A thousand made-up ids are one question in 30 s; the good tokens between them go on."""
    world.verifier.principal(world.issuer.token())
    world.clock.advance(RETRY)
    asked = world.asked
    for number in range(1000):
        assert world.refuses(jwt.encode({}, rsa_key(2), algorithm="RS256", headers={"kid": f"made-up-{number}"}))
        if not number % 100:
            world.verifier.principal(world.issuer.token())
    assert world.asked == asked + 1


def test_a_new_key_is_found_as_soon_as_it_is_used(world: World) -> None:
    """A key that is not known is looked for at once; what the old one has signed is believed while it is published."""
    old = world.issuer.token()
    world.verifier.principal(old)
    world.clock.advance(RETRY)
    before = list(world.issuer.keys)
    world.issuer.change_key()
    world.issuer.publish()
    world.issuer.keys += before
    assert not world.refuses(world.issuer.token())
    assert not world.refuses(old)
    world.issuer.publish()
    world.clock.advance(FRESH)
    assert not world.refuses(world.issuer.token())
    assert world.refuses(old)


def test_while_the_issuer_is_down_its_known_keys_serve_for_an_hour(world: World) -> None:
    """No key that is not known, and nobody at all when the hour is over; a question in 30 s; then all is as before."""
    world.verifier.principal(world.issuer.token())
    world.down = True
    stranger = jwt.encode(world.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-2"})
    asked, seconds = world.asked, STALE // 1000 - 1
    for _ in range(seconds):
        world.clock.advance(1000)
        assert not world.refuses(world.issuer.token())
        assert world.refuses(stranger)
    assert world.asked - asked <= seconds // (RETRY // 1000) + 1
    world.clock.advance(1000)
    token = world.issuer.token()
    for each in (token, stranger):
        with pytest.raises(BackendUnavailable):
            world.verifier.principal(each)
    world.down = False
    world.clock.advance(RETRY)
    assert not world.refuses(token)


def test_without_any_keys_nobody_is_let_in(world: World) -> None:
    """A 503, not a 401, for the token may be good; and it is asked again soon, though not by every request."""
    world.down = True
    for _ in range(10):
        with pytest.raises(BackendUnavailable):
            world.verifier.principal(world.issuer.token())
    assert world.asked == 1
    world.down = False
    world.clock.advance(RETRY_WITHOUT)
    assert not world.refuses(world.issuer.token())


def test_a_document_that_is_none_is_an_outage(world: World) -> None:
    """The keys of before go on; an empty set is one, and is believed: the issuer takes its keys away by it."""
    token = world.issuer.token()
    world.verifier.principal(token)
    world.issuer.keys = [{}] * 1000
    world.clock.advance(FRESH)
    assert not world.refuses(token)
    world.issuer.keys = []
    world.clock.advance(RETRY)
    assert world.refuses(token)


def test_a_clock_set_back_does_not_freeze_the_keys(world: World) -> None:
    """What was read in the future is read again."""
    world.verifier.principal(world.issuer.token())
    world.clock.advance(-10 * STALE)
    world.verifier.principal(world.issuer.token())
    assert world.asked == 2


def test_each_token_is_checked_by_whom_it_says_it_is_from(world: World) -> None:
    """The claim chooses, unverified, and is then demanded: naming the other issuer helps nobody."""
    asked: list[str] = []

    class Own:
        def principal(self, token: str) -> Principal:
            asked.append(token)
            raise InvalidToken

    either = EitherVerifier(Own(), world.verifier, ISSUER)
    assert either.principal(world.issuer.token()).ns == "acme"
    assert asked == []
    as_ferry = world.issuer.token(iss="ferry")
    for token in (as_ferry, "", "a.b.c", world.issuer.token(iss=None)):
        with pytest.raises(InvalidToken):
            either.principal(token)
    assert as_ferry in asked
    # A token that Ferry itself might have signed, but for its issuer: the outside's keys do not verify it.
    with pytest.raises(InvalidToken):
        either.principal(jwt.encode(world.issuer.claims(), rsa_key(2), algorithm="RS256", headers={"kid": "rsa-1"}))


@pytest.mark.parametrize("missing", ["JWKS_URL", "AUDIENCE", "NAMESPACE_CLAIM"])
def test_half_an_issuer_is_none(missing: str) -> None:
    """What is not told is not guessed: an issuer without an audience would be believed for everybody's tokens."""
    names = ("ISSUER", "JWKS_URL", "AUDIENCE", "AUDIENCE_CLAIM", "SCOPE_CLAIM", "NAMESPACE_CLAIM")
    whole = {f"FERRY_OUTSIDE_{name}": "x" for name in names}
    assert Outside.from_environment({}) is None
    assert Outside.from_environment(whole) is not None
    with pytest.raises(ValueError, match="lacks"):
        Outside.from_environment({**whole, f"FERRY_OUTSIDE_{missing}": ""})
