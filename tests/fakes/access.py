"""Clients, keys and a signer in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from ferry.model import Client, Keyring
from ferry.ports import Moved


@dataclass
class MemoryAccess:
    """`ferry.ports.AccessStore`. `reads` counts how often the keyring was read."""

    clients: dict[str, Client] = field(default_factory=dict)
    published: Keyring | None = None
    reads: int = 0

    def client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def put_client(self, client: Client) -> None:
        self.clients[client.client_id] = client

    def keyring(self) -> Keyring | None:
        self.reads += 1
        return self.published

    def publish(self, keyring: Keyring, *, over: Keyring | None) -> None:
        if self.published != over:
            raise Moved
        self.published = keyring


@dataclass
class MemorySigner:
    """`ferry.ports.Signer`; a key comes into being when it is first named."""

    _keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        jwk = ECAlgorithm.to_jwk(self._key(key_ref).public_key(), as_dict=True)
        return {name: str(value) for name, value in jwk.items()}

    def sign(self, key_ref: str, message: bytes) -> bytes:
        return ECAlgorithm(ECAlgorithm.SHA256).sign(message, self._key(key_ref))

    def _key(self, key_ref: str) -> ec.EllipticCurvePrivateKey:
        return self._keys.setdefault(key_ref, ec.generate_private_key(ec.SECP256R1()))
