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
from admin.ports import AdminContext
from dev.fakes.auth_store import MemoryAuthStore, MemorySigner
from dev.fakes.clock import SettableClock
from ferry.auth.issuer import Issuer, TokenRequest, issue
from ferry.auth.key_cache import KeySetCache
from ferry.auth.oauth import InvalidClient
from ferry.auth.verifier import InternalVerifier
from ferry.errors import InvalidToken
from ferry.model.auth import Client
from ferry.ports.types import Clock

SECRET = "secret"
SECOND_MS = 1_000
TOKEN_TTL_SECONDS = 300
MAX_CACHE_TTL_MS = 55 * SECOND_MS
"""The greatest `AuthCacheTtlSeconds` of the template."""
REVOCATION_DEADLINE_MS = 60 * SECOND_MS


@dataclass
class RotationHarness:
    """Two issuers, verifiers with caches and clocks of their own, readers of the published key set, and an operator."""

    skews_seconds: list[int]
    clock: SettableClock = field(default_factory=SettableClock)
    store: MemoryAuthStore = field(default_factory=MemoryAuthStore)
    signer: MemorySigner = field(default_factory=MemorySigner)
    live_tokens: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        hashes = (hashlib.sha256(SECRET.encode()).digest(),)
        for client_id in ("one", "two"):
            self.store.put_client(Client(client_id, "ns", frozenset({"a"}), hashes))
        self.issuers = [self.new_issuer(skew) for skew in self.skews_seconds[:2]]
        self.verifiers = [
            InternalVerifier(
                KeySetCache(self.store, self.skewed_clock(skew), MAX_CACHE_TTL_MS), issuer="i", audience="a"
            )
            for skew in self.skews_seconds
        ]
        # What libraries do with a key set: five minutes, whatever its answer says.
        self.readers = [
            KeySetCache(self.store, self.skewed_clock(skew), 300 * SECOND_MS) for skew in self.skews_seconds
        ]
        self.desk = AdminContext(self.store, "operator", self.clock)

    def skewed_clock(self, skew_seconds: int) -> Clock:
        return lambda: self.clock() + skew_seconds * SECOND_MS

    def new_issuer(self, skew_seconds: int) -> Issuer:
        clock = self.skewed_clock(skew_seconds)
        return Issuer(
            store=self.store,
            key_set_cache=KeySetCache(self.store, clock, MAX_CACHE_TTL_MS),
            signer=self.signer,
            clock=clock,
            key_ref="key-1",
            issuer="i",
            audience="a",
            token_ttl_seconds=TOKEN_TTL_SECONDS,
        )

    def token(self, which: int, client_id: str = "one") -> str:
        token = issue(self.issuers[which], TokenRequest(client_id, SECRET, "client_credentials", "")).access_token
        self.live_tokens.append((token, self.clock() + (TOKEN_TTL_SECONDS - 15) * SECOND_MS))
        return token

    def check_live_tokens(self, verifier_indexes: set[int], *, check_published_keys: bool) -> None:
        """Every living token, by some: the newest and the oldest by all of them, the rest by one each."""
        self.live_tokens = [(token, end) for token, end in self.live_tokens if end > self.clock()]
        tokens = [token for token, _ in self.live_tokens]
        for index, token in enumerate(tokens):
            edge = index in (0, len(tokens) - 1)
            for number in verifier_indexes if edge else [min(verifier_indexes)]:
                self.verifiers[number].verify(token)
                if check_published_keys:
                    keyring = self.readers[number].key_set()
                    assert keyring is not None
                    assert jwt.get_unverified_header(token)["kid"] in {key.kid for key in keyring.keys}


SKEWS = st.lists(st.integers(-10, 10), min_size=4, max_size=4)
STEPS = st.tuples(st.integers(1, 70), st.sets(st.integers(0, 3), min_size=1))
"""Seconds that pass, and who has something to check then: the others' caches grow old."""


