"""What an operator does with clients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from admin import clients
from admin.errors import AdminError
from admin.registry import ATTEMPTS, Desk
from ferry.access.keyring import MAX_LIFETIME
from ferry.trust import Client, Keyring
from tests.fakes.access import MemoryAccess
from tests.fakes.clock import SettableClock

SCOPES = ("files:read",)
SECOND = 1_000


@pytest.fixture
def store() -> MemoryAccess:
    """A registry in which a key was published."""
    return MemoryAccess(published=Keyring("kid", ()))


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def desk(store: MemoryAccess, clock: SettableClock) -> Desk:
    return Desk(store, "arn:operator", clock)


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def revoked(store: MemoryAccess) -> dict[str, int]:
    assert store.published is not None
    return dict(store.published.revoked)


def test_a_secret_is_shown_once_and_kept_as_a_hash(desk: Desk, store: MemoryAccess) -> None:
    """256 bits, another for each client; nothing that is kept, the act included, has it in it."""
    client, secret = clients.add(desk, "camera-7", "acme", SCOPES)
    _, other = clients.add(desk, "camera-8", "acme", SCOPES)
    assert len(secret) == 43
    assert secret != other
    assert store.rows["camera-7"] == client
    assert client.secret_hashes == (hash_of(secret),)
    assert (client.ns, client.scopes, client.disabled) == ("acme", frozenset({"files:read"}), False)
    assert secret not in repr(store)


def test_a_client_is_never_added_over_another(desk: Desk, store: MemoryAccess) -> None:
    """Neither over one that was there, nor over one that somebody adds in between."""
    clients.add(desk, "camera-7", "acme", SCOPES)
    with pytest.raises(AdminError, match="already"):
        clients.add(desk, "camera-7", "other", SCOPES)
    store.meanwhile = lambda: store.rows.setdefault("b", Client("b", "theirs", frozenset(), ()))
    with pytest.raises(AdminError, match="already"):
        clients.add(desk, "b", "acme", SCOPES)
    assert store.rows["b"].ns == "theirs"
    assert store.rows["camera-7"].ns == "acme"


@pytest.mark.parametrize("client_id", ["", "a b", "a:b", "-a", "é", "a" * 129, "a\n", "a/b", "a#b"])
def test_ids_fit_basic_authentication_and_a_shell(desk: Desk, client_id: str) -> None:
    """What would need quoting or encoding somewhere is refused when the client is made."""
    with pytest.raises(AdminError, match="client's id"):
        clients.add(desk, client_id, "acme", SCOPES)


@pytest.mark.parametrize("ns", ["", " a", "a\n", "a" * 129, "#a", "a\x00"])
def test_namespaces_are_plain(desk: Desk, ns: str) -> None:
    """They are part of keys and of log lines."""
    with pytest.raises(AdminError, match="namespace"):
        clients.add(desk, "a", ns, SCOPES)


@pytest.mark.parametrize("scopes", [(), ("files:read", "files:all"), ("",)])
def test_scopes_are_those_there_are(desk: Desk, scopes: tuple[str, ...]) -> None:
    """A misspelt scope would never open anything."""
    with pytest.raises(AdminError, match="not a scope"):
        clients.add(desk, "a", "acme", scopes)


def test_a_rotation_has_a_time_with_both_secrets(desk: Desk) -> None:
    """Old and new; then the new one alone, or, undone, the old one."""
    _, old = clients.add(desk, "a", "acme", SCOPES)
    both, new = clients.rotate(desk, "a")
    assert both.secret_hashes == (hash_of(old), hash_of(new))
    assert clients.end_rotation(desk, "a").secret_hashes == (hash_of(new),)
    _, newest = clients.rotate(desk, "a")
    assert clients.end_rotation(desk, "a", undo=True).secret_hashes == (hash_of(new),)
    assert newest != new


def test_there_are_never_three_secrets(desk: Desk) -> None:
    """A second rotation waits for the first; a secret that leaked does not."""
    clients.add(desk, "a", "acme", SCOPES)
    clients.rotate(desk, "a")
    with pytest.raises(AdminError, match="under way"):
        clients.rotate(desk, "a")
    only, secret = clients.rotate(desk, "a", at_once=True)
    assert only.secret_hashes == (hash_of(secret),)
    with pytest.raises(AdminError, match="no rotation"):
        clients.end_rotation(desk, "a")


def test_who_is_disabled_is_on_the_keyring(desk: Desk, store: MemoryAccess, clock: SettableClock) -> None:
    """With a time beyond every token request that is under way; the client's own row says so too."""
    clients.add(desk, "a", "acme", SCOPES)
    assert clients.disable(desk, "a").disabled
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT}
    clock.advance(10 * SECOND)
    clients.disable(desk, "a")
    assert revoked(store) == {"a": clock() // 1000 + clients.IN_FLIGHT}


def test_who_is_enabled_again_gets_tokens_from_then_on(desk: Desk, store: MemoryAccess, clock: SettableClock) -> None:
    """The time on the keyring never lies ahead, nor does it go back; enabling one that is enabled changes nothing."""
    clients.add(desk, "a", "acme", SCOPES)
    clients.disable(desk, "a")
    clock.advance(10 * SECOND)
    assert not clients.enable(desk, "a").disabled
    assert revoked(store) == {"a": clock() // 1000}
    clients.disable(desk, "a")
    ended = revoked(store)
    clock.advance(1000 * SECOND)
    clients.enable(desk, "a")
    assert revoked(store) == ended
    acts = len(store.history)
    clients.enable(desk, "a")
    assert len(store.history) == acts


def test_the_list_is_bounded(desk: Desk, store: MemoryAccess, clock: SettableClock) -> None:
    """Entries go when no token can be that old; one more than there is room for is refused and changes nothing."""
    clients.add(desk, "a", "acme", SCOPES)
    assert store.published is not None
    now = clock() // 1000
    full = {f"c{number}": now for number in range(clients.MOST_REVOKED)}
    store.published = replace(store.published, revoked=full)
    with pytest.raises(AdminError, match="12 hours"):
        clients.disable(desk, "a")
    assert not store.rows["a"].disabled
    clock.advance((MAX_LIFETIME + clients.IN_FLIGHT) * SECOND)
    clients.disable(desk, "a")
    assert revoked(store).keys() == {"a"}


def test_without_keys_there_is_nothing_to_revoke(desk: Desk, store: MemoryAccess) -> None:
    """No token was ever issued: the client's row is enough."""
    store.published = None
    clients.add(desk, "a", "acme", SCOPES)
    clients.disable(desk, "a")
    clients.enable(desk, "a")
    assert store.published is None


CHANGES: list[tuple[Callable[[Desk], object], str]] = [
    (lambda desk: clients.rotate(desk, "a"), "client.rotate"),
    (lambda desk: clients.rotate(desk, "a", at_once=True), "client.rotate_at_once"),
    (lambda desk: clients.disable(desk, "a"), "client.disable"),
]


@pytest.mark.parametrize(("change", "event"), CHANGES)
def test_no_update_is_lost(desk: Desk, store: MemoryAccess, change: Callable[[Desk], object], event: str) -> None:
    """Somebody changes the same client, and another the keyring, between the read and the write: both stay."""
    clients.add(desk, "a", "acme", SCOPES)
    clients.add(desk, "b", "acme", SCOPES)
    others = Desk(store, "arn:other", desk.clock)

    def meanwhile() -> None:
        store.meanwhile = lambda: None
        row = store.rows["a"]
        store.rows["a"] = replace(row, ns="moved", version=row.version + 1)
        clients.disable(others, "b")

    store.meanwhile = meanwhile
    change(desk)
    assert store.rows["a"].ns == "moved"
    assert "b" in revoked(store)
    assert [act.event for act in store.history if act.subject == "a"] == ["client.add", event]
    assert store.history[-1].actor == "arn:operator"


def test_endless_company_is_told(desk: Desk, store: MemoryAccess) -> None:
    """After a few races the operator is asked to come again; nothing was changed."""
    clients.add(desk, "a", "acme", SCOPES)
    tries: list[int] = []

    def meanwhile() -> None:
        tries.append(1)
        row = store.rows["a"]
        store.rows["a"] = replace(row, version=row.version + 1)

    store.meanwhile = meanwhile
    with pytest.raises(AdminError, match="others"):
        clients.disable(desk, "a")
    assert len(tries) == ATTEMPTS
    assert not store.rows["a"].disabled


@pytest.mark.parametrize(
    "change", [clients.rotate, clients.end_rotation, clients.disable, clients.enable, clients.find]
)
def test_who_is_not_there_is_told(desk: Desk, store: MemoryAccess, change: Callable[[Desk, str], object]) -> None:
    """A misspelt name changes nothing, and the hint says how to find the right one."""
    with pytest.raises(AdminError, match="no client 'x'") as told:
        change(desk, "x")
    assert "list" in told.value.hint
    assert not store.history
