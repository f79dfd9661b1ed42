"""Clients, keys, operators' acts and a signer in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from admin.registry import Act, Change
from ferry.ports import Moved
from ferry.trust import Client, Keyring


@dataclass
class MemoryAccess:
    """`ferry.ports.AccessStore` and `admin.registry.Registry`. `reads` counts how often the keyring was read.

    `meanwhile` is called before each commit: what somebody else does.
    """

    rows: dict[str, Client] = field(default_factory=dict)
    published: Keyring | None = None
    history: list[Act] = field(default_factory=list)
    reads: int = 0
    meanwhile: Callable[[], object] = lambda: None

    def client(self, client_id: str) -> Client | None:
        return self.rows.get(client_id)

    def put_client(self, client: Client) -> None:
        self.rows[client.client_id] = client

    def clients(self) -> Iterable[Client]:
        return [self.rows[client_id] for client_id in sorted(self.rows)]

    def acts(self) -> Iterable[Act]:
        return sorted(self.history, key=lambda act: act.at, reverse=True)

    def commit(self, act: Act, *, client: Change[Client] | None = None, keyring: Change[Keyring] | None = None) -> None:
        self.meanwhile()
        if client is not None and _version(self.client(client.new.client_id)) != _version(client.over):
            raise Moved
        if keyring is not None:
            self.publish(keyring.new, over=keyring.over)
        if client is not None:
            over = client.over
            self.put_client(replace(client.new, version=0 if over is None else over.version + 1))
        self.history.append(act)

    def keyring(self) -> Keyring | None:
        self.reads += 1
        return self.published

    def publish(self, keyring: Keyring, *, over: Keyring | None) -> None:
        if _version(self.published) != _version(over):
            raise Moved
        self.published = replace(keyring, version=0 if over is None else over.version + 1)


def _version(row: Client | Keyring | None) -> int | None:
    return None if row is None else row.version


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
