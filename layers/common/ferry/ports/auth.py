"""The signer, and the store of clients and published keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.auth import Client, KeySet


class Signer(Protocol):
    """Signs with private keys that never leave it."""

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        """Return the public key as a JSON Web Key: `kty`, `crv`, `x`, `y` (RFC 7518 section 6.2)."""
        ...

    def sign(self, key_ref: str, message: bytes) -> bytes:
        """Return the ES256 signature of a message of at most 4,096 bytes: r‖s, 64 bytes (RFC 7518 section 3.4)."""
        ...


class AuthStore(Protocol):
    """Clients and published keys. Reads are strongly consistent."""

    def get_client(self, client_id: str) -> Client | None: ...

    def get_key_set(self) -> KeySet | None: ...

    def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
        """Replace the key set.

        Raises:
            ConcurrentUpdate: the stored version is not that of `expected` (None: no key set is stored).
        """
        ...
