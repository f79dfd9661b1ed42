"""The operator's commands on clients, over a store in memory."""

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
from ferry.rules.durations import SECOND_MS

SCOPES = ("files:read",)


@pytest.fixture
def store() -> MemoryAuthStore:
    """A store with a published key."""
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
    """A new secret has 256 bits and differs between clients. The store, audit log included, holds its hash alone."""
    client, secret = clients.add(context, "camera-7", "acme", SCOPES)
    _, other = clients.add(context, "camera-8", "acme", SCOPES)
    assert len(secret) == 43
    assert secret != other
    assert store.clients_by_id["camera-7"] == client
    assert client.secret_hashes == (hash_of(secret),)
    assert (client.ns, client.scopes, client.disabled) == ("acme", frozenset({"files:read"}), False)
    assert secret not in repr(store)


def test_add_existing_client_rejected(context: AdminContext, store: MemoryAuthStore) -> None:
    """Adding never replaces a client, not even one that is added concurrently."""
    clients.add(context, "camera-7", "acme", SCOPES)
    with pytest.raises(AdminError, match="exists"):
        clients.add(context, "camera-7", "other", SCOPES)
    store.before_commit = lambda: store.clients_by_id.setdefault("b", Client("b", "theirs", frozenset(), ()))
    with pytest.raises(AdminError, match="exists"):
        clients.add(context, "b", "acme", SCOPES)
    assert store.clients_by_id["b"].ns == "theirs"
    assert store.clients_by_id["camera-7"].ns == "acme"


@pytest.mark.parametrize("client_id", ["", "a b", "a:b", "-a", "é", "a" * 129, "a\n", "a/b", "a#b"])
def test_add_invalid_client_id_rejected(context: AdminContext, client_id: str) -> None:
    """A client id that needs quoting or encoding in a header, a URL or a shell is rejected."""
    with pytest.raises(AdminError, match="client id"):
        clients.add(context, client_id, "acme", SCOPES)


@pytest.mark.parametrize("ns", ["", " a", "a\n", "a" * 129, "#a", "a\x00"])
def test_add_invalid_namespace_rejected(context: AdminContext, ns: str) -> None:
    """A namespace with spaces, control characters or a leading separator is rejected."""
    with pytest.raises(AdminError, match="namespace"):
        clients.add(context, "a", ns, SCOPES)


@pytest.mark.parametrize("scopes", [(), ("files:read", "files:all"), ("",)])
def test_add_unknown_scope_rejected(context: AdminContext, scopes: tuple[str, ...]) -> None:
    """A misspelled scope, or none, is rejected."""
    with pytest.raises(AdminError, match="not a scope"):
        clients.add(context, "a", "acme", scopes)


def test_rotate_keeps_both_secrets_until_finished(context: AdminContext) -> None:
    """Both secrets are stored; --finish leaves the newer one, --undo the older one."""
    _, old = clients.add(context, "a", "acme", SCOPES)
    both, new = clients.rotate(context, "a")
    assert both.secret_hashes == (hash_of(old), hash_of(new))
    assert clients.end_rotation(context, "a").secret_hashes == (hash_of(new),)
    _, newest = clients.rotate(context, "a")
    assert clients.end_rotation(context, "a", undo=True).secret_hashes == (hash_of(new),)
    assert newest != new


def test_rotate_during_rotation_rejected_unless_immediate(context: AdminContext) -> None:
    """A second rotation is rejected until the first ends; --immediate replaces both secrets."""
    clients.add(context, "a", "acme", SCOPES)
    clients.rotate(context, "a")
    with pytest.raises(AdminError, match="in progress"):
        clients.rotate(context, "a")
    only, secret = clients.rotate(context, "a", immediate=True)
    assert only.secret_hashes == (hash_of(secret),)
    with pytest.raises(AdminError, match="no rotation"):
        clients.end_rotation(context, "a")


def test_disable_revokes_on_key_set(context: AdminContext, store: MemoryAuthStore, clock: SettableClock) -> None:
    """The revocation lies after every token request in flight; disabling again moves it forward."""
    clients.add(context, "a", "acme", SCOPES)
    assert clients.disable(context, "a").disabled
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT_GRACE_SECONDS}
    clock.advance(10 * SECOND_MS)
    clients.disable(context, "a")
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT_GRACE_SECONDS}


def test_enable_keeps_earlier_tokens_revoked(
    context: AdminContext, store: MemoryAuthStore, clock: SettableClock
) -> None:
    """Enabling moves the revocation to now, never into the future or back. Repeating it changes nothing."""
    clients.add(context, "a", "acme", SCOPES)
    clients.disable(context, "a")
    clock.advance(10 * SECOND_MS)
    assert not clients.enable(context, "a").disabled
    assert revoked(store) == {"a": clock() // 1000}
    clients.disable(context, "a")
    revocations = revoked(store)
    clock.advance(1000 * SECOND_MS)
    clients.enable(context, "a")
    assert revoked(store) == revocations
    entry_count = len(store.audit_entries)
    clients.enable(context, "a")
    assert len(store.audit_entries) == entry_count


def test_revocations_are_pruned_and_bounded(
    context: AdminContext, store: MemoryAuthStore, clock: SettableClock
) -> None:
    """Revocations older than any token are removed. One more than the maximum is rejected and changes nothing."""
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
    """Without a published key no token exists, so the client's row alone changes."""
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
    """Concurrent changes of the client and of the key set, between read and write, are kept."""
    clients.add(context, "a", "acme", SCOPES)
    clients.add(context, "b", "acme", SCOPES)
    others = AdminContext(store, "arn:other", context.clock)

    def change_both() -> None:
        store.before_commit = lambda: None
        row = store.clients_by_id["a"]
        store.clients_by_id["a"] = replace(row, ns="moved", version=row.version + 1)
        clients.disable(others, "b")

    store.before_commit = change_both
    change(context)
    assert store.clients_by_id["a"].ns == "moved"
    assert "b" in revoked(store)
    assert [entry.event for entry in store.audit_entries if entry.subject == "a"] == ["client.add", event]
    assert store.audit_entries[-1].actor == "arn:operator"


def test_update_on_repeated_conflicts_fails(context: AdminContext, store: MemoryAuthStore) -> None:
    """After the maximum of attempts the command fails and has changed nothing."""
    clients.add(context, "a", "acme", SCOPES)
    attempts: list[int] = []

    def change_client() -> None:
        attempts.append(1)
        row = store.clients_by_id["a"]
        store.clients_by_id["a"] = replace(row, version=row.version + 1)

    store.before_commit = change_client
    with pytest.raises(AdminError, match="other operators"):
        clients.disable(context, "a")
    assert len(attempts) == MAX_ATTEMPTS
    assert not store.clients_by_id["a"].disabled


@pytest.mark.parametrize(
    "change", [clients.rotate, clients.end_rotation, clients.disable, clients.enable, clients.get_client]
)
def test_update_unknown_client_fails_with_hint(
    context: AdminContext, store: MemoryAuthStore, change: Callable[[AdminContext, str], object]
) -> None:
    """A misspelled client id changes nothing; the hint names the command that lists clients."""
    with pytest.raises(AdminError, match="no client 'x'") as raised:
        change(context, "x")
    assert "client list" in raised.value.hint
    assert not store.audit_entries
