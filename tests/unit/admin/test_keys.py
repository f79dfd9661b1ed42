"""What an operator does with keys; that none of it refuses a request is in test_rotation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin import keys
from admin.errors import AdminError
from admin.registry import Desk
from ferry.access.keyring import KeyCache, published
from ferry.trust import Keyring
from tests.fakes.access import MemoryAccess, MemorySigner
from tests.fakes.clock import SettableClock

LIFETIME = 3600
SECOND = 1_000


@pytest.fixture
def store() -> MemoryAccess:
    return MemoryAccess()


@pytest.fixture
def signer() -> MemorySigner:
    return MemorySigner()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def desk(store: MemoryAccess, signer: MemorySigner, clock: SettableClock) -> Desk:
    """A desk at which the first key was published."""
    published(KeyCache(store, clock), store, signer, "key-1")
    return Desk(store, "arn:operator", clock)


def ring(store: MemoryAccess) -> Keyring:
    assert store.published is not None
    return store.published


def test_a_key_is_published_once(desk: Desk, store: MemoryAccess, signer: MemorySigner) -> None:
    """Beside the one that signs, which goes on signing; adding it again changes nothing."""
    first = ring(store).signing_kid
    added = keys.add(desk, signer, "key-2")
    assert keys.add(desk, signer, "key-2") == added
    assert ring(store).signing_kid == first
    assert [key.key_ref for key in ring(store).keys] == ["key-1", "key-2"]
    assert [act.event for act in store.history] == ["key.add"]


def test_no_step_is_taken_too_early(
    desk: Desk, store: MemoryAccess, signer: MemorySigner, clock: SettableClock
) -> None:
    """Activating waits for everybody to have seen the key, retiring for its tokens to be over; both say how long."""
    old, new = ring(store).signing_kid, keys.add(desk, signer, "key-2").kid
    clock.advance(keys.PUBLISHED_FOR * SECOND - 1)
    with pytest.raises(AdminError, match="too early") as told:
        keys.activate(desk, new)
    assert "again in 1 s" in told.value.hint
    clock.advance(1)
    keys.activate(desk, new)
    assert ring(store).signing_kid == new
    clock.advance((LIFETIME + keys.UNUSED_FOR) * SECOND - 1)
    with pytest.raises(AdminError, match="too early"):
        keys.retire(desk, old, lifetime=LIFETIME)
    clock.advance(1)
    keys.retire(desk, old, lifetime=LIFETIME)
    assert [key.kid for key in ring(store).keys] == [new]
    assert [act.event for act in store.history] == ["key.add", "key.activate", "key.retire"]


def test_an_emergency_waits_for_nothing(desk: Desk, store: MemoryAccess, signer: MemorySigner) -> None:
    """Both steps at once, and the acts say so."""
    old, new = ring(store).signing_kid, keys.add(desk, signer, "key-2").kid
    keys.activate(desk, new, at_once=True)
    keys.retire(desk, old, lifetime=LIFETIME, at_once=True)
    assert [key.kid for key in ring(store).keys] == [new]
    assert [act.details.get("at_once") for act in store.history] == [None, "true", "true"]


def test_the_key_that_signs_is_never_retired(desk: Desk, store: MemoryAccess) -> None:
    """Not even at once: no token could be issued."""
    with pytest.raises(AdminError, match="signs"):
        keys.retire(desk, ring(store).signing_kid, lifetime=LIFETIME, at_once=True)


def test_there_is_a_way_back(desk: Desk, store: MemoryAccess, signer: MemorySigner, clock: SettableClock) -> None:
    """The old key may sign again at once, as everybody knows it; activating the one that signs changes nothing."""
    old, new = ring(store).signing_kid, keys.add(desk, signer, "key-2").kid
    clock.advance(keys.PUBLISHED_FOR * SECOND)
    keys.activate(desk, new)
    keys.activate(desk, old)
    keys.activate(desk, old)
    states = {each.key.kid: each.state for each in keys.standings(ring(store), LIFETIME)}
    assert states == {old: "signing", new: "replaced"}
    assert len(store.history) == 3


def test_a_key_that_never_signed_goes_at_once(desk: Desk, store: MemoryAccess, signer: MemorySigner) -> None:
    """Nobody can have a token of it."""
    keys.retire(desk, keys.add(desk, signer, "key-2").kid, lifetime=LIFETIME)
    assert len(ring(store).keys) == 1


def test_ids_may_be_cut_short(desk: Desk, store: MemoryAccess, signer: MemorySigner) -> None:
    """As long as one key is meant, and without a "-" in front; nothing, and nobody's, is no key."""
    kid = keys.add(desk, signer, "key-2").kid
    assert keys.activate(desk, kid[:20], at_once=True).kid == kid
    dashed = replace(ring(store).keys[0], kid="-dash")
    store.published = replace(ring(store), keys=(*ring(store).keys, dashed))
    assert keys.retire(desk, "dash", lifetime=LIFETIME, at_once=True) == dashed
    for wrong in ("", "no such key"):
        with pytest.raises(AdminError, match="key is called"):
            keys.activate(desk, wrong)


def test_what_cannot_be_published_is_told(desk: Desk, signer: MemorySigner) -> None:
    """A key that is no signing key, more keys than a set should have, and a service that has not begun."""

    class Other(MemorySigner):
        def public_jwk(self, key_ref: str) -> dict[str, str]:
            raise ValueError("ES256 needs a signing key on the curve P-256")

    with pytest.raises(AdminError, match="P-256"):
        keys.add(desk, Other(), "rsa")
    for number in range(2, keys.MOST_KEYS + 1):
        keys.add(desk, signer, f"key-{number}")
    with pytest.raises(AdminError, match="keys already"):
        keys.add(desk, signer, "one more")
    with pytest.raises(AdminError, match="no key is published"):
        keys.add(Desk(MemoryAccess(), "arn:operator", desk.clock), signer, "key-1")
