"""Signing keys: publish, activate, retire, each when no request can fail because of it (docs/decisions/0006)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from admin.errors import AdminError
from admin.ports import AdminContext, ConditionalPut, retry_on_conflict
from ferry.auth.key_cache import thumbprint
from ferry.model.auth import KeySet, PublicKey
from ferry.ports.auth import Signer
from ferry.rules.durations import SECOND_MS

ACTIVATION_DELAY_SECONDS = 300
"""Time until functions and other verifiers have read a published key, and KMS has propagated its tag."""
RETIREMENT_DELAY_SECONDS = 120
"""Time, after a token's lifetime, until every token of a superseded key has expired everywhere."""
MAX_KEYS = 10
"""Published keys at most."""
_NEXT_STEPS = {"published": "activate", "superseded": "retire"}


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A published key and its next step."""

    key: PublicKey
    """The key."""
    state: str
    """`signing` (signs new tokens), `published` (not yet) or `superseded` (no longer)."""
    ready_at: int
    """When the next step may be taken, in epoch milliseconds; 0 for the signing key."""

    @property
    def next_step(self) -> str | None:
        """Return the subcommand that comes next, None for the signing key."""
        return _NEXT_STEPS.get(self.state)


def key_statuses(key_set: KeySet, token_ttl_seconds: int) -> Iterator[KeyStatus]:
    """Yield the status of each key. `token_ttl_seconds` is the lifetime of a token."""
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
    """Return the key set. Raises `AdminError` if no key has been published."""
    key_set = context.store.get_key_set()
    if key_set is None:
        raise AdminError(
            "no key is published yet", "GET /.well-known/jwks.json, or any token request, publishes the first"
        )
    return key_set


def add(context: AdminContext, signer: Signer, key_ref: str) -> PublicKey:
    """Publish the public half of `key_ref`, unless it is published, and return the key. Raises `AdminError`."""
    try:
        jwk = dict(signer.public_jwk(key_ref))
    except ValueError as error:
        raise AdminError(
            f"{key_ref}: {error}", "use a key of the spec ECC_NIST_P256, or leave out --kms-key to create one"
        ) from None
    kid = thumbprint(jwk)

    def attempt() -> PublicKey:
        key_set = require_key_set(context)
        for key in key_set.keys:
            if key.kid == kid:
                return key
        if len(key_set.keys) >= MAX_KEYS:
            raise AdminError(
                f"{MAX_KEYS} keys are published, the maximum", "retire one first: see `ferry-admin key list`"
            )
        added = PublicKey(kid, jwk, key_ref, published_at=context.clock())
        new = replace(key_set, keys=(*key_set.keys, added))
        context.store.commit(context.audit_entry("key.add", kid, key_ref=key_ref), key_set=ConditionalPut(new, key_set))
        return added

    return retry_on_conflict(attempt)


def activate(context: AdminContext, kid: str, *, immediate: bool = False) -> PublicKey:
    """Sign new tokens with that key, and return it.

    Raises:
        AdminError: there is no such key, or verifiers may not have read it yet and `immediate` is false.
    """

    def attempt() -> PublicKey:
        key_set = require_key_set(context)
        key = _find_key(key_set, kid)
        if key.kid == key_set.signing_kid:
            return key
        now = context.clock()
        if not immediate:
            _require_elapsed(
                key.published_at + ACTIVATION_DELAY_SECONDS * SECOND_MS, now, "verifiers may not have read this key yet"
            )
        active = replace(key, superseded_at=0)
        replaced = {key.kid: active}
        replaced |= {
            each.kid: replace(each, superseded_at=now) for each in key_set.keys if each.kid == key_set.signing_kid
        }
        keys = tuple(replaced.get(each.kid, each) for each in key_set.keys)
        entry = context.audit_entry(
            "key.activate", key.kid, superseded_kid=key_set.signing_kid, immediate=str(immediate).lower()
        )
        new = replace(key_set, signing_kid=key.kid, keys=keys)
        context.store.commit(entry, key_set=ConditionalPut(new, key_set))
        return active

    return retry_on_conflict(attempt)


def retire(context: AdminContext, kid: str, *, token_ttl_seconds: int, immediate: bool = False) -> PublicKey:
    """Remove the key from the key set, so that its tokens are rejected, and return it.

    Raises:
        AdminError: there is no such key, it signs, or its tokens may be valid and `immediate` is false.
    """

    def attempt() -> PublicKey:
        key_set = require_key_set(context)
        key = _find_key(key_set, kid)
        if key.kid == key_set.signing_kid:
            raise AdminError(
                f"{key.kid} is the signing key", "activate another key first: `ferry-admin key activate KID`"
            )
        if key.superseded_at and not immediate:
            ready = key.superseded_at + (token_ttl_seconds + RETIREMENT_DELAY_SECONDS) * SECOND_MS
            _require_elapsed(ready, context.clock(), "tokens that this key has signed may still be valid")
        new = replace(key_set, keys=tuple(each for each in key_set.keys if each.kid != key.kid))
        entry = context.audit_entry("key.retire", key.kid, key_ref=key.key_ref, immediate=str(immediate).lower())
        context.store.commit(entry, key_set=ConditionalPut(new, key_set))
        return key

    return retry_on_conflict(attempt)


def _find_key(key_set: KeySet, kid: str) -> PublicKey:
    # A leading "-" is ignored: on a command line it would begin an option.
    found = [key for key in key_set.keys if key.kid.lstrip("-").startswith(kid.lstrip("-"))]
    if len(found) != 1 or not kid:
        problem = "no key" if not found else "more than one key"
        raise AdminError(f"{problem} has an id that begins with {kid}", "`ferry-admin key list` shows all keys")
    return found[0]


def _require_elapsed(ready_at: int, now: int, reason: str) -> None:
    if now < ready_at:
        seconds = -((now - ready_at) // SECOND_MS)
        raise AdminError(
            f"too early: {reason}", f"try again in {seconds} s, or use --immediate and accept that requests fail"
        )
