"""The published keys: read through a short cache, and published by whoever signs first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from jwt.utils import base64url_encode

from ferry.errors import BackendUnavailable
from ferry.model.auth import KeySet, PublicKey
from ferry.ports.auth import AuthStore, Signer
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.types import Clock

CACHE_TTL_MS = 45_000
REFETCH_INTERVAL_MS = 5_000
MAX_TOKEN_TTL_SECONDS = 43_200
"""Seconds a token lives at most: the greatest value of the template's `TokenTtlSeconds`."""


class KeySetCache:
    """The keyring as one process sees it: at most `fresh` ms old by the wall clock. So is what it knows of clients that
    were disabled.

    The wall clock, because a frozen and restored process must notice that time has passed. Not safe for threads; a
    function handles one request at a time.
    """

    def __init__(self, store: AuthStore, clock: Clock, cache_ttl_ms: int = CACHE_TTL_MS) -> None:
        self.clock = clock
        self._store = store
        self._cache_ttl_ms = cache_ttl_ms
        self._key_set: KeySet | None = None
        self._read_at = 0

    def key_set(self) -> KeySet | None:
        """The keyring, or None while no key was ever published (that is never cached). At most one read.

        Raises:
            BackendUnavailable: it had to be read and could not.
        """
        return self._read_if_older(self._cache_ttl_ms)

    def get_key(self, kid: str) -> PublicKey | None:
        """The key of that id. One that is not known makes the keyring be read again, at most every `RETRY` ms."""
        for max_age in (self._cache_ttl_ms, min(REFETCH_INTERVAL_MS, self._cache_ttl_ms)):
            keyring = self._read_if_older(max_age)
            for key in keyring.keys if keyring else ():
                if key.kid == kid:
                    return key
        return None

    def revoked_before(self, client_id: str) -> int:
        """Tokens issued to the client before this time (epoch seconds) are refused; 0 when none are."""
        keyring = self.key_set()
        return keyring.revoked_before_seconds.get(client_id, 0) if keyring else 0

    def _read_if_older(self, max_age_ms: int) -> KeySet | None:
        now = self.clock()
        if self._key_set is None or not 0 <= now - self._read_at < max_age_ms:
            self._key_set = self._store.get_key_set()
            self._read_at = now
        return self._key_set


def load_or_publish(cache: KeySetCache, store: AuthStore, signer: Signer, key_ref: str) -> KeySet:
    """The keyring; the first caller ever publishes one with the public half of `key_ref` as its only key.

    Raises:
        BackendUnavailable: the store or the signer failed.
    """
    keyring = cache.key_set()
    if keyring is not None:
        return keyring
    jwk = dict(signer.public_jwk(key_ref))
    kid = thumbprint(jwk)
    first = KeySet(signing_kid=kid, keys=(PublicKey(kid=kid, jwk=jwk, key_ref=key_ref),))
    try:
        store.put_key_set(first, expected=None)
    except ConcurrentUpdate:
        # Another copy of the function was first; what it published is there to be read.
        keyring = cache.key_set()
        if keyring is None:
            raise BackendUnavailable from None
        return keyring
    return first


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The key's id: its SHA-256 thumbprint (RFC 7638), base64url."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def jwks(key_set: KeySet) -> dict[str, list[dict[str, str]]]:
    """The JSON Web Key Set that others verify with (RFC 7517 section 5)."""
    return {"keys": [{**key.jwk, "kid": key.kid, "use": "sig", "alg": "ES256"} for key in key_set.keys]}
