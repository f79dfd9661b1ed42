"""The spool, against a service in memory."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from client.tests.fake_responses import fail_once, problem
from client.tests.fake_service import FakeService
from client.tests.spools import ferry, folder, run_once, write
from ferry_client.client import Ferry
from ferry_client.errors import CancelledError, NetworkError
from ferry_client.local_files import LocalFile
from ferry_client.spool import STATE_FILE_NAME, Spool, SpoolOptions
from ferry_client.spool_folder import LOCK_FILE_NAME
from ferry_client.systemd import notify_systemd
from ferry_client.transport import HttpRequest, HttpResponse

__all__ = ["ferry", "folder"]


def test_spool_sends_the_oldest_first_and_deletes(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """Files are sent in the order of their times, then deleted."""
    for name, mtime in {"b": 1, "a": 3, "sub/c": 2}.items():
        write(folder, name, name.encode(), mtime)
    run_once(ferry, folder)
    puts = [
        request.url.partition("filename=")[2].partition("&")[0] for request in fake.requests if request.method == "PUT"
    ]
    assert puts == ["in%2Fb", "in%2Fsub%2Fc", "in%2Fa"]
    assert {name: file.data for name, file in fake.files.items()} == {"in/b": b"b", "in/sub/c": b"sub/c", "in/a": b"a"}
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [STATE_FILE_NAME, LOCK_FILE_NAME]


def test_spool_with_move_keeps_sent_files(ferry: Ferry, folder: Path) -> None:
    """With `move`, a sent file goes into a folder of its own, and is not sent again."""
    write(folder, "sub/a", b"a", 1)
    run_once(ferry, folder, then="move")
    assert (folder / ".ferry-sent" / "sub" / "a").read_bytes() == b"a"
    assert run_once(ferry, folder, then="move").state.sent_files == 0


def test_spool_keeps_a_file_that_the_service_rejects(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A rejected file stays, its reason is in the state file, and the others are sent."""
    write(folder, "bad", b"x", 1)
    write(folder, "good", b"y", 2)
    fake.before.append(
        lambda request: problem(422, "invalid_filename", "no such name") if "in%2Fbad" in request.url else None
    )
    run_once(ferry, folder)
    state = json.loads((folder / STATE_FILE_NAME).read_text())
    assert (folder / "bad").exists()
    assert list(fake.files) == ["in/good"]
    assert state["rejected"] == {str(folder / "bad"): "no such name"}
    assert state["sent_files"] == 1


