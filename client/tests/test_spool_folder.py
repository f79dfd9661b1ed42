"""The folder of a spool: its lock, and files that leave it in steps that a power loss may interrupt."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from client.tests.commands import Run, run
from client.tests.fake_service import FakeService
from client.tests.spools import ferry, folder, run_once, write
from ferry_client import spool_folder
from ferry_client.client import Ferry
from ferry_client.errors import CancelledError, LocalFileError
from ferry_client.sources import FileSource
from ferry_client.spool import STATE_FILE_NAME, Spool, SpoolOptions
from ferry_client.spool_folder import LOCK_FILE_NAME, FolderLock, Removal

__all__ = ["ferry", "folder", "run"]

MIB = 1024 * 1024


class PowerLoss(BaseException):
    """The process ends here."""


_CHANGES = ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (Path, "replace"), (os, "link"))


def lose_power(context: pytest.MonkeyPatch, step: str, *, after: bool) -> None:
    """Make the process end before or after its first call of a name of `_CHANGES`: then it changes no file any more."""
    is_dead: list[bool] = []

    def ending(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == step and not is_dead:
                if after:
                    original(*arguments, **options)
                is_dead.append(True)
            if is_dead:
                raise PowerLoss
            return original(*arguments, **options)

        return call

    for owner, name in _CHANGES:
        context.setattr(owner, name, ending(name, getattr(owner, name)))


def lock_is_free(folder: Path) -> None:
    lock = FolderLock(folder)
    lock.acquire()
    lock.release()


_STEPS = [("delete", "rename"), ("delete", "unlink"), ("move", "rename"), ("move", "link"), ("move", "unlink")]
_POINTS = [(*step, after) for step in _STEPS for after in (False, True)]


@pytest.mark.parametrize(
    "point", _POINTS, ids=lambda point: f"{point[0]}-{'after' if point[2] else 'before'}-{point[1]}"
)
@pytest.mark.parametrize("name", ["a", "a" * 250], ids=["short", "long"])
def test_power_loss_at_each_step_of_a_removal_makes_no_second_file(
    ferry: Ferry, fake: FakeService, folder: Path, name: str, point: tuple[str, str, bool]
) -> None:
    """The next run finishes the removal: one file on the service, none in the folder, one in that of sent files."""
    then, step, after = point
    write(folder, name, b"first", 1)
    with pytest.MonkeyPatch.context() as context:
        lose_power(context, step, after=after)
        with pytest.raises(PowerLoss):
            run_once(ferry, folder, then=then)
    run_once(ferry, folder, then=then)
    assert list(fake.files) == [f"in/{name}"]
    left = {".ferry-sent"} if then == "move" else set()
    assert {path.name for path in folder.iterdir()} == {STATE_FILE_NAME, LOCK_FILE_NAME, *left}
    assert [path.name for path in folder.glob(".ferry-sent/*")] == ([name] if left else [])


def test_file_that_took_the_name_before_a_power_loss_gets_it_back(
    ferry: Ferry, fake: FakeService, folder: Path
) -> None:
    """A hidden file that is not the one that was sent is not deleted: it is sent under its own name."""
    write(folder, "a", b"first", 1)
    with closing(FileSource(folder / "a")) as source:
        (folder / "a").unlink()
        hidden = spool_folder._hidden_path(folder / "a", source.status)
        hidden.write_bytes(b"second")
    run_once(ferry, folder)
    assert {name: file.data for name, file in fake.files.items()} == {"in/a": b"second"}


def test_spool_sends_no_large_file_twice_after_a_power_loss(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A file that was committed under another fingerprint is recognized by its content, also with `rename`."""
    data = os.urandom(MIB)
    write(folder, "a", data, 1)
    fake.put_file("in/a", data)
    Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None).run(once=True)
    assert list(fake.files) == ["in/a"]
    assert not (folder / "a").exists()
    assert fake.count("POST", "/upload/start") == 0


def test_second_spool_of_a_folder_names_the_first(ferry: Ferry, folder: Path) -> None:
    """The folder is locked while a process watches it."""
    lock = FolderLock(folder)
    lock.acquire()
    with pytest.raises(LocalFileError, match=f"is watched by the ferry spool with process id {os.getpid()} on "):
        run_once(ferry, folder)
    lock.release()
    run_once(ferry, folder)


def test_lock_ends_with_its_process(folder: Path) -> None:
    """A process that was killed holds nothing."""
    code = "import sys; from pathlib import Path; from ferry_client.spool_folder import FolderLock as L; import os\n"
    code += "L(Path(sys.argv[1])).acquire(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=60, env=_environment())
    assert json.loads((folder / LOCK_FILE_NAME).read_text())["pid"] != os.getpid()
    lock_is_free(folder)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_spool_waits_for_a_folder_that_is_gone(ferry: Ferry, fake: FakeService, folder: Path) -> None:
    """A folder that vanishes is not made anew; when it is back, it is locked and its files are sent."""
    events: list[str] = []
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            shutil.rmtree(folder)
        elif len(pauses) == 4:
            assert not folder.exists()
            folder.mkdir()
            write(folder, "a", b"a", 1)
        elif fake.files and not (folder / "a").exists():
            raise CancelledError("enough")

    ferry.api.sleep = sleep  # type: ignore[method-assign]
    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=events.append)
    with pytest.raises(CancelledError):
        spool.run()
    assert fake.files["in/a"].data == b"a"
    assert events == [f"{folder} is gone. It is watched again when it is back.", "sent in/a"]


