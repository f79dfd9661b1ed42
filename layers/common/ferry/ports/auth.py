"""The signer and the store of clients and published keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ferry.model.auth import Client, KeySet


class Signer(Protocol):
    """The private keys, which never leave their home."""

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        """The public half as a JSON Web Key: kty, crv, x, y."""
        ...

    def sign(self, key_ref: str, message: bytes) -> bytes:
        """An ES256 signature, r‖s of 64 bytes (RFC 7518 section 3.4)."""
        ...


class AuthStore(Protocol):
    """Clients and published keys."""

    def get_client(self, client_id: str) -> Client | None: ...

    def get_key_set(self) -> KeySet | None: ...

    def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
        """Replace the keyring. Raises `Moved` when its version is not that of `over` (None: there is none yet)."""
        ...
