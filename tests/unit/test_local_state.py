"""What a local service keeps: its state folder and its clients."""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local import clients
from dev.local.errors import LocalError
from dev.local.state import StateFolder, delete_state
from ferry.model.auth import Client


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with contextlib.closing(StateFolder(tmp_path / ".local")) as opened:
        yield opened


def test_json_files_are_private_and_round_trip(state: StateFolder) -> None:
    """Only the owner may read a JSON file; it is read as it was written, and no temporary file is left."""
    path = state.write_json("ferry.json", {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.read_json("ferry.json") == {"a": 1}
    assert state.read_json("other.json") == {}
    assert [child.name for child in path.parent.iterdir() if child.name.startswith(".ferry")] == []


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_read_json_damaged_file_raises(state: StateFolder, content: str) -> None:
    """The error names the damaged file and the command that starts anew."""
    (state.folder / "ferry.json").write_text(content, encoding="utf-8")
    with pytest.raises(LocalError, match=r"ferry\.json is damaged.*CLEAN=1"):
        state.read_json("ferry.json")


def test_state_folder_is_locked(state: StateFolder) -> None:
    """A second run on a folder is rejected, and so is its deletion."""
    with pytest.raises(LocalError, match="another run"):
        StateFolder(state.folder)
    with pytest.raises(LocalError, match="another run"):
        delete_state(state.folder)
    assert state.folder.exists()


class ClientStore:
    """Clients in memory."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}

    def get_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def put_client(self, client: Client) -> None:
        self.clients[client.client_id] = client


def test_load_clients_keeps_secrets() -> None:
    """Three clients, made once: what ferry.json says of them is what the next start uses."""
    first = clients.load_clients({})
    again = clients.load_clients({"clients": [client.to_dict() for client in first]})
    assert again == first
    assert [(client.client_id, client.namespace) for client in first] == [
        ("demo", "demo"),
        ("reader", "demo"),
        ("other", "other"),
    ]
    assert len({client.client_secret for client in first}) == 3
    store = ClientStore()
    clients.seed_clients(store, first)
    assert store.clients["reader"].scopes == {"files:read"}
    assert store.clients["demo"].scopes == set(clients.ALL_SCOPES)
    assert store.clients["demo"].secret_hashes == (hashlib.sha256(first[0].client_secret.encode()).digest(),)


@pytest.mark.parametrize("saved", [{"clients": ["x"]}, {"clients": [{"client_id": "demo"}]}, {"clients": 5}])
def test_load_clients_damaged_raises(saved: dict[str, object]) -> None:
    """Clients of another form than the written one are an error."""
    with pytest.raises(LocalError):
        clients.load_clients(saved)
