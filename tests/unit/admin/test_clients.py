"""What an operator does with clients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from admin import clients
from admin.errors import AdminError
from admin.ports import MAX_ATTEMPTS, AdminContext
from dev.fakes.auth_store import MemoryAuthStore
from dev.fakes.clock import SettableClock
from ferry.auth.key_cache import MAX_TOKEN_TTL_SECONDS
from ferry.model.auth import Client, KeySet

SCOPES = ("files:read",)
SECOND_MS = 1_000


@pytest.fixture
def store() -> MemoryAuthStore:
    """A registry in which a key was published."""
    return MemoryAuthStore(published_key_set=KeySet("kid", ()))


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def context(store: MemoryAuthStore, clock: SettableClock) -> AdminContext:
    return AdminContext(store, "arn:operator", clock)


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def revoked(store: MemoryAuthStore) -> dict[str, int]:
    assert store.published_key_set is not None
    return dict(store.published_key_set.revoked_before_seconds)


def test_add_stores_only_secret_hash(context: AdminContext, store: MemoryAuthStore) -> None:
    """256 bits, another for each client; nothing that is kept, the act included, has it in it."""
    client, secret = clients.add(context, "camera-7", "acme", SCOPES)
    _, other = clients.add(context, "camera-8", "acme", SCOPES)
    assert len(secret) == 43
    assert secret != other
    assert store.clients_by_id["camera-7"] == client
    assert client.secret_hashes == (hash_of(secret),)
    assert (client.ns, client.scopes, client.disabled) == ("acme", frozenset({"files:read"}), False)
    assert secret not in repr(store)


def test_add_existing_client_rejected(context: AdminContext, store: MemoryAuthStore) -> None:
    """Neither over one that was there, nor over one that somebody adds in between."""
    clients.add(context, "camera-7", "acme", SCOPES)
    with pytest.raises(AdminError, match="already"):
        clients.add(context, "camera-7", "other", SCOPES)
    store.before_commit = lambda: store.clients_by_id.setdefault("b", Client("b", "theirs", frozenset(), ()))
    with pytest.raises(AdminError, match="already"):
        clients.add(context, "b", "acme", SCOPES)
    assert store.clients_by_id["b"].ns == "theirs"
    assert store.clients_by_id["camera-7"].ns == "acme"


@pytest.mark.parametrize("client_id", ["", "a b", "a:b", "-a", "é", "a" * 129, "a\n", "a/b", "a#b"])
def test_add_invalid_client_id_rejected(context: AdminContext, client_id: str) -> None:
    """What would need quoting or encoding somewhere is refused when the client is made."""
    with pytest.raises(AdminError, match="client's id"):
        clients.add(context, client_id, "acme", SCOPES)


@pytest.mark.parametrize("ns", ["", " a", "a\n", "a" * 129, "#a", "a\x00"])
def test_add_invalid_namespace_rejected(context: AdminContext, ns: str) -> None:
    """They are part of keys and of log lines."""
    with pytest.raises(AdminError, match="namespace"):
        clients.add(context, "a", ns, SCOPES)


@pytest.mark.parametrize("scopes", [(), ("files:read", "files:all"), ("",)])
def test_add_unknown_scope_rejected(context: AdminContext, scopes: tuple[str, ...]) -> None:
    """A misspelt scope would never open anything."""
    with pytest.raises(AdminError, match="not a scope"):
        clients.add(context, "a", "acme", scopes)


def test_rotate_keeps_both_secrets_until_finished(context: AdminContext) -> None:
    """Old and new; then the new one alone, or, undone, the old one."""
    _, old = clients.add(context, "a", "acme", SCOPES)
    both, new = clients.rotate(context, "a")
    assert both.secret_hashes == (hash_of(old), hash_of(new))
    assert clients.end_rotation(context, "a").secret_hashes == (hash_of(new),)
    _, newest = clients.rotate(context, "a")
    assert clients.end_rotation(context, "a", undo=True).secret_hashes == (hash_of(new),)
    assert newest != new


def test_rotate_during_rotation_rejected_unless_immediate(context: AdminContext) -> None:
    """A second rotation waits for the first; a secret that leaked does not."""
    clients.add(context, "a", "acme", SCOPES)
    clients.rotate(context, "a")
    with pytest.raises(AdminError, match="under way"):
        clients.rotate(context, "a")
    only, secret = clients.rotate(context, "a", immediate=True)
    assert only.secret_hashes == (hash_of(secret),)
    with pytest.raises(AdminError, match="no rotation"):
        clients.end_rotation(context, "a")


def test_disable_revokes_on_key_set(context: AdminContext, store: MemoryAuthStore, clock: SettableClock) -> None:
    """With a time beyond every token request that is under way; the client's own row says so too."""
    clients.add(context, "a", "acme", SCOPES)
    assert clients.disable(context, "a").disabled
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT_GRACE_SECONDS}
    clock.advance(10 * SECOND_MS)
    clients.disable(context, "a")
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT_GRACE_SECONDS}


