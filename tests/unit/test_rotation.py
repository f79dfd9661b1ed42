"""Rotating keys and disabling clients while processes with stale caches issue and verify tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm
from jwt.api_jws import PyJWS

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
from ferry.rules.durations import SECOND_MS

SECRET = "secret"
TOKEN_TTL_SECONDS = 300
MAX_CACHE_TTL_MS = 55 * SECOND_MS
"""The longest cache lifetime that meets the revocation deadline; the template has less."""
REVOCATION_DEADLINE_MS = 60 * SECOND_MS
"""Time within which a disabled client's tokens are rejected, as documented."""


@pytest.fixture(scope="module", autouse=True)
def each_signature_is_computed_once() -> Iterator[None]:
    """Decode a segment once, and verify a signature once with a key: verifiers see each token dozens of times."""
    verify = ECAlgorithm.verify
    known: dict[tuple[bytes, bytes, int], tuple[Any, bool]] = {}

    def verify_once(algorithm: ECAlgorithm, message: bytes, key: Any, signature: bytes) -> bool:
        entry = (message, signature, id(key))
        if entry not in known:
            # The key is kept, so that no other one gets its id.
            known[entry] = (key, verify(algorithm, message, key, signature))
        return known[entry][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ECAlgorithm, "verify", verify_once)
        patch.setattr(PyJWS, "_decode_base64url_segment", staticmethod(cache(PyJWS._decode_base64url_segment)))
        yield


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
        # Libraries cache a key set for five minutes, whatever Cache-Control says.
        self.readers = [
            KeySetCache(self.store, self.skewed_clock(skew), 300 * SECOND_MS) for skew in self.skews_seconds
        ]
        self.context = AdminContext(self.store, "operator", self.clock)

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

    def token(self, issuer_index: int, client_id: str = "one") -> str:
        token = issue(
            self.issuers[issuer_index], TokenRequest(client_id, SECRET, "client_credentials", "")
        ).access_token
        self.live_tokens.append((token, self.clock() + (TOKEN_TTL_SECONDS - 15) * SECOND_MS))
        return token

    def check_live_tokens(self, verifier_indexes: set[int], *, check_published_keys: bool) -> None:
        """Verify every valid token: the newest and the oldest by all given verifiers, the others by one."""
        self.live_tokens = [(token, end) for token, end in self.live_tokens if end > self.clock()]
        tokens = [token for token, _ in self.live_tokens]
        for index, token in enumerate(tokens):
            is_edge = index in (0, len(tokens) - 1)
            for number in verifier_indexes if is_edge else [min(verifier_indexes)]:
                self.verifiers[number].verify(token)
                if check_published_keys:
                    key_set = self.readers[number].key_set()
                    assert key_set is not None
                    assert jwt.get_unverified_header(token)["kid"] in {key.kid for key in key_set.keys}


SKEWS = st.lists(st.integers(-10, 10), min_size=4, max_size=4)
STEPS = st.tuples(st.integers(1, 70), st.sets(st.integers(0, 3), min_size=1))
"""Seconds that pass, and the verifiers that check tokens then; the other caches become stale."""


@pytest.mark.slow
@pytest.mark.parametrize("examples", [3, pytest.param(60, marks=pytest.mark.stress)])
def test_key_rotation_rejects_no_valid_token(examples: int) -> None:
    """No valid token is rejected, though the operator takes each step of a rotation as early as possible."""
    steps = st.lists(STEPS, min_size=30, max_size=60)
    settings(max_examples=examples, deadline=None)(given(skews=SKEWS, steps=steps)(check_key_rotation))()


def check_key_rotation(skews: list[int], steps: list[tuple[int, set[int]]]) -> None:
    """Rotate the key while the steps pass, and verify every valid token after each."""
    harness = RotationHarness(skews)
    harness.token(0)
    assert harness.store.published_key_set is not None
    old = harness.store.published_key_set.signing_kid
    new = ""
    # The further steps complete every rotation.
    for number, (seconds, verifier_indexes) in enumerate([*steps, *[(60, {0, 3})] * 25]):
        harness.clock.advance(seconds * SECOND_MS)
        harness.token(number % 2)
        harness.check_live_tokens(verifier_indexes, check_published_keys=True)
        if number == 3:
            new = keys.add(harness.context, harness.signer, "key-2").kid
        if new:
            with suppress(AdminError):
                keys.activate(harness.context, new)
            with suppress(AdminError):
                keys.retire(harness.context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
        harness.token(number % 2)
        harness.check_live_tokens(verifier_indexes, check_published_keys=True)
    assert [key.kid for key in harness.store.published_key_set.keys] == [new]


@pytest.mark.slow
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
    """Within 60 seconds every verifier rejects all tokens of a disabled client, also one that was being signed.

    Tokens from after it is enabled again are accepted, and another client's tokens always are.
    """
    harness = RotationHarness(skews)
    tokens, others = [harness.token(0)], [harness.token(0, "two")]
    for seconds, verifier_indexes in steps:
        harness.clock.advance(seconds * SECOND_MS % 20_000)
        tokens.append(harness.token(1))
        others.append(harness.token(1, "two"))
        harness.check_live_tokens(verifier_indexes, check_published_keys=False)
    # A token request reads the client just before it is disabled, and signs later.
    row = harness.store.clients_by_id["one"]
    clients.disable(harness.context, "one")
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
    clients.enable(harness.context, "one")
    harness.clock.advance(REVOCATION_DEADLINE_MS)
    enabled_token = harness.token(0)
    for verifier in harness.verifiers:
        assert verifier.verify(enabled_token).client_id == "one"
        for token in tokens:
            with pytest.raises(InvalidToken):
                verifier.verify(token)


def test_last_token_of_old_key_stays_valid() -> None:
    """The last token of the old key, from an issuer with a stale cache, verifies until it expires."""
    harness = RotationHarness([0, -5, 0, -25])
    harness.token(0)
    assert harness.store.published_key_set is not None
    old = harness.store.published_key_set.signing_kid
    new = keys.add(harness.context, harness.signer, "key-2").kid
    harness.clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS)
    harness.token(1)
    keys.activate(harness.context, new)
    harness.clock.advance(MAX_CACHE_TTL_MS - 1)
    last = harness.token(1)
    assert jwt.get_unverified_header(last)["kid"] == old
    harness.clock.advance((TOKEN_TTL_SECONDS + 45) * SECOND_MS)
    # A verifier that starts now reads the published keys, so the key must still be among them.
    with pytest.raises(AdminError):
        keys.retire(harness.context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert harness.verifiers[3].verify(last).client_id == "one"
    harness.clock.advance(keys.RETIREMENT_DELAY_SECONDS * SECOND_MS)
    keys.retire(harness.context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
