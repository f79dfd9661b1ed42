"""What a local service keeps: its state folder, its clients, and the write-ahead log of its tables."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.local import clients
from dev.local.errors import LocalError
from dev.local.state import StateFolder, delete_state
from dev.local.wal import WriteAheadLog
from ferry.model.auth import Client


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with contextlib.closing(StateFolder(tmp_path / ".local")) as opened:
        yield opened


@pytest.fixture
def open_wal(tmp_path: Path) -> Iterator[Callable[[], WriteAheadLog]]:
    """Open the log as one process after another does."""
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(contextlib.closing(WriteAheadLog(tmp_path)))


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
    assert store.clients["demo"].scopes == {"files:read", "files:write", "files:admin"}
    assert store.clients["demo"].secret_hashes == (hashlib.sha256(first[0].client_secret.encode()).digest(),)


@pytest.mark.parametrize("saved", [{"clients": ["x"]}, {"clients": [{"client_id": "demo"}]}, {"clients": 5}])
def test_load_clients_damaged_raises(saved: dict[str, object]) -> None:
    """Clients of another form than the written one are an error."""
    with pytest.raises(LocalError):
        clients.load_clients(saved)


def change(number: int) -> dict[str, int]:
    return {"number": number}


def make_snapshot(wal: WriteAheadLog, generation: int) -> None:
    wal.temporary_folder(generation).mkdir()
    (wal.temporary_folder(generation) / "state.json").write_text("{}", encoding="utf-8")
    wal.commit_snapshot(generation)


def test_wal_changes_survive_reopen(open_wal: Callable[[], WriteAheadLog]) -> None:
    """The next process reads the appended changes in order, and appends after them."""
    wal = open_wal()
    for number in range(3):
        wal.append(change(number))
    later = open_wal()
    assert list(later.pending_changes()) == [change(0), change(1), change(2)]
    later.append(change(3))
    assert list(open_wal().pending_changes()) == [change(0), change(1), change(2), change(3)]


def test_wal_truncated_line_is_ignored(tmp_path: Path, open_wal: Callable[[], WriteAheadLog]) -> None:
    """A line that a kill cut short is ignored, and the next change is not joined to it."""
    open_wal().append(change(0))
    with (tmp_path / "0.wal").open("ab") as file:
        file.write(b'{"number": 1')
    wal = open_wal()
    assert list(wal.pending_changes()) == [change(0)]
    wal.append(change(2))
    assert list(open_wal().pending_changes()) == [change(0), change(2)]


def test_wal_snapshot_replaces_earlier_changes(tmp_path: Path, open_wal: Callable[[], WriteAheadLog]) -> None:
    """After a snapshot only the changes since its begin are pending, and older files are gone."""
    wal = open_wal()
    wal.append(change(0))
    generation = wal.rotate()
    wal.append(change(1))
    make_snapshot(wal, generation)
    wal.delete_before(generation)
    later = open_wal()
    assert later.snapshot_folder == tmp_path / "1"
    assert list(later.pending_changes()) == [change(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.wal"]


@pytest.mark.parametrize("progress", ["not started", "incomplete", "committed"])
def test_wal_kill_during_snapshot_loses_nothing(
    tmp_path: Path, open_wal: Callable[[], WriteAheadLog], progress: str
) -> None:
    """After a kill at any moment, snapshot and pending changes together are every change once."""
    wal = open_wal()
    wal.append(change(0))
    generation = wal.rotate()
    wal.append(change(1))
    if progress == "incomplete":
        wal.temporary_folder(generation).mkdir()
    if progress == "committed":
        make_snapshot(wal, generation)
    later = open_wal()
    pending = [json.loads(json.dumps(entry)) for entry in later.pending_changes()]
    assert pending == ([change(1)] if progress == "committed" else [change(0), change(1)])
    assert not list(tmp_path.glob("*.new"))
    assert later.rotate() == 2
