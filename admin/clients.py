"""Clients: add, rotate the secret, disable, enable (docs/decisions/0006)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import replace

from admin.errors import AdminError
from admin.ports import AdminContext, ConditionalPut, retry_on_conflict
from ferry.auth.key_cache import MAX_TOKEN_TTL_SECONDS
from ferry.model.auth import Client, KeySet

SCOPES = ("files:read", "files:write", "files:share", "files:admin")
"""What a client may be allowed to do."""
IN_FLIGHT_GRACE_SECONDS = 60
"""Time in which a token request that has read the client may still sign: a function's 29 s, and clocks 30 s apart."""
MAX_REVOKED = 500
"""Clients with revoked tokens in the key set, which every function reads."""
MAX_DISABLED = 2_000
"""Disabled clients in the key set, which every function reads."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@:/|-]{0,127}")


def get_client(context: AdminContext, client_id: str) -> Client:
    """Return the client. Raises `AdminError` if there is none."""
    client = context.store.get_client(client_id)
    if client is None:
        raise AdminError(f"there is no client {client_id!r}", "`ferry-admin client list` shows all clients")
    return client


def client_state(client: Client) -> str:
    """Return `disabled`, `rotating` (two secrets) or `active`."""
    if client.disabled:
        return "disabled"
    return "rotating" if len(client.secret_hashes) > 1 else "active"


def add(context: AdminContext, client_id: str, ns: str, scopes: Iterable[str]) -> tuple[Client, str]:
    """Add a client, and return it with its secret. Raises `AdminError`: it exists, or an argument is not valid."""
    granted = frozenset(scopes)
    _validate(client_id, ns, granted)
    secret, digest = _new_secret()

    def attempt() -> Client:
        if context.store.get_client(client_id) is not None:
            raise AdminError(
                f"the client {client_id!r} exists", f"`ferry-admin client rotate {client_id}` gives it a new secret"
            )
        now = context.clock()
        client = Client(client_id, ns, granted, (digest,), created_at=now, rotated_at=now)
        entry = context.audit_entry("client.add", client_id, ns=ns, scope=" ".join(sorted(granted)))
        context.store.commit(entry, client=ConditionalPut(client, None))
        return client

    return retry_on_conflict(attempt), secret


def rotate(context: AdminContext, client_id: str, *, immediate: bool = False) -> tuple[Client, str]:
    """Give the client a second secret, with `immediate` the only one, and return both client and secret.

    Raises:
        AdminError: it has two secrets already, or there is no such client.
    """
    secret, digest = _new_secret()

    def attempt() -> Client:
        client = get_client(context, client_id)
        if len(client.secret_hashes) > 1 and not immediate:
            raise AdminError(
                f"{client_id} has two secrets: a rotation is in progress",
                "end it with --finish (drops the older secret) or --undo (drops the newer one)",
            )
        kept = () if immediate else client.secret_hashes
        new = replace(client, secret_hashes=(*kept, digest), rotated_at=context.clock())
        event = "client.rotate_immediate" if immediate else "client.rotate"
        context.store.commit(context.audit_entry(event, client_id), client=ConditionalPut(new, client))
        return new

    return retry_on_conflict(attempt), secret


def end_rotation(context: AdminContext, client_id: str, *, undo: bool = False) -> Client:
    """Drop the older of two secrets, with `undo` the newer, and return the client. Raises `AdminError`."""

    def attempt() -> Client:
        client = get_client(context, client_id)
        if len(client.secret_hashes) < 2:
            raise AdminError(
                f"{client_id} has one secret: no rotation is in progress",
                f"`ferry-admin client rotate {client_id}` starts one",
            )
        kept = client.secret_hashes[:1] if undo else client.secret_hashes[-1:]
        new = replace(client, secret_hashes=kept)
        event = "client.rotate_undo" if undo else "client.rotate_finish"
        context.store.commit(context.audit_entry(event, client_id), client=ConditionalPut(new, client))
        return new

    return retry_on_conflict(attempt)


def disable(context: AdminContext, client_id: str) -> Client:
    """Disable the client, revoke its tokens, and return it. Repeating it revokes tokens issued since.

    Functions reject the tokens, and the links that the client created, once they read the key set again, within the
    time of their cache.
    """

    def attempt() -> Client:
        client = get_client(context, client_id)
        new = replace(client, disabled=True)
        key_set = context.store.get_key_set()
        now = context.clock() // 1000
        context.store.commit(
            context.audit_entry("client.disable", client_id),
            client=ConditionalPut(new, client),
            key_set=_disable_put(key_set, client_id, now) if key_set else None,
        )
        return new

    return retry_on_conflict(attempt)


def enable(context: AdminContext, client_id: str) -> Client:
    """Enable the client and return it. Tokens from before stay revoked; its links work again."""

    def attempt() -> Client:
        client = get_client(context, client_id)
        if not client.disabled:
            return client
        new = replace(client, disabled=False)
        key_set = context.store.get_key_set()
        now = context.clock() // 1000
        context.store.commit(
            context.audit_entry("client.enable", client_id),
            client=ConditionalPut(new, client),
            key_set=_enable_put(key_set, client_id, now) if key_set else None,
        )
        return new

    return retry_on_conflict(attempt)


def _disable_put(key_set: KeySet, client_id: str, now_seconds: int) -> ConditionalPut[KeySet]:
    """Return the key set with the client's tokens revoked, and its links with it. Raises `AdminError`."""
    if len(key_set.disabled_clients - {client_id}) >= MAX_DISABLED:
        raise AdminError(
            f"{MAX_DISABLED} clients are disabled, which is the maximum", "enable those that have no links any more"
        )
    put = _revocation_put(key_set, client_id, now_seconds + IN_FLIGHT_GRACE_SECONDS, now_seconds)
    return ConditionalPut(replace(put.new, disabled_clients=key_set.disabled_clients | {client_id}), key_set)


