"""Signing keys: published, signed with, retired; each step when nobody can be refused by it (docs/decisions/0006)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from admin.errors import AdminError
from admin.ports import AdminContext, ConditionalPut, retry_on_conflict
from ferry.auth.key_cache import thumbprint
from ferry.model.auth import KeySet, PublicKey
from ferry.ports.auth import Signer

SECOND_MS = 1_000
ACTIVATION_DELAY_SECONDS = 300
"""Seconds until everybody has seen a published key: functions, readers of the key set, and KMS a key's tag."""
RETIREMENT_DELAY_SECONDS = 120
"""Seconds, beyond a token's lifetime, until nothing that a replaced key has signed is believed any more."""
MAX_KEYS = 10


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A key, what it is for now (`signing`, `published`, `superseded`), and from when its next step may be taken."""

    key: PublicKey
    state: str
    ready_at: int


def key_statuses(key_set: KeySet, token_ttl_seconds: int) -> Iterator[KeyStatus]:
    """`lifetime`: seconds a token is valid."""
    for key in key_set.keys:
        if key.kid == key_set.signing_kid:
            yield KeyStatus(key, "signing", 0)
        elif key.superseded_at:
            yield KeyStatus(
                key, "superseded", key.superseded_at + (token_ttl_seconds + RETIREMENT_DELAY_SECONDS) * SECOND_MS
            )
        else:
            yield KeyStatus(key, "published", key.published_at + ACTIVATION_DELAY_SECONDS * SECOND_MS)


def require_key_set(context: AdminContext) -> KeySet:
    """Raises `AdminError` when no key was ever published."""
    keyring = context.store.get_key_set()
    if keyring is None:
        raise AdminError(
            "no key is published yet", "ask the service for its first: GET /.well-known/jwks.json, or any token"
        )
    return keyring


def add(context: AdminContext, signer: Signer, key_ref: str) -> PublicKey:
    """Publish the public half of `key_ref`. One that is published already stays as it is."""
    try:
        jwk = dict(signer.public_jwk(key_ref))
    except ValueError as error:
        raise AdminError(f"{key_ref}: {error}", "make one with `key add` alone, or of the spec ECC_NIST_P256") from None
    kid = thumbprint(jwk)

    def attempt() -> PublicKey:
        keyring = require_key_set(context)
        for key in keyring.keys:
            if key.kid == kid:
                return key
        if len(keyring.keys) >= MAX_KEYS:
            raise AdminError(f"there are {MAX_KEYS} keys already", "retire one first: `key list` says which")
        added = PublicKey(kid, jwk, key_ref, published_at=context.clock())
        new = replace(keyring, keys=(*keyring.keys, added))
        context.store.commit(context.audit_entry("key.add", kid, key_ref=key_ref), key_set=ConditionalPut(new, keyring))
        return added

    return retry_on_conflict(attempt)


def activate(context: AdminContext, kid: str, *, immediate: bool = False) -> PublicKey:
    """Sign with that key from now on (`kid` may be cut short). Too early, unless `at_once`, is refused."""

    def attempt() -> PublicKey:
        keyring = require_key_set(context)
        key = _find_key(keyring, kid)
        if key.kid == keyring.signing_kid:
            return key
        now = context.clock()
        if not immediate:
            _require_elapsed(
                key.published_at + ACTIVATION_DELAY_SECONDS * SECOND_MS, now, "not everybody has seen this key yet"
            )
        active = replace(key, superseded_at=0)
        changes = {key.kid: active}
        changes |= {
            each.kid: replace(each, superseded_at=now) for each in keyring.keys if each.kid == keyring.signing_kid
        }
        keys = tuple(changes.get(each.kid, each) for each in keyring.keys)
        act = context.audit_entry(
            "key.activate", key.kid, superseded_kid=keyring.signing_kid, immediate=str(immediate).lower()
        )
        context.store.commit(act, key_set=ConditionalPut(replace(keyring, signing_kid=key.kid, keys=keys), keyring))
        return active

    return retry_on_conflict(attempt)


def retire(context: AdminContext, kid: str, *, token_ttl_seconds: int, immediate: bool = False) -> PublicKey:
    """Believe nothing any more that this key has signed. The one that signs, and, unless `at_once`, one that may have
    signed a living token, is refused.
    """

    def attempt() -> PublicKey:
        keyring = require_key_set(context)
        key = _find_key(keyring, kid)
        if key.kid == keyring.signing_kid:
            raise AdminError(f"{key.kid} signs", "`key activate` another first")
        if key.superseded_at and not immediate:
            ready = key.superseded_at + (token_ttl_seconds + RETIREMENT_DELAY_SECONDS) * SECOND_MS
            _require_elapsed(ready, context.clock(), "tokens that this key has signed may be alive")
        new = replace(keyring, keys=tuple(each for each in keyring.keys if each.kid != key.kid))
        act = context.audit_entry("key.retire", key.kid, key_ref=key.key_ref, immediate=str(immediate).lower())
        context.store.commit(act, key_set=ConditionalPut(new, keyring))
        return key

    return retry_on_conflict(attempt)


def _find_key(key_set: KeySet, kid: str) -> PublicKey:
    # On a command line an id that begins with "-" would be an option.
    found = [key for key in key_set.keys if key.kid.lstrip("-").startswith(kid.lstrip("-"))]
    if len(found) != 1 or not kid:
        problem = "no key" if not found else "more than one key"
        raise AdminError(f"{problem} is called {kid}", "`ferry-admin key list` has all of them")
    return found[0]


def _require_elapsed(ready_at: int, now: int, reason: str) -> None:
    if now < ready_at:
        seconds = -((now - ready_at) // SECOND_MS)
        raise AdminError(
            f"too early: {reason}", f"again in {seconds} s; --immediate does not wait, and lets requests fail"
        )
