"""What a kill during the write of a small file leaves on the disk: the next run deletes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from client.tests.fake_service import FakeService
from ferry_client.atomic_files import _delete_leftovers, write_atomically
from ferry_client.client import Ferry
from ferry_client.file_locks import lock
from ferry_client.local_files import restore_symlink
from ferry_client.part_file import Journal, journal_path

Connect = Callable[..., Ferry]


class _KilledError(BaseException):
    """The process ends here."""


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """Return a function whose block ends, as by a kill, before a file that it wrote gets its name."""

    def kill(*arguments: object, **options: object) -> None:
        raise _KilledError

    @contextmanager
    def killed() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", kill)
            patch.setattr(Path, "unlink", kill)
            with pytest.raises(_KilledError):
                yield

    return killed


Killed = Callable[[], AbstractContextManager[None]]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_file_of_a_killed_process_is_deleted_by_the_next_write(tmp_path: Path, killed: Killed) -> None:
    """The state folder has the file that was written, and nothing else."""
    with killed():
        write_atomically(tmp_path / "state" / "a.json", b"1")
    assert len(names(tmp_path / "state")) == 1
    _delete_leftovers.cache_clear()  # Another process looks at the folder anew.
    write_atomically(tmp_path / "state" / "b.json", b"2")
    assert names(tmp_path / "state") == {"b.json"}


def test_journal_of_a_killed_download_is_deleted_by_the_next_one(
    connect: Connect, fake: FakeService, tmp_path: Path, killed: Killed
) -> None:
    """The folder of the target has the file alone once the next download has ended."""
    with killed():
        Journal(journal_path(tmp_path / "out"), "e").save({})
    assert len(names(tmp_path)) == 1
    fake.put_file("x", b"1")
    connect().download("x", tmp_path / "out")
    assert names(tmp_path) - {"state"} == {"out"}


def test_file_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    """A locked file has an owner that lives; files of other names are the user's."""
    written, user = tmp_path / ".ferry-abcdefgh.tmp", tmp_path / ".abcdefgh.tmp"
    user.touch()
    with written.open("wb") as file:
        assert lock(file.fileno())
        write_atomically(tmp_path / "a.json", b"1")
        assert names(tmp_path) == {written.name, user.name, "a.json"}


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open file")
def test_leftover_is_locked_until_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just made the file cannot lock it and write to it before it is deleted."""
    leftover, unlink, looked = tmp_path / ".ferry-abcdefgh.tmp", Path.unlink, list[Path]()
    leftover.touch()

    def look(path: Path, missing_ok: bool = False) -> None:
        with path.open("wb") as file, pytest.raises(BlockingIOError):
            lock(file.fileno())
        looked.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", look)
    write_atomically(tmp_path / "a.json", b"1")
    assert looked == [leftover]
    assert names(tmp_path) == {"a.json"}


def test_file_taken_for_a_leftover_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process deletes before it is locked: the content is written under another name."""
    locked: list[int] = []

    def delete_first(descriptor: int) -> bool:
        locked.append(descriptor)
        if len(locked) == 1:
            (found,) = tmp_path.iterdir()
            found.unlink()
        return lock(descriptor)

    monkeypatch.setattr("ferry_client.atomic_files.lock", delete_first)
    write_atomically(tmp_path / "a.json", b"1")
    assert len(locked) == 2
    assert (tmp_path / "a.json").read_bytes() == b"1"
    assert names(tmp_path) == {"a.json"}


def test_journal_of_a_removed_folder_is_an_error(tmp_path: Path) -> None:
    """The journal makes no folder: that of its target was there when the download began."""
    with pytest.raises(FileNotFoundError):
        Journal(journal_path(tmp_path / "gone" / "out"), "e").save({})
    assert not (tmp_path / "gone").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows makes symbolic links for administrators alone")
def test_link_of_a_killed_process_is_replaced_by_the_next_run(tmp_path: Path, killed: Killed) -> None:
    """A link that replaces another one is made in two steps; the same command completes it."""
    (tmp_path / "link").symlink_to("old")
    with killed():
        restore_symlink(tmp_path / "link", "new", tmp_path)
    assert len(names(tmp_path)) == 2
    restore_symlink(tmp_path / "link", "new", tmp_path)
    assert names(tmp_path) == {"link"}
    assert (tmp_path / "link").readlink() == Path("new")


@pytest.mark.skipif(os.name != "posix", reason="Windows makes symbolic links for administrators alone")
def test_link_that_two_processes_make_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes the unfinished link for a leftover, and deletes it: the link is made again."""
    replace, replaced = Path.replace, list[Path]()

    def delete_first(path: Path, target: Path) -> Path:
        replaced.append(path)
        if len(replaced) == 1:
            path.unlink()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", delete_first)
    restore_symlink(tmp_path / "link", "new", tmp_path)
    assert len(replaced) == 2
    assert names(tmp_path) == {"link"}


def test_leftover_on_a_disk_without_locks_is_deleted_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no lock shows whether a process writes a file, its age does."""
    monkeypatch.setattr("ferry_client.file_locks.lock", lambda descriptor: False)
    new, old = tmp_path / ".ferry-abcdefgh.tmp", tmp_path / ".ferry-12345678.tmp"
    new.touch()
    old.touch()
    os.utime(old, (0, 0))
    write_atomically(tmp_path / "a.json", b"1")
    assert names(tmp_path) == {new.name, "a.json"}
