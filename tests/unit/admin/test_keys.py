"""What an operator does with keys; that none of it refuses a request is in test_rotation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admin import keys
from admin.errors import AdminError
from admin.ports import AdminContext
from dev.fakes.auth_store import MemoryAuthStore, MemorySigner
from dev.fakes.clock import SettableClock
from ferry.auth.key_cache import KeySetCache, load_or_publish
from ferry.model.auth import KeySet

TOKEN_TTL_SECONDS = 3600
SECOND_MS = 1_000


@pytest.fixture
def store() -> MemoryAuthStore:
    return MemoryAuthStore()


@pytest.fixture
def signer() -> MemorySigner:
    return MemorySigner()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def context(store: MemoryAuthStore, signer: MemorySigner, clock: SettableClock) -> AdminContext:
    """A context at which the first key was published."""
    load_or_publish(KeySetCache(store, clock, cache_ttl_ms=45_000), store, signer, "key-1")
    return AdminContext(store, "arn:operator", clock)


def stored_key_set(store: MemoryAuthStore) -> KeySet:
    assert store.published_key_set is not None
    return store.published_key_set


def test_add_repeated_publishes_once(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """Beside the one that signs, which goes on signing; adding it again changes nothing."""
    first = stored_key_set(store).signing_kid
    added = keys.add(context, signer, "key-2")
    assert keys.add(context, signer, "key-2") == added
    assert stored_key_set(store).signing_kid == first
    assert [key.key_ref for key in stored_key_set(store).keys] == ["key-1", "key-2"]
    assert [act.event for act in store.audit_entries] == ["key.add"]


def test_activate_and_retire_too_early_rejected(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner, clock: SettableClock
) -> None:
    """Activating waits for everybody to have seen the key, retiring for its tokens to be over; both say how long."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS - 1)
    with pytest.raises(AdminError, match="too early") as told:
        keys.activate(context, new)
    assert "again in 1 s" in told.value.hint
    clock.advance(1)
    keys.activate(context, new)
    assert stored_key_set(store).signing_kid == new
    clock.advance((TOKEN_TTL_SECONDS + keys.RETIREMENT_DELAY_SECONDS) * SECOND_MS - 1)
    with pytest.raises(AdminError, match="too early"):
        keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    clock.advance(1)
    keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert [key.kid for key in stored_key_set(store).keys] == [new]
    assert [act.event for act in store.audit_entries] == ["key.add", "key.activate", "key.retire"]


def test_activate_and_retire_immediate_skip_delays(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner
) -> None:
    """Both steps at once, and the acts say so."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    keys.activate(context, new, immediate=True)
    keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True)
    assert [key.kid for key in stored_key_set(store).keys] == [new]
    assert [act.details.get("immediate") for act in store.audit_entries] == [None, "true", "true"]


def test_retire_signing_key_rejected(context: AdminContext, store: MemoryAuthStore) -> None:
    """Not even at once: no token could be issued."""
    with pytest.raises(AdminError, match="signs"):
        keys.retire(context, stored_key_set(store).signing_kid, token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True)


def test_activate_superseded_key_restores_it(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner, clock: SettableClock
) -> None:
    """The old key may sign again at once, as everybody knows it; activating the one that signs changes nothing."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS)
    keys.activate(context, new)
    keys.activate(context, old)
    keys.activate(context, old)
    states = {each.key.kid: each.state for each in keys.key_statuses(stored_key_set(store), TOKEN_TTL_SECONDS)}
    assert states == {old: "signing", new: "superseded"}
    assert len(store.audit_entries) == 3


def test_retire_unused_key_needs_no_delay(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """Nobody can have a token of it."""
    keys.retire(context, keys.add(context, signer, "key-2").kid, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert len(stored_key_set(store).keys) == 1


def test_kid_unique_prefix_accepted(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """As long as one key is meant, and without a "-" in front; nothing, and nobody's, is no key."""
    kid = keys.add(context, signer, "key-2").kid
    assert keys.activate(context, kid[:20], immediate=True).kid == kid
    dashed = replace(stored_key_set(store).keys[0], kid="-dash")
    store.published_key_set = replace(stored_key_set(store), keys=(*stored_key_set(store).keys, dashed))
    assert keys.retire(context, "dash", token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True) == dashed
    for wrong in ("", "no such key"):
        with pytest.raises(AdminError, match="key is called"):
            keys.activate(context, wrong)


def test_add_invalid_key_rejected(context: AdminContext, signer: MemorySigner) -> None:
    """A key that is no signing key, more keys than a set should have, and a service that has not begun."""

    class Other(MemorySigner):
        def public_jwk(self, key_ref: str) -> dict[str, str]:
            raise ValueError("ES256 needs a signing key on the curve P-256")

    with pytest.raises(AdminError, match="P-256"):
        keys.add(context, Other(), "rsa")
    for number in range(2, keys.MAX_KEYS + 1):
        keys.add(context, signer, f"key-{number}")
    with pytest.raises(AdminError, match="keys already"):
        keys.add(context, signer, "one more")
    with pytest.raises(AdminError, match="no key is published"):
        keys.add(AdminContext(MemoryAuthStore(), "arn:operator", context.clock), signer, "key-1")
