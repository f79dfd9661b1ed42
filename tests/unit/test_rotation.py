"""Keys and clients are changed while tokens are issued and checked all the time, by processes that know old things."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin import clients, keys
from admin.errors import AdminError
from admin.registry import Desk
from ferry.access.issue import Issuer, TokenRequest, issue
from ferry.access.keyring import KeyCache
from ferry.access.oauth import InvalidClient
from ferry.access.verify import Verifier
from ferry.errors import InvalidToken
from ferry.ports import Clock
from ferry.trust import Client
from tests.fakes.access import MemoryAccess, MemorySigner
from tests.fakes.clock import SettableClock

SECRET = "secret"
SECOND = 1_000
LIFETIME = 300
OLDEST_CACHE = 55 * SECOND
"""The greatest `AccessCache` of the template."""
STOPS_WITHIN = 60 * SECOND


@dataclass
class World:
    """Two issuers, verifiers with caches and clocks of their own, readers of the published key set, and an operator."""

    skews: list[int]
    clock: SettableClock = field(default_factory=SettableClock)
    store: MemoryAccess = field(default_factory=MemoryAccess)
    signer: MemorySigner = field(default_factory=MemorySigner)
    living: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        hashes = (hashlib.sha256(SECRET.encode()).digest(),)
        for client_id in ("one", "two"):
            self.store.put_client(Client(client_id, "ns", frozenset({"a"}), hashes))
        self.issuers = [self.issuer(skew) for skew in self.skews[:2]]
        self.verifiers = [
            Verifier(KeyCache(self.store, self.late(skew), OLDEST_CACHE), issuer="i", audience="a")
            for skew in self.skews
        ]
        # What libraries do with a key set: five minutes, whatever its answer says.
        self.readers = [KeyCache(self.store, self.late(skew), 300 * SECOND) for skew in self.skews]
        self.desk = Desk(self.store, "operator", self.clock)

    def late(self, skew: int) -> Clock:
        return lambda: self.clock() + skew * SECOND

    def issuer(self, skew: int) -> Issuer:
        clock = self.late(skew)
        return Issuer(
            store=self.store,
            keys=KeyCache(self.store, clock, OLDEST_CACHE),
            signer=self.signer,
            clock=clock,
            key_ref="key-1",
            issuer="i",
            audience="a",
            lifetime=LIFETIME,
        )

    def token(self, which: int, client_id: str = "one") -> str:
        token = issue(self.issuers[which], TokenRequest(client_id, SECRET, "client_credentials", "")).access_token
        self.living.append((token, self.clock() + (LIFETIME - 15) * SECOND))
        return token

    def check(self, who: set[int], *, reading: bool) -> None:
        """Every living token, by some: the newest and the oldest by all of them, the rest by one each."""
        self.living = [(token, end) for token, end in self.living if end > self.clock()]
        tokens = [token for token, _ in self.living]
        for index, token in enumerate(tokens):
            edge = index in (0, len(tokens) - 1)
            for number in who if edge else [min(who)]:
                self.verifiers[number].principal(token)
                if reading:
                    keyring = self.readers[number].keyring()
                    assert keyring is not None
                    assert jwt.get_unverified_header(token)["kid"] in {key.kid for key in keyring.keys}


SKEWS = st.lists(st.integers(-10, 10), min_size=4, max_size=4)
STEP = st.tuples(st.integers(1, 70), st.sets(st.integers(0, 3), min_size=1))
"""Seconds that pass, and who has something to check then: the others' caches grow old."""


@settings(max_examples=12, deadline=None)
@given(skews=SKEWS, steps=st.lists(STEP, min_size=30, max_size=60))
def test_a_key_is_rotated_and_no_token_is_refused(skews: list[int], steps: list[tuple[int, set[int]]]) -> None:
    """Each step of the operator as early as the command allows; tokens are issued and checked before and after it."""
    world = World(skews)
    world.token(0)
    assert world.store.published is not None
    old = world.store.published.signing_kid
    new = ""
    # Whatever was drawn, the rotation comes to its end.
    for number, (seconds, who) in enumerate([*steps, *[(60, {0, 3})] * 25]):
        world.clock.advance(seconds * SECOND)
        world.token(number % 2)
        world.check(who, reading=True)
        if number == 3:
            new = keys.add(world.desk, world.signer, "key-2").kid
        if new:
            with suppress(AdminError):
                keys.activate(world.desk, new)
            with suppress(AdminError):
                keys.retire(world.desk, old, lifetime=LIFETIME)
        world.token(number % 2)
        world.check(who, reading=True)
    assert [key.kid for key in world.store.published.keys] == [new]


@settings(max_examples=25, deadline=None)
@given(
    skews=SKEWS,
    steps=st.lists(STEP, min_size=5, max_size=15),
    signing_takes=st.integers(0, 29),
    disabled_for=st.integers(0, 200),
)
def test_a_disabled_client_is_out_within_sixty_seconds(
    skews: list[int], steps: list[tuple[int, set[int]]], signing_takes: int, disabled_for: int
) -> None:
    """Every token it ever got, one that was being signed at that moment included, and those after it is enabled
    again hold: by every verifier, whatever it knew. Its neighbour is never refused.
    """
    world = World(skews)
    tokens, others = [world.token(0)], [world.token(0, "two")]
    for seconds, who in steps:
        world.clock.advance(seconds * SECOND % 20_000)
        tokens.append(world.token(1))
        others.append(world.token(1, "two"))
        world.check(who, reading=False)
    # A request reads the client just before it is disabled, and signs later.
    row = world.store.rows["one"]
    clients.disable(world.desk, "one")
    disabled = world.store.rows["one"]
    world.clock.advance(signing_takes * SECOND)
    world.store.rows["one"] = row
    tokens.append(world.token(0))
    world.store.rows["one"] = disabled
    with pytest.raises(InvalidClient):
        world.token(0)
    world.clock.advance(STOPS_WITHIN - signing_takes * SECOND)
    late = world.token(0, "two")
    for verifier in world.verifiers:
        assert verifier.principal(late).client_id == "two"
        for token in tokens:
            with pytest.raises(InvalidToken):
                verifier.principal(token)
    world.clock.advance(disabled_for * SECOND)
    clients.enable(world.desk, "one")
    world.clock.advance(STOPS_WITHIN)
    again = world.token(0)
    for verifier in world.verifiers:
        assert verifier.principal(again).client_id == "one"
        for token in tokens:
            with pytest.raises(InvalidToken):
                verifier.principal(token)


def test_the_last_token_of_the_old_key_lives_to_its_end() -> None:
    """The worst case: signed by whoever learns of the new key last, and used with all leeway after the retirement."""
    world = World([0, -5, 0, -25])
    world.token(0)
    assert world.store.published is not None
    old = world.store.published.signing_kid
    new = keys.add(world.desk, world.signer, "key-2").kid
    world.clock.advance(keys.PUBLISHED_FOR * SECOND)
    world.token(1)
    keys.activate(world.desk, new)
    world.clock.advance(OLDEST_CACHE - 1)
    last = world.token(1)
    assert jwt.get_unverified_header(last)["kid"] == old
    world.clock.advance((LIFETIME + 45) * SECOND)
    with suppress(AdminError):
        keys.retire(world.desk, old, lifetime=LIFETIME)
    assert world.verifiers[3].principal(last).client_id == "one"
    world.clock.advance(keys.UNUSED_FOR * SECOND)
    keys.retire(world.desk, old, lifetime=LIFETIME)
