"""The three clients of a local service, their secrets made once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev.local.errors import LocalError
from dev.local.state import new_secret
from ferry.model.auth import Client
from ferry.ports.auth import AuthStore

ALL_SCOPES = ("files:read", "files:write", "files:admin")


@dataclass(frozen=True, slots=True)
class LocalClient:
    client_id: str
    client_secret: str
    namespace: str
    scopes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `.local/ferry.json` has it."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "namespace": self.namespace,
            "scopes": list(self.scopes),
        }


_CLIENT_SPECS = (("demo", "demo", ALL_SCOPES), ("reader", "demo", ("files:read",)), ("other", "other", ALL_SCOPES))


def load_clients(saved: Mapping[str, Any]) -> list[LocalClient]:
    """The clients, with the secrets that an earlier `ferry.json` has. Raises `LocalError` when it is damaged."""
    try:
        secrets = {entry["client_id"]: str(entry["client_secret"]) for entry in saved.get("clients", ())}
    except (TypeError, KeyError):
        raise LocalError("ferry.json is damaged: delete it, and new secrets will be made") from None
    return [LocalClient(name, secrets.get(name) or new_secret(), ns, scopes) for name, ns, scopes in _CLIENT_SPECS]


def seed_clients(store: AuthStore, clients: Sequence[LocalClient]) -> None:
    """Put the clients that are not there with their secrets: one that an operator has disabled stays disabled."""
    for client in clients:
        digest = hashlib.sha256(client.client_secret.encode()).digest()
        there = store.get_client(client.client_id)
        if there is None or digest not in there.secret_hashes:
            version = there.version + 1 if there else 0
            scopes = frozenset(client.scopes)
            store.put_client(Client(client.client_id, client.namespace, scopes, (digest,), version=version))
