"""What a local service keeps: its folder, its clients, and the journal of its tables."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferry.trust import Client, Keyring
from local import clients
from local.errors import LocalError
from local.journal import Journal
from local.state import State, reset


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with contextlib.closing(State(tmp_path / ".local")) as opened:
        yield opened


@pytest.fixture
def journal_at(tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    """Opens the journal as each process in turn would."""
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(contextlib.closing(Journal(tmp_path)))


def test_files_are_private_and_come_back(state: State) -> None:
    """A JSON file is its owner's alone, and reads as it was written."""
    path = state.write("ferry.json", {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.read("ferry.json") == {"a": 1}
    assert state.read("other.json") == {}
    assert [child.name for child in path.parent.iterdir() if child.name.startswith(".ferry")] == []


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_file_is_named(state: State, content: str) -> None:
    """Damage is told with the file and the way out."""
    (state.folder / "ferry.json").write_text(content, encoding="utf-8")
    with pytest.raises(LocalError, match=r"ferry\.json is damaged.*--reset"):
        state.read("ferry.json")


def test_one_run_at_a_time(state: State) -> None:
    """A second run on the same folder is refused, and so is deleting it meanwhile."""
    with pytest.raises(LocalError, match="another run"):
        State(state.folder)
    with pytest.raises(LocalError, match="another run"):
        reset(state.folder)
    assert state.folder.exists()


class Store:
    """An `AccessStore` that only takes clients."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}

    def client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def put_client(self, client: Client) -> None:
        self.clients[client.client_id] = client

    def keyring(self) -> Keyring | None:
        return None

    def publish(self, keyring: Keyring, *, over: Keyring | None) -> None:
        raise NotImplementedError


def test_clients_keep_their_secrets() -> None:
    """Three clients, made once: what ferry.json says of them is what the next start uses."""
    first = clients.recall({})
    again = clients.recall({"clients": [client.described() for client in first]})
    assert again == first
    assert [(client.client_id, client.namespace) for client in first] == [
        ("demo", "demo"),
        ("reader", "demo"),
        ("other", "other"),
    ]
    assert len({client.client_secret for client in first}) == 3
    store = Store()
    clients.seed(store, first)
    assert store.clients["reader"].scopes == {"files:read"}
    assert store.clients["demo"].scopes == {"files:read", "files:write", "files:admin"}
    assert store.clients["demo"].secret_hashes == (hashlib.sha256(first[0].client_secret.encode()).digest(),)


@pytest.mark.parametrize("described", [{"clients": ["x"]}, {"clients": [{"client_id": "demo"}]}, {"clients": 5}])
def test_damaged_clients(described: dict[str, object]) -> None:
    """A list of clients that is none is told."""
    with pytest.raises(LocalError):
        clients.recall(described)


def change(number: int) -> dict[str, int]:
    return {"number": number}


def snapshot(journal: Journal, number: int) -> None:
    journal.staging(number).mkdir()
    (journal.staging(number) / "state.json").write_text("{}", encoding="utf-8")
    journal.finish(number)


def test_changes_are_there_again(journal_at: Callable[[], Journal]) -> None:
    """What was appended is pending for the next process, in order, and that one goes on after it."""
    journal = journal_at()
    for number in range(3):
        journal.append(change(number))
    later = journal_at()
    assert list(later.pending()) == [change(0), change(1), change(2)]
    later.append(change(3))
    assert list(journal_at().pending()) == [change(0), change(1), change(2), change(3)]


def test_half_a_line_is_left_out(tmp_path: Path, journal_at: Callable[[], Journal]) -> None:
    """A line cut short by a kill counts for nothing, and is not joined to the next."""
    journal_at().append(change(0))
    with (tmp_path / "0.journal").open("ab") as file:
        file.write(b'{"number": 1')
    journal = journal_at()
    assert list(journal.pending()) == [change(0)]
    journal.append(change(2))
    assert list(journal_at().pending()) == [change(0), change(2)]


def test_a_snapshot_replaces_what_came_before(tmp_path: Path, journal_at: Callable[[], Journal]) -> None:
    """Once a snapshot is there, only what changed since it was begun is pending."""
    journal = journal_at()
    journal.append(change(0))
    number = journal.turn()
    journal.append(change(1))
    snapshot(journal, number)
    journal.forget_before(number)
    later = journal_at()
    assert later.snapshot == tmp_path / "1"
    assert list(later.pending()) == [change(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.journal"]


@pytest.mark.parametrize("made", ["nothing", "half", "named"])
def test_a_kill_while_a_snapshot_is_made(tmp_path: Path, journal_at: Callable[[], Journal], made: str) -> None:
    """Wherever the kill comes, snapshot and pending changes together are everything, and nothing twice."""
    journal = journal_at()
    journal.append(change(0))
    number = journal.turn()
    journal.append(change(1))
    if made == "half":
        journal.staging(number).mkdir()
    if made == "named":
        snapshot(journal, number)
    later = journal_at()
    pending = [json.loads(json.dumps(entry)) for entry in later.pending()]
    assert pending == ([change(1)] if made == "named" else [change(0), change(1)])
    assert not list(tmp_path.glob("*.new"))
    assert later.turn() == 2
