"""Signing keys: published, signed with, retired; each step when nobody can be refused by it (docs/decisions/0006)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from admin.errors import AdminError
from admin.registry import Change, Desk, settled
from ferry.access.keyring import thumbprint
from ferry.trust import Keyring, PublicKey, Signer

SECOND = 1_000
PUBLISHED_FOR = 300
"""Seconds until everybody has seen a published key: functions, readers of the key set, and KMS a key's tag."""
UNUSED_FOR = 120
"""Seconds, beyond a token's lifetime, until nothing that a replaced key has signed is believed any more."""
MOST_KEYS = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """A key, what it is for now (`signing`, `published`, `replaced`), and from when its next step may be taken."""

    key: PublicKey
    state: str
    ready_at: int


def standings(keyring: Keyring, lifetime: int) -> Iterator[Standing]:
    """`lifetime`: seconds a token is valid."""
    for key in keyring.keys:
        if key.kid == keyring.signing_kid:
            yield Standing(key, "signing", 0)
        elif key.replaced_at:
            yield Standing(key, "replaced", key.replaced_at + (lifetime + UNUSED_FOR) * SECOND)
        else:
            yield Standing(key, "published", key.published_at + PUBLISHED_FOR * SECOND)


def keyring_of(desk: Desk) -> Keyring:
    """Raises `AdminError` when no key was ever published."""
    keyring = desk.registry.keyring()
    if keyring is None:
        raise AdminError(
            "no key is published yet", "ask the service for its first: GET /.well-known/jwks.json, or any token"
        )
    return keyring


def add(desk: Desk, signer: Signer, key_ref: str) -> PublicKey:
    """Publish the public half of `key_ref`. One that is published already stays as it is."""
    try:
        jwk = dict(signer.public_jwk(key_ref))
    except ValueError as error:
        raise AdminError(f"{key_ref}: {error}", "make one with `key add` alone, or of the spec ECC_NIST_P256") from None
    kid = thumbprint(jwk)

    def attempt() -> PublicKey:
        keyring = keyring_of(desk)
        for key in keyring.keys:
            if key.kid == kid:
                return key
        if len(keyring.keys) >= MOST_KEYS:
            raise AdminError(f"there are {MOST_KEYS} keys already", "retire one first: `key list` says which")
        added = PublicKey(kid, jwk, key_ref, published_at=desk.clock())
        new = replace(keyring, keys=(*keyring.keys, added))
        desk.registry.commit(desk.act("key.add", kid, key_ref=key_ref), keyring=Change(new, keyring))
        return added

    return settled(attempt)


def activate(desk: Desk, kid: str, *, at_once: bool = False) -> PublicKey:
    """Sign with that key from now on (`kid` may be cut short). Too early, unless `at_once`, is refused."""

    def attempt() -> PublicKey:
        keyring = keyring_of(desk)
        key = _find(keyring, kid)
        if key.kid == keyring.signing_kid:
            return key
        now = desk.clock()
        if not at_once:
            _wait(key.published_at + PUBLISHED_FOR * SECOND, now, "not everybody has seen this key yet")
        active = replace(key, replaced_at=0)
        changes = {key.kid: active}
        changes |= {
            each.kid: replace(each, replaced_at=now) for each in keyring.keys if each.kid == keyring.signing_kid
        }
        keys = tuple(changes.get(each.kid, each) for each in keyring.keys)
        act = desk.act("key.activate", key.kid, instead_of=keyring.signing_kid, at_once=str(at_once).lower())
        desk.registry.commit(act, keyring=Change(replace(keyring, signing_kid=key.kid, keys=keys), keyring))
        return active

    return settled(attempt)


def retire(desk: Desk, kid: str, *, lifetime: int, at_once: bool = False) -> PublicKey:
    """Believe nothing any more that this key has signed. The one that signs, and, unless `at_once`, one that may have
    signed a living token, is refused.
    """

    def attempt() -> PublicKey:
        keyring = keyring_of(desk)
        key = _find(keyring, kid)
        if key.kid == keyring.signing_kid:
            raise AdminError(f"{key.kid} signs", "`key activate` another first")
        if key.replaced_at and not at_once:
            ready = key.replaced_at + (lifetime + UNUSED_FOR) * SECOND
            _wait(ready, desk.clock(), "tokens that this key has signed may be alive")
        new = replace(keyring, keys=tuple(each for each in keyring.keys if each.kid != key.kid))
        act = desk.act("key.retire", key.kid, key_ref=key.key_ref, at_once=str(at_once).lower())
        desk.registry.commit(act, keyring=Change(new, keyring))
        return key

    return settled(attempt)


def _find(keyring: Keyring, kid: str) -> PublicKey:
    # On a command line an id that begins with "-" would be an option.
    found = [key for key in keyring.keys if key.kid.lstrip("-").startswith(kid.lstrip("-"))]
    if len(found) != 1 or not kid:
        problem = "no key" if not found else "more than one key"
        raise AdminError(f"{problem} is called {kid}", "`ferry-admin key list` has all of them")
    return found[0]


def _wait(ready: int, now: int, why: str) -> None:
    if now < ready:
        seconds = -((now - ready) // SECOND)
        raise AdminError(f"too early: {why}", f"again in {seconds} s; --at-once does not wait, and lets requests fail")