def test_spool_deletes_nothing_unless_the_service_has_the_bytes(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A file whose committed checksum differs stays in the folder."""
    path = write(folder, "a", b"right", 1)

    def bend(request: object) -> None:
        if "in/a" in fake.files:
            fake.files["in/a"].data = b"wrong"

    fake.after.append(bend)
    spool = run_once(ferry, folder)
    assert path.exists()
    assert "other bytes" in (spool.state.last_error or "")


def test_spool_waits_for_a_file_to_come_to_rest(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A file that still changes is not sent."""
    path = write(folder, "a", b"1", 1)
    looks = []

    def grow(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) >= 3:
            raise CancelledError("enough")
        with path.open("ab") as file:
            file.write(b"more")

    ferry.api.sleep = grow  # type: ignore[method-assign]
    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=60), on_event=lambda text: None)
    with pytest.raises(CancelledError):
        spool.run()
    assert not fake.files
    assert spool.state.backlog_files == 1


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is a matter of Linux")
def test_spool_tells_systemd(ferry: Ferry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notify socket gets READY, a status per file, and signs of life."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        write(folder, "a", b"a", 1)
        run_once(ferry, folder)
        receiver.setblocking(False)
        messages: list[str] = []
        with suppress(BlockingIOError):
            while True:
                messages.append(receiver.recv(1000).decode())
    assert messages[0] == "READY=1"
    assert any(message.startswith("STATUS=sending in/a") for message in messages)
    assert any("WATCHDOG=1" in message for message in messages)
    assert messages[-1] == "STOPPING=1"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is a matter of Linux")
def test_spool_that_waits_says_so(ferry: Ferry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status names no file that was sent already."""
    statuses: list[str] = []
    monkeypatch.setattr(
        "ferry_client.spool.notify_systemd", lambda **members: statuses.append(members.get("STATUS", ""))
    )
    write(folder, "a", b"a", 1)

    def stop(seconds: float) -> None:
        raise CancelledError("enough")

    ferry.api.sleep = stop  # type: ignore[method-assign]
    with pytest.raises(CancelledError):
        Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None).run()
    assert [text for text in statuses if text] == ["sending in/a", "0 files in the folder, 0 of them rejected"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is a matter of Linux")
def test_name_with_a_line_break_is_no_message_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's name cannot tell systemd what to do."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify_systemd(STATUS="sending a\nMAINPID=1\r\nSTOPPING=1", WATCHDOG="1")
        assert receiver.recv(1000) == b"STATUS=sending a MAINPID=1 STOPPING=1\nWATCHDOG=1"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is a matter of Linux")
def test_receiver_that_reads_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue costs messages, not the spool."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        for _ in range(2000):
            notify_systemd(WATCHDOG="1")
        assert receiver.recv(1000) == b"WATCHDOG=1"


def test_spool_keeps_a_file_that_took_the_name_meanwhile(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A file that replaces the sent one before it is deleted is not deleted, but sent next."""
    path = write(folder, "a", b"first", 1)

    def replace(request: HttpRequest) -> None:
        if request.method == "PUT" and request.url.count("in%2Fa") and path.read_bytes() == b"first":
            (folder / ".new").write_bytes(b"second")
            (folder / ".new").replace(path)

    fake.after.append(replace)
    run_once(ferry, folder)
    assert fake.files["in/a"].data == b"second"
    assert fake.count("PUT", "/files") == 2
    assert not path.exists()


@pytest.mark.parametrize("code", ["insufficient_scope", "quota_exceeded"])
def test_spool_waits_for_access_and_for_room(ferry: Ferry, fake: FakeService, folder: Path, code: str) -> None:
    """A withdrawn scope or a full quota concerns all files: they are tried again, none is rejected."""
    write(folder, "a", b"a", 1)
    rejections = [True] * 3

    def reject(request: HttpRequest) -> HttpResponse | None:
        return problem(403, code, "no") if request.method == "PUT" and rejections and rejections.pop() else None

    fake.before.append(reject)
    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None)

    def stop(seconds: float) -> None:
        if fake.files:
            raise CancelledError("enough")

    ferry.api.sleep = stop  # type: ignore[method-assign]
    with pytest.raises(CancelledError):
        spool.run()
    assert fake.files["in/a"].data == b"a"
    assert not spool.state.rejected


def test_spool_once_ends_without_a_network(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """With `--once`, a network that does not come back ends the run, and the files stay."""
    path = write(folder, "a", b"a", 1)
    fake.before.append(fail_once(lambda request: True, times=10_000))
    with pytest.raises(NetworkError):
        run_once(ferry, folder)
    assert path.exists()


def test_spool_with_move_keeps_both_files_of_a_name(ferry: Ferry, folder: Path) -> None:
    """A second file of a name does not replace the first in the folder of sent files."""
    for data in (b"1", b"2"):
        write(folder, "a.jpg", data, 1)
        run_once(ferry, folder, then="move")
    sent = sorted((folder / ".ferry-sent").iterdir())
    assert [path.name for path in sent] == ["a (2).jpg", "a.jpg"]
    assert [path.read_bytes() for path in sent] == [b"2", b"1"]


def test_spool_after_a_crash_before_the_deletion_makes_no_second_file(
    ferry: Ferry, fake: FakeService, folder: Path
) -> None:
    """A file that was committed, but not deleted, is recognized at the next start, also with `rename`."""
    write(folder, "a", b"a", 1)
    fake.put_file("in/a", b"a")
    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None)
    spool.run(once=True)
    assert list(fake.files) == ["in/a"]
    assert not (folder / "a").exists()


def test_spool_looks_at_its_folder_rarely(ferry: Ferry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large backlog is read once, not once per file."""
    for index in range(50):
        write(folder, f"f{index:02}", b"x", index + 1)
    scans: list[Spool] = []
    original = Spool._scan

    def scan(spool: Spool) -> list[LocalFile]:
        scans.append(spool)
        return original(spool)

    monkeypatch.setattr(Spool, "_scan", scan)
    run_once(ferry, folder)
    assert len(scans) < 10
