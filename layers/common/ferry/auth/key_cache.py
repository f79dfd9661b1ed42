"""The published keys: read through a cache; the first token request publishes the first key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jwt.utils import base64url_encode

from ferry.errors import BackendUnavailable
from ferry.model.auth import KeySet, PublicKey
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.ports.auth import AuthStore, Signer
    from ferry.ports.types import Clock

REFETCH_INTERVAL_MS = 5 * SECOND_MS
"""Age from which an unknown key id makes the cache read the key set again."""
MAX_TOKEN_TTL_SECONDS = 43_200
"""Maximum lifetime of an access token: the maximum of the template's `TokenTtlSeconds`."""


class KeySetCache:
    """The key set as one process has read it, with the revocations in it.

    Not thread-safe: a function handles one request at a time.

    Args:
        store: where the key set is.
        clock: the wall clock, because a monotonic clock may stand still while the process is frozen.
        cache_ttl_ms: age up to which the key set is used without reading it again.
    """

    def __init__(self, store: AuthStore, clock: Clock, cache_ttl_ms: int) -> None:
        self.clock = clock
        self._store = store
        self._cache_ttl_ms = cache_ttl_ms
        self._key_set: KeySet | None = None
        self._read_at = 0

    def key_set(self) -> KeySet | None:
        """Return the key set, or None while no key has been published, which is never cached. One read at most.

        Raises:
            BackendUnavailable: the read failed.
        """
        return self._read_if_older(self._cache_ttl_ms)

    def get_key(self, kid: str) -> PublicKey | None:
        """Return the key of that id, or None.

        An unknown id makes the cache read the key set again, every `REFETCH_INTERVAL_MS` at most.
        """
        for max_age_ms in (self._cache_ttl_ms, min(REFETCH_INTERVAL_MS, self._cache_ttl_ms)):
            key_set = self._read_if_older(max_age_ms)
            for key in key_set.keys if key_set else ():
                if key.kid == kid:
                    return key
        return None

    def revoked_before(self, client_id: str) -> int:
        """Return the time (epoch seconds) before which the client's tokens were revoked; 0 if none were."""
        key_set = self.key_set()
        return key_set.revoked_before_seconds.get(client_id, 0) if key_set else 0

    def is_client_disabled(self, client_id: str) -> bool:
        """Return whether the operator has disabled the client. Its links are then rejected as revoked."""
        key_set = self.key_set()
        return key_set is not None and client_id in key_set.disabled_clients

    def _read_if_older(self, max_age_ms: int) -> KeySet | None:
        now = self.clock()
        if self._key_set is None or not 0 <= now - self._read_at < max_age_ms:
            self._key_set = self._store.get_key_set()
            self._read_at = now
        return self._key_set


def load_or_publish(cache: KeySetCache, store: AuthStore, signer: Signer, key_ref: str) -> KeySet:
    """Return the key set. If there is none, publish one with the public half of `key_ref` as its only key.

    Raises:
        BackendUnavailable: the store or the signer failed.
    """
    key_set = cache.key_set()
    if key_set is not None:
        return key_set
    jwk = dict(signer.public_jwk(key_ref))
    kid = thumbprint(jwk)
    first = KeySet(signing_kid=kid, keys=(PublicKey(kid=kid, jwk=jwk, key_ref=key_ref),))
    try:
        store.put_key_set(first, expected=None)
    except ConcurrentUpdate:
        # Another instance published first; read what it published.
        key_set = cache.key_set()
        if key_set is None:
            raise BackendUnavailable from None
        return key_set
    return first


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the key's id: its SHA-256 thumbprint (RFC 7638), base64url."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()
