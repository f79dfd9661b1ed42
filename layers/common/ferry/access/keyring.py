"""The published keys: read through a short cache, and published by whoever signs first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from jwt.utils import base64url_encode

from ferry.errors import BackendUnavailable
from ferry.ports import Clock, Moved
from ferry.trust import AccessStore, Keyring, PublicKey, Signer

FRESH = 45_000
RETRY = 5_000
MAX_LIFETIME = 43_200
"""Seconds a token lives at most: the greatest value of the template's `TokenLifetime`."""


class KeyCache:
    """The keyring as one process sees it: at most `fresh` ms old by the wall clock. So is what it knows of clients that
    were disabled.

    The wall clock, because a frozen and restored process must notice that time has passed. Not safe for threads; a
    function handles one request at a time.
    """

    def __init__(self, store: AccessStore, clock: Clock, fresh: int = FRESH) -> None:
        self.clock = clock
        self._store = store
        self._fresh = fresh
        self._keyring: Keyring | None = None
        self._read_at = 0

    def keyring(self) -> Keyring | None:
        """The keyring, or None while no key was ever published (that is never cached). At most one read.

        Raises:
            BackendUnavailable: it had to be read and could not.
        """
        return self._younger_than(self._fresh)

    def key(self, kid: str) -> PublicKey | None:
        """The key of that id. One that is not known makes the keyring be read again, at most every `RETRY` ms."""
        for max_age in (self._fresh, min(RETRY, self._fresh)):
            keyring = self._younger_than(max_age)
            for key in keyring.keys if keyring else ():
                if key.kid == kid:
                    return key
        return None

    def revoked_before(self, client_id: str) -> int:
        """Tokens issued to the client before this time (epoch seconds) are refused; 0 when none are."""
        keyring = self.keyring()
        return keyring.revoked.get(client_id, 0) if keyring else 0

    def _younger_than(self, max_age: int) -> Keyring | None:
        now = self.clock()
        if self._keyring is None or not 0 <= now - self._read_at < max_age:
            self._keyring = self._store.keyring()
            self._read_at = now
        return self._keyring


def published(keys: KeyCache, store: AccessStore, signer: Signer, key_ref: str) -> Keyring:
    """The keyring; the first caller ever publishes one with the public half of `key_ref` as its only key.

    Raises:
        BackendUnavailable: the store or the signer failed.
    """
    keyring = keys.keyring()
    if keyring is not None:
        return keyring
    jwk = dict(signer.public_jwk(key_ref))
    kid = thumbprint(jwk)
    first = Keyring(signing_kid=kid, keys=(PublicKey(kid=kid, jwk=jwk, key_ref=key_ref),))
    try:
        store.publish(first, over=None)
    except Moved:
        # Another copy of the function was first; what it published is there to be read.
        keyring = keys.keyring()
        if keyring is None:
            raise BackendUnavailable from None
        return keyring
    return first


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The key's id: its SHA-256 thumbprint (RFC 7638), base64url."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def key_set(keyring: Keyring) -> dict[str, list[dict[str, str]]]:
    """The JSON Web Key Set that others verify with (RFC 7517 section 5)."""
    return {"keys": [{**key.jwk, "kid": key.kid, "use": "sig", "alg": "ES256"} for key in keyring.keys]}
