"""The operator's commands on keys. test_rotation shows that they fail no request."""

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
from ferry.rules.durations import SECOND_MS

TOKEN_TTL_SECONDS = 3600


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
    """A context with one published key, which signs."""
    load_or_publish(KeySetCache(store, clock, cache_ttl_ms=45_000), store, signer, "key-1")
    return AdminContext(store, "arn:operator", clock)


def stored_key_set(store: MemoryAuthStore) -> KeySet:
    assert store.published_key_set is not None
    return store.published_key_set


def test_add_repeated_publishes_once(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """A new key is published beside the signing key. Adding it again changes nothing."""
    first = stored_key_set(store).signing_kid
    added = keys.add(context, signer, "key-2")
    assert keys.add(context, signer, "key-2") == added
    assert stored_key_set(store).signing_kid == first
    assert [key.key_ref for key in stored_key_set(store).keys] == ["key-1", "key-2"]
    assert [entry.event for entry in store.audit_entries] == ["key.add"]


def test_activate_and_retire_too_early_rejected(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner, clock: SettableClock
) -> None:
    """Activating waits until verifiers have read the key, retiring until its tokens expire; the hint says how long."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS - 1)
    with pytest.raises(AdminError, match="too early") as raised:
        keys.activate(context, new)
    assert "again in 1 s" in raised.value.hint
    clock.advance(1)
    keys.activate(context, new)
    assert stored_key_set(store).signing_kid == new
    clock.advance((TOKEN_TTL_SECONDS + keys.RETIREMENT_DELAY_SECONDS) * SECOND_MS - 1)
    with pytest.raises(AdminError, match="too early"):
        keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    clock.advance(1)
    keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert [key.kid for key in stored_key_set(store).keys] == [new]
    assert [entry.event for entry in store.audit_entries] == ["key.add", "key.activate", "key.retire"]


def test_activate_and_retire_immediate_skip_delays(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner
) -> None:
    """With --immediate both steps succeed at once, and the audit log records it."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    keys.activate(context, new, immediate=True)
    keys.retire(context, old, token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True)
    assert [key.kid for key in stored_key_set(store).keys] == [new]
    assert [entry.details.get("immediate") for entry in store.audit_entries] == [None, "true", "true"]


def test_retire_signing_key_rejected(context: AdminContext, store: MemoryAuthStore) -> None:
    """The signing key cannot be retired, not even with --immediate."""
    with pytest.raises(AdminError, match="signing key"):
        keys.retire(context, stored_key_set(store).signing_kid, token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True)


def test_activate_superseded_key_restores_it(
    context: AdminContext, store: MemoryAuthStore, signer: MemorySigner, clock: SettableClock
) -> None:
    """A superseded key can sign again without a delay. Activating the signing key changes nothing."""
    old, new = stored_key_set(store).signing_kid, keys.add(context, signer, "key-2").kid
    clock.advance(keys.ACTIVATION_DELAY_SECONDS * SECOND_MS)
    keys.activate(context, new)
    keys.activate(context, old)
    keys.activate(context, old)
    states = {each.key.kid: each.state for each in keys.key_statuses(stored_key_set(store), TOKEN_TTL_SECONDS)}
    assert states == {old: "signing", new: "superseded"}
    assert len(store.audit_entries) == 3


def test_retire_unused_key_needs_no_delay(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """A key that has signed nothing can be retired at once."""
    keys.retire(context, keys.add(context, signer, "key-2").kid, token_ttl_seconds=TOKEN_TTL_SECONDS)
    assert len(stored_key_set(store).keys) == 1


def test_kid_unique_prefix_accepted(context: AdminContext, store: MemoryAuthStore, signer: MemorySigner) -> None:
    """A prefix that names one key is accepted, also without a leading "-"; an empty or unknown one is rejected."""
    kid = keys.add(context, signer, "key-2").kid
    assert keys.activate(context, kid[:20], immediate=True).kid == kid
    dashed = replace(stored_key_set(store).keys[0], kid="-dash")
    store.published_key_set = replace(stored_key_set(store), keys=(*stored_key_set(store).keys, dashed))
    assert keys.retire(context, "dash", token_ttl_seconds=TOKEN_TTL_SECONDS, immediate=True) == dashed
    for wrong in ("", "no such key"):
        with pytest.raises(AdminError, match="id that begins with"):
            keys.activate(context, wrong)


def test_add_invalid_key_rejected(context: AdminContext, signer: MemorySigner) -> None:
    """Rejects a key of another type, a key beyond the maximum, and a key before the first one is published."""

    class RsaSigner(MemorySigner):
        def public_jwk(self, key_ref: str) -> dict[str, str]:
            raise ValueError("ES256 needs a signing key on the curve P-256")

    with pytest.raises(AdminError, match="P-256"):
        keys.add(context, RsaSigner(), "rsa")
    for number in range(2, keys.MAX_KEYS + 1):
        keys.add(context, signer, f"key-{number}")
    with pytest.raises(AdminError, match="the maximum"):
        keys.add(context, signer, "one more")
    with pytest.raises(AdminError, match="no key is published"):
        keys.add(AdminContext(MemoryAuthStore(), "arn:operator", context.clock), signer, "key-1")