def test_enable_keeps_earlier_tokens_revoked(
    context: AdminContext, store: MemoryAuthStore, clock: SettableClock
) -> None:
    """The time on the keyring never lies ahead, nor does it go back; enabling one that is enabled changes nothing."""
    clients.add(context, "a", "acme", SCOPES)
    clients.disable(context, "a")
    clock.advance(10 * SECOND_MS)
    assert not clients.enable(context, "a").disabled
    assert revoked(store) == {"a": clock() // 1000}
    clients.disable(context, "a")
    ended = revoked(store)
    clock.advance(1000 * SECOND_MS)
    clients.enable(context, "a")
    assert revoked(store) == ended
    acts = len(store.audit_entries)
    clients.enable(context, "a")
    assert len(store.audit_entries) == acts


def test_revocations_are_pruned_and_bounded(
    context: AdminContext, store: MemoryAuthStore, clock: SettableClock
) -> None:
    """Entries go when no token can be that old; one more than there is room for is refused and changes nothing."""
    clients.add(context, "a", "acme", SCOPES)
    assert store.published_key_set is not None
    now = clock() // 1000
    full = {f"c{number}": now for number in range(clients.MAX_REVOKED)}
    store.published_key_set = replace(store.published_key_set, revoked_before_seconds=full)
    with pytest.raises(AdminError, match="12 hours"):
        clients.disable(context, "a")
    assert not store.clients_by_id["a"].disabled
    clock.advance((MAX_TOKEN_TTL_SECONDS + clients.IN_FLIGHT_GRACE_SECONDS) * SECOND_MS)
    clients.disable(context, "a")
    assert revoked(store).keys() == {"a"}


def test_disable_without_keys_updates_client_only(context: AdminContext, store: MemoryAuthStore) -> None:
    """No token was ever issued: the client's row is enough."""
    store.published_key_set = None
    clients.add(context, "a", "acme", SCOPES)
    clients.disable(context, "a")
    clients.enable(context, "a")
    assert store.published_key_set is None


CHANGES: list[tuple[Callable[[AdminContext], object], str]] = [
    (lambda context: clients.rotate(context, "a"), "client.rotate"),
    (lambda context: clients.rotate(context, "a", immediate=True), "client.rotate_immediate"),
    (lambda context: clients.disable(context, "a"), "client.disable"),
]


@pytest.mark.parametrize(("change", "event"), CHANGES)
def test_update_on_conflict_is_retried(
    context: AdminContext, store: MemoryAuthStore, change: Callable[[AdminContext], object], event: str
) -> None:
    """Somebody changes the same client, and another the keyring, between the read and the write: both stay."""
    clients.add(context, "a", "acme", SCOPES)
    clients.add(context, "b", "acme", SCOPES)
    others = AdminContext(store, "arn:other", context.clock)

    def meanwhile() -> None:
        store.before_commit = lambda: None
        row = store.clients_by_id["a"]
        store.clients_by_id["a"] = replace(row, ns="moved", version=row.version + 1)
        clients.disable(others, "b")

    store.before_commit = meanwhile
    change(context)
    assert store.clients_by_id["a"].ns == "moved"
    assert "b" in revoked(store)
    assert [act.event for act in store.audit_entries if act.subject == "a"] == ["client.add", event]
    assert store.audit_entries[-1].actor == "arn:operator"


def test_update_on_repeated_conflicts_fails(context: AdminContext, store: MemoryAuthStore) -> None:
    """After a few races the operator is asked to come again; nothing was changed."""
    clients.add(context, "a", "acme", SCOPES)
    tries: list[int] = []

    def meanwhile() -> None:
        tries.append(1)
        row = store.clients_by_id["a"]
        store.clients_by_id["a"] = replace(row, version=row.version + 1)

    store.before_commit = meanwhile
    with pytest.raises(AdminError, match="others"):
        clients.disable(context, "a")
    assert len(tries) == MAX_ATTEMPTS
    assert not store.clients_by_id["a"].disabled


@pytest.mark.parametrize(
    "change", [clients.rotate, clients.end_rotation, clients.disable, clients.enable, clients.get_client]
)
def test_update_unknown_client_fails_with_hint(
    context: AdminContext, store: MemoryAuthStore, change: Callable[[AdminContext, str], object]
) -> None:
    """A misspelt name changes nothing, and the hint says how to find the right one."""
    with pytest.raises(AdminError, match="no client 'x'") as told:
        change(context, "x")
    assert "list" in told.value.hint
    assert not store.audit_entries