def test_spool_moves_to_another_file_system(
    ferry: Ferry, fake: FakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder of sent files is a mount, the file is copied, then deleted. Nothing is replaced."""
    write(folder, "a.jpg", b"1", 1)
    run_once(ferry, folder, then="move")
    write(folder, "a.jpg", b"2", 5)
    original = os.link

    def link(source: Path, target: Path) -> None:
        if ".ferry-removed" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        original(source, target)

    monkeypatch.setattr(os, "link", link)
    run_once(ferry, folder, then="move")
    sent = sorted((folder / ".ferry-sent").iterdir())
    assert [(path.name, path.read_bytes()) for path in sent] == [("a (2).jpg", b"2"), ("a.jpg", b"1")]
    assert sent[0].stat().st_mtime == 5
    assert sorted(path.name for path in folder.iterdir()) == [".ferry-sent", STATE_FILE_NAME, LOCK_FILE_NAME]


def test_move_on_a_disk_without_links_replaces_nothing(
    ferry: Ferry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system such as FAT has no hard links."""

    def link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    for data in (b"1", b"2"):
        write(folder, "a.jpg", data, 1)
        run_once(ferry, folder, then="move")
    sent = sorted((folder / ".ferry-sent").iterdir())
    assert [(path.name, path.read_bytes()) for path in sent] == [("a (2).jpg", b"2"), ("a.jpg", b"1")]


@pytest.mark.parametrize("then", ["delete", "move"])
def test_spool_keeps_a_file_that_it_cannot_remove_and_sends_the_others(
    ferry: Ferry, fake: FakeService, folder: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """A removal that fails leaves the file under its name; the reason is in the state, and the next start tries it."""
    write(folder, "a", b"a", 1)
    write(folder, "b", b"b", 2)
    original = Removal._finish

    def finish(removal: Removal, hidden: Path, path: Path) -> None:
        if path.name == "a":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(removal, hidden, path)

    with monkeypatch.context() as broken:
        broken.setattr(Removal, "_finish", finish)
        state = run_once(ferry, folder, then=then).state
    verb = "deleted" if then == "delete" else "moved"
    text = f"it is safe on the service, and cannot be {verb}: No space left on device."
    assert state.rejected == {str(folder / "a"): text}
    assert (folder / "a").read_bytes() == b"a"
    assert sorted(fake.files) == ["in/a", "in/b"]
    assert not (folder / "b").exists()
    run_once(ferry, folder, then=then)
    assert sorted(fake.files) == ["in/a", "in/b"]
    assert not (folder / "a").exists()


def test_spool_tries_a_file_again_that_the_disk_did_not_give(
    ferry: Ferry, fake: FakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that could not be read, and did not change, is tried again after ten minutes."""
    write(folder, "a", b"a", 1)
    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None)
    with monkeypatch.context() as broken:
        broken.setattr("ferry_client.spool.FileSource", _raise_local_error)
        spool.run(once=True)
        assert spool.state.rejected
    spool.run(once=True)
    assert not fake.files
    monkeypatch.setattr("ferry_client.spool.LOCAL_RETRY_SECONDS", -1)
    spool.run(once=True)
    assert list(fake.files) == ["in/a"]


def _raise_local_error(path: Path) -> None:
    raise LocalFileError(f"{path} cannot be read: Permission denied.")


def test_spool_does_not_look_into_hidden_folders(ferry: Ferry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of sent files may be large: a look at the backlog does not read it."""
    (folder / ".ferry-sent" / "deep").mkdir(parents=True)
    looked_at: list[str] = []
    original = os.scandir

    def scandir(path: Any = ".") -> Any:
        looked_at.append(os.fspath(path))
        return original(path)

    spool = Spool(ferry, folder, "in/", SpoolOptions(settle_seconds=0), on_event=lambda text: None)
    monkeypatch.setattr(os, "scandir", scandir)
    spool._scan()
    assert looked_at == [str(folder)]


def test_kill_while_the_state_is_written_leaves_one_file(
    ferry: Ferry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often that happens, the file is always whole JSON, and no others pile up."""
    for _ in range(3):
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", _lose_power)
            broken.setattr(Path, "unlink", lambda path, missing_ok=False: None)
            with pytest.raises(PowerLoss):
                run_once(ferry, folder)
        run_once(ferry, folder)
        json.loads((folder / STATE_FILE_NAME).read_text())
    assert sorted(path.name for path in folder.iterdir()) == [STATE_FILE_NAME, LOCK_FILE_NAME]


def _lose_power(descriptor: int) -> None:
    raise PowerLoss


def test_spool_once_with_a_rejected_file_ends_with_1(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stays in the folder is a failure."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_bytes(b"a")
    fake.put_file("in/a", b"b")
    arguments = ("spool", "out", "in/", "--once", "--settle", "0s", "--if-exists", "fail", "--quiet")
    assert run(*arguments) == 1
    assert capsys.readouterr().err == "ferry: 1 file stays in the folder. out/.ferry-spool.json says why.\n"
    fake.files.clear()
    assert run(*arguments) == 0
