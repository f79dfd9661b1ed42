"""The three clients of a local service, their secrets made once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dev.local.errors import LocalError
from dev.local.state import new_secret
from ferry.aws.auth_table import AuthTable, client_to_row
from ferry.aws.errors import map_errors
from ferry.aws.expressions import encode_row
from ferry.model.auth import Client

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


class ClientTable(AuthTable):
    """The auth table, with a write that replaces a client without a condition."""

    def put_client(self, client: Client) -> None:
        """Write the client's row, whatever it holds now."""
        with map_errors():
            self._client.put_item(TableName=self._table, Item=encode_row(client_to_row(client, version=client.version)))


class ClientStore(Protocol):
    """What `seed_clients` reads and writes."""

    def get_client(self, client_id: str) -> Client | None: ...

    def put_client(self, client: Client) -> None: ...


def seed_clients(store: ClientStore, clients: Sequence[LocalClient]) -> None:
    """Put the clients that are not there with their secrets: one that an operator has disabled stays disabled."""
    for client in clients:
        digest = hashlib.sha256(client.client_secret.encode()).digest()
        there = store.get_client(client.client_id)
        if there is None or digest not in there.secret_hashes:
            version = there.version + 1 if there else 0
            scopes = frozenset(client.scopes)
            store.put_client(Client(client.client_id, client.namespace, scopes, (digest,), version=version))