def _enable_put(key_set: KeySet, client_id: str, now_seconds: int) -> ConditionalPut[KeySet] | None:
    """Return the key set in which the client's links work and new tokens are accepted; None if nothing changes."""
    enabled = replace(key_set, disabled_clients=key_set.disabled_clients - {client_id})
    if key_set.revoked_before_seconds.get(client_id, 0) > now_seconds:
        put = _revocation_put(enabled, client_id, now_seconds, now_seconds)
        return ConditionalPut(put.new, key_set)
    return ConditionalPut(enabled, key_set) if enabled != key_set else None


def _revocation_put(
    key_set: KeySet, client_id: str, revoked_before_seconds: int, now_seconds: int
) -> ConditionalPut[KeySet]:
    """Return the key set with that revocation, and without those that every valid token is younger than."""
    horizon = now_seconds - MAX_TOKEN_TTL_SECONDS - IN_FLIGHT_GRACE_SECONDS
    kept = {name: time for name, time in key_set.revoked_before_seconds.items() if time > horizon and name != client_id}
    if len(kept) >= MAX_REVOKED:
        raise AdminError(
            f"{MAX_REVOKED} clients were disabled within 12 hours, which is the maximum",
            "to revoke all tokens at once: `key add`, `key activate NEW --immediate`, `key retire OLD --immediate`",
        )
    return ConditionalPut(replace(key_set, revoked_before_seconds={**kept, client_id: revoked_before_seconds}), key_set)


def _new_secret() -> tuple[str, bytes]:
    """Return a secret of 256 random bits and its hash. A random secret of that size needs no slow hash."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).digest()


def _validate(client_id: str, ns: str, scopes: frozenset[str]) -> None:
    if not _CLIENT_ID.fullmatch(client_id):
        raise AdminError(
            f"{client_id!r} is not a valid client id",
            "use up to 128 letters, digits and . _ ~ @ -, and begin with a letter or a digit",
        )
    if not _NAMESPACE.fullmatch(ns):
        raise AdminError(
            f"{ns!r} is not a valid namespace",
            "use up to 128 letters, digits and . _ ~ @ : / | -, and begin with a letter or a digit",
        )
    unknown = sorted(scopes.difference(SCOPES))
    if unknown or not scopes:
        raise AdminError(f"not a scope: {', '.join(unknown) or 'none given'}", f"use {', '.join(SCOPES)}")
