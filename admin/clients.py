"""Clients: added, given new secrets, disabled and enabled (docs/decisions/0006)."""

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

SCOPES = ("files:read", "files:write", "files:admin")
IN_FLIGHT_GRACE_SECONDS = 60
"""Seconds in which a token request that began before may still sign: a function's 29 s, and clocks 30 s apart."""
MAX_REVOKED = 500

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@:/|-]{0,127}")


def get_client(context: AdminContext, client_id: str) -> Client:
    """Raises `AdminError` when there is none."""
    client = context.store.get_client(client_id)
    if client is None:
        raise AdminError(f"there is no client {client_id!r}", "`ferry-admin client list` has all of them")
    return client


def add(context: AdminContext, client_id: str, ns: str, scopes: Iterable[str]) -> tuple[Client, str]:
    """A new client, and its secret. Raises `AdminError`: it is there already, or something is not valid."""
    wanted = frozenset(scopes)
    _validate(client_id, ns, wanted)
    secret, digest = _new_secret()

    def attempt() -> Client:
        if context.store.get_client(client_id) is not None:
            raise AdminError(f"there is a client {client_id!r} already", "`client rotate` gives it a new secret")
        now = context.clock()
        client = Client(client_id, ns, wanted, (digest,), created_at=now, rotated_at=now)
        act = context.audit_entry("client.add", client_id, ns=ns, scope=" ".join(sorted(wanted)))
        context.store.commit(act, client=ConditionalPut(client, None))
        return client

    return retry_on_conflict(attempt), secret


def rotate(context: AdminContext, client_id: str, *, immediate: bool = False) -> tuple[Client, str]:
    """A second secret; with `at_once` the only one. Raises `AdminError`: there are two already, or no such client."""
    secret, digest = _new_secret()

    def attempt() -> Client:
        client = get_client(context, client_id)
        if len(client.secret_hashes) > 1 and not immediate:
            raise AdminError(
                f"{client_id} has two secrets already: a rotation is under way",
                "end it with --finish (the older one goes) or --undo (the newer one goes)",
            )
        kept = () if immediate else client.secret_hashes
        new = replace(client, secret_hashes=(*kept, digest), rotated_at=context.clock())
        event = "client.rotate_immediate" if immediate else "client.rotate"
        context.store.commit(context.audit_entry(event, client_id), client=ConditionalPut(new, client))
        return new

    return retry_on_conflict(attempt), secret


def end_rotation(context: AdminContext, client_id: str, *, undo: bool = False) -> Client:
    """Drop the older of two secrets; with `undo` the newer. With one left there is nothing to do."""

    def attempt() -> Client:
        client = get_client(context, client_id)
        if len(client.secret_hashes) < 2:
            raise AdminError(f"{client_id} has one secret: no rotation is under way", "`client rotate` begins one")
        kept = client.secret_hashes[:1] if undo else client.secret_hashes[-1:]
        new = replace(client, secret_hashes=kept)
        event = "client.rotate_undo" if undo else "client.rotate_finish"
        context.store.commit(context.audit_entry(event, client_id), client=ConditionalPut(new, client))
        return new

    return retry_on_conflict(attempt)


def disable(context: AdminContext, client_id: str) -> Client:
    """No new tokens, and the living ones are refused as soon as every cache is over. Again: their end is put anew."""

    def attempt() -> Client:
        client = get_client(context, client_id)
        new = replace(client, disabled=True)
        keyring = context.store.get_key_set()
        now = context.clock() // 1000
        context.store.commit(
            context.audit_entry("client.disable", client_id),
            client=ConditionalPut(new, client),
            key_set=_revocation_put(keyring, client_id, now + IN_FLIGHT_GRACE_SECONDS, now) if keyring else None,
        )
        return new

    return retry_on_conflict(attempt)


def enable(context: AdminContext, client_id: str) -> Client:
    """Tokens again, from now on; those of before stay refused."""

    def attempt() -> Client:
        client = get_client(context, client_id)
        if not client.disabled:
            return client
        new = replace(client, disabled=False)
        keyring = context.store.get_key_set()
        now = context.clock() // 1000
        change = None
        if keyring and keyring.revoked_before_seconds.get(client_id, 0) > now:
            change = _revocation_put(keyring, client_id, now, now)
        context.store.commit(
            context.audit_entry("client.enable", client_id),
            client=ConditionalPut(new, client),
            key_set=change,
        )
        return new

    return retry_on_conflict(attempt)


def _revocation_put(
    key_set: KeySet, client_id: str, revoked_before_seconds: int, now_seconds: int
) -> ConditionalPut[KeySet]:
    """The keyring with that entry, and without those that no living token can be older than."""
    horizon = now_seconds - MAX_TOKEN_TTL_SECONDS - IN_FLIGHT_GRACE_SECONDS
    kept = {name: time for name, time in key_set.revoked_before_seconds.items() if time > horizon and name != client_id}
    if len(kept) >= MAX_REVOKED:
        raise AdminError(
            f"{MAX_REVOKED} clients were disabled within the last 12 hours, which is all that is remembered at once",
            "end every token there is: `key add`, `key activate`, then `key retire --immediate` of the old key",
        )
    return ConditionalPut(replace(key_set, revoked_before_seconds={**kept, client_id: revoked_before_seconds}), key_set)


def _new_secret() -> tuple[str, bytes]:
    """256 random bits, and what is kept of them: nobody can try 2^256 of them, so no slow hash is needed."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).digest()


def _validate(client_id: str, ns: str, scopes: frozenset[str]) -> None:
    if not _CLIENT_ID.fullmatch(client_id):
        raise AdminError(
            f"{client_id!r} cannot be a client's id",
            "use up to 128 letters, digits and . _ ~ @ -, beginning with a letter or a digit",
        )
    if not _NAMESPACE.fullmatch(ns):
        raise AdminError(
            f"{ns!r} cannot be a namespace",
            "use up to 128 letters, digits and . _ ~ @ : / | -, beginning with a letter or a digit",
        )
    unknown = sorted(scopes.difference(SCOPES))
    if unknown or not scopes:
        raise AdminError(f"not a scope: {', '.join(unknown) or 'none given'}", f"there are {', '.join(SCOPES)}")
