"""The three clients of a local service. Their secrets are made once and kept."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dev.local.errors import LocalError
from dev.local.state import StateFolder, new_secret
from dev.local.tcp_ports import HOST
from ferry.aws.auth_table import AuthTable, client_to_row
from ferry.aws.errors import map_errors
from ferry.aws.expressions import encode_row
from ferry.model.auth import Client

ALL_SCOPES = ("files:read", "files:write", "files:share", "files:admin")
NETRC_FILE = "netrc"
"""The name of the file from which curl (`--netrc-file`) reads the id and secret of the first client."""


@dataclass(frozen=True, slots=True)
class LocalClient:
    """A client and its secret, as `.local/ferry.json` has it."""

    client_id: str
    """The OAuth client id."""
    client_secret: str
    """The OAuth client secret, in plain text: it opens nothing but this machine's service."""
    namespace: str
    """The namespace that its tokens are for."""
    scopes: tuple[str, ...]
    """The scopes that its tokens may have."""

    def to_dict(self) -> dict[str, Any]:
        """Return the client as a member of `clients` in `.local/ferry.json`."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "namespace": self.namespace,
            "scopes": list(self.scopes),
        }


_CLIENT_SPECS = (("demo", "demo", ALL_SCOPES), ("reader", "demo", ("files:read",)), ("other", "other", ALL_SCOPES))


def load_clients(saved: Mapping[str, Any]) -> list[LocalClient]:
    """Return the clients, with the secrets of an earlier `ferry.json`. Raises `LocalError` when that is damaged."""
    try:
        secrets = {entry["client_id"]: str(entry["client_secret"]) for entry in saved.get("clients", ())}
    except (TypeError, KeyError):
        raise LocalError("ferry.json is damaged: delete it, and the next start makes new secrets") from None
    return [LocalClient(name, secrets.get(name) or new_secret(), ns, scopes) for name, ns, scopes in _CLIENT_SPECS]


def write_netrc(state: StateFolder, client: LocalClient) -> None:
    """Write the client's id and secret for curl's `--netrc-file`, so that no command line has the secret."""
    state.write_text(NETRC_FILE, f"machine {HOST} login {client.client_id} password {client.client_secret}\n")


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
    """Store each client that is missing or has another secret. A client that an operator disabled stays disabled."""
    for client in clients:
        digest = hashlib.sha256(client.client_secret.encode()).digest()
        stored = store.get_client(client.client_id)
        if stored is None or digest not in stored.secret_hashes:
            if stored is not None:
                print(
                    f"ferry: client {client.client_id} has another secret than before: ferry.json was changed or gone",
                    file=sys.stderr,
                    flush=True,
                )
            version = stored.version + 1 if stored else 0
            scopes = frozenset(client.scopes)
            store.put_client(Client(client.client_id, client.namespace, scopes, (digest,), version=version))