@settings(max_examples=12, deadline=None)
@given(skews=SKEWS, steps=st.lists(STEPS, min_size=30, max_size=60))
def test_key_rotation_rejects_no_valid_token(skews: list[int], steps: list[tuple[int, set[int]]]) -> None:
    """Each step of the operator as early as the command allows; tokens are issued and checked before and after it."""
    harness = RotationHarness(skews)
    harness.token(0)
    assert harness.store.published_key_set is not None
    old = harness.store.published_key_set.signing_kid
    new = ""
    # Whatever was drawn, the rotation comes to its end.
    for number, (seconds, who) in enumerate([*steps, *[(60, {0, 3})] * 25]):
        harness.clock.advance(seconds * SECOND_MS)
        harness.token(number % 2)
        harness.check_live_tokens(who, check_published_keys=True)
        if number == 3:
            new = keys.add(harness.desk, harness.signer, "key-2").kid
        if new:
            with suppress(AdminError):
                keys.activate(harness.desk, new)
            with suppress(AdminError):
                keys.retire(harness.desk, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
        harness.token(number % 2)
        harness.check_live_tokens(who, check_published_keys=True)
    assert [key.kid for key in harness.store.published_key_set.keys] == [new]


@settings(max_examples=25, deadline=None)
@given(
    skews=SKEWS,
    steps=st.lists(STEPS, min_size=5, max_size=15),
    signing_takes=st.integers(0, 29),
    disabled_for=st.integers(0, 200),
)
def test_disabled_client_is_rejected_within_sixty_seconds(
    skews: list[int], steps: list[tuple[int, set[int]]], signing_takes: int, disabled_for: int
) -> None:
    """Every token it ever got, one that was being signed at that moment included, and those after it is enabled
    again hold: by every verifier, whatever it knew. Its neighbour is never refused.
    """
    harness = RotationHarness(skews)
    tokens, others = [harness.token(0)], [harness.token(0, "two")]
    for seconds, who in steps:
        harness.clock.advance(seconds * SECOND_MS % 20_000)
        tokens.append(harness.token(1))
        others.append(harness.token(1, "two"))
        harness.check_live_tokens(who, check_published_keys=False)
    # A request reads the client just before it is disabled, and signs later.
    row = harness.store.clients_by_id["one"]
    clients.disable(harness.desk, "one")
    disabled = harness.store.clients_by_id["one"]
    harness.clock.advance(signing_takes * SECOND_MS)
    harness.store.clients_by_id["one"] = row
    tokens.append(harness.token(0))
    harness.store.clients_by_id["one"] = disabled
    with pytest.raises(InvalidClient):
        harness.token(0)
    harness.clock.advance(REVOCATION_DEADLINE_MS - signing_takes * SECOND_MS)
    late = harness.token(0, "two")
    for verifier in harness.verifiers:
        assert verifier.verify(late).client_id == "two"
        for token in tokens:
            with pytest.raises(InvalidToken):
                verifier.verify(token)
    harness.clock.advance(disabled_for * SECOND_MS)
    clients.enable(harness.desk, "one")
    harness.clock.advance(REVOCATION_DEADLINE_MS)
    again = harness.token(0)
    for verifier in harness.verifiers:
        assert verifier.verify(again).client_id == "one"
        for token in tokens:
            with pytest.raises(InvalidToken):
                verifier.verify(token)


def test_last_token_of_old_key_stays_valid() -> None:
    """The worst case: signed by whoever learns of the new key last, and used with all leeway after the retirement."""
    harness = RotationHarness([0, -5, 0, -25])
    harness.token(0)
    assert harness.store.published_key_set is not None
    old = harness.store.published_key_set.signing_kid
    new = keys.add(harness.desk, harness.signer, "key-2").kid
    harness.clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS)
    harness.token(1)
    keys.activate(harness.desk, new)
    harness.clock.advance(MAX_CACHE_TTL_MS - 1)
    last = harness.token(1)
    assert jwt.get_unverified_header(last)["kid"] == old
    harness.clock.advance((TOKEN_TTL_SECONDS + 45) * SECOND_MS)
    with suppress(AdminError):
        keys.retire(harness.desk, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert harness.verifiers[3].verify(last).client_id == "one"
    harness.clock.advance(keys.RETIREMENT_DELAY_SECONDS * SECOND_MS)
    keys.retire(harness.desk, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
