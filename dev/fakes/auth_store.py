"""Clients, keys, audit entries and a signer in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from admin.ports import AuditEntry, ConditionalPut
from ferry.model.auth import Client, KeySet
from ferry.ports.errors import ConcurrentUpdate


@dataclass
class MemoryAuthStore:
    """An `AuthStore` and an `AdminStore`."""

    clients_by_id: dict[str, Client] = field(default_factory=dict)
    """The stored clients."""

    published_key_set: KeySet | None = None
    """The stored key set."""

    audit_entries: list[AuditEntry] = field(default_factory=list)
    """The stored audit entries, in the order of their commits."""

    key_set_reads: int = 0
    """How often the key set was read."""

    before_commit: Callable[[], object] = lambda: None
    """Called before each commit, to play a concurrent operator."""

    def get_client(self, client_id: str) -> Client | None:
        return self.clients_by_id.get(client_id)

    def put_client(self, client: Client) -> None:
        """Store a client without a condition."""
        self.clients_by_id[client.client_id] = client

    def list_clients(self) -> Iterable[Client]:
        return [self.clients_by_id[client_id] for client_id in sorted(self.clients_by_id)]

    def list_audit_entries(self) -> Iterable[AuditEntry]:
        return sorted(self.audit_entries, key=lambda entry: entry.occurred_at, reverse=True)

    def commit(
        self,
        entry: AuditEntry,
        *,
        client: ConditionalPut[Client] | None = None,
        key_set: ConditionalPut[KeySet] | None = None,
    ) -> None:
        self.before_commit()
        if client is not None and _version(self.get_client(client.new.client_id)) != _version(client.expected):
            raise ConcurrentUpdate
        if key_set is not None:
            self.put_key_set(key_set.new, expected=key_set.expected)
        if client is not None:
            expected = client.expected
            self.put_client(replace(client.new, version=0 if expected is None else expected.version + 1))
        self.audit_entries.append(entry)

    def get_key_set(self) -> KeySet | None:
        self.key_set_reads += 1
        return self.published_key_set

    def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
        if _version(self.published_key_set) != _version(expected):
            raise ConcurrentUpdate
        self.published_key_set = replace(key_set, version=0 if expected is None else expected.version + 1)


def _version(row: Client | KeySet | None) -> int | None:
    return None if row is None else row.version


@dataclass
class MemorySigner:
    """A `Signer` that creates a key at the first use of its `key_ref`."""

    _keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        jwk = ECAlgorithm.to_jwk(self._key(key_ref).public_key(), as_dict=True)
        return {name: str(value) for name, value in jwk.items()}

    def sign(self, key_ref: str, message: bytes) -> bytes:
        return ECAlgorithm(ECAlgorithm.SHA256).sign(message, self._key(key_ref))

    def _key(self, key_ref: str) -> ec.EllipticCurvePrivateKey:
        return self._keys.setdefault(key_ref, ec.generate_private_key(ec.SECP256R1()))
