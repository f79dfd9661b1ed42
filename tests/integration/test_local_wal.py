"""The write-ahead log of the local tables: what survives a kill, a full disk and damage."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.local import wal_files
from dev.local.ministack_host import without_conditions
from dev.local.wal import LogFailedError, WriteAheadLog
from dev.local.wal_files import DamagedStateError

OpenWal = Callable[[], WriteAheadLog]


@pytest.fixture
def open_wal(tmp_path: Path) -> Iterator[OpenWal]:
    """Open the log as one process after another does. The process before does not close it: it was killed."""
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(contextlib.closing(WriteAheadLog(tmp_path)))


def change(number: int) -> bytes:
    return f"change {number}".encode()


def add_changes(wal: WriteAheadLog, *numbers: int) -> None:
    for number in numbers:
        reserved = wal.reserve(len(change(number)))
        wal.append(change(number))
        wal.release(reserved)
    wal.commit_now()


def make_snapshot(wal: WriteAheadLog, generation: int) -> None:
    wal.temporary_folder(generation).mkdir()
    (wal.temporary_folder(generation) / "dynamodb.json").write_text("{}", encoding="utf-8")
    (wal.temporary_folder(generation) / "kms.json").write_text("[]", encoding="utf-8")
    wal.commit_snapshot(generation)


def test_wal_changes_survive_reopen(open_wal: OpenWal) -> None:
    """The next process reads the committed changes in order, and appends after them."""
    add_changes(open_wal(), 0, 1, 2)
    later = open_wal()
    assert list(later.pending_changes()) == [change(0), change(1), change(2)]
    add_changes(later, 3)
    assert list(open_wal().pending_changes()) == [change(0), change(1), change(2), change(3)]


def test_wal_concurrent_commits_share_an_fsync(open_wal: OpenWal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit returns after its change is on the disk; changes that wait together are written together."""
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    wal = open_wal()

    async def write(number: int) -> None:
        wal.append(change(number))
        await wal.commit()

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in range(50)))

    asyncio.run(write_all())
    assert list(open_wal().pending_changes()) == [change(number) for number in range(50)]
    assert 1 <= len(syncs) <= 3


@pytest.mark.parametrize("tail", [b"\0\0\0\5torn", b"garbage that is longer than a header", b"\0" * 100])
def test_wal_torn_tail_is_cut(tmp_path: Path, open_wal: OpenWal, tail: bytes) -> None:
    """Bytes after what was acknowledged are cut, and the next change follows the last whole one."""
    wal = open_wal()
    add_changes(wal, 0)
    wal.close()
    with (tmp_path / "0.wal").open("rb+") as file:
        file.seek(wal_files.RECORD_OVERHEAD_BYTES + len(change(0)))
        file.write(tail)
    later = open_wal()
    assert list(later.pending_changes()) == [change(0)]
    add_changes(later, 1)
    assert list(open_wal().pending_changes()) == [change(0), change(1)]


def test_wal_snapshot_replaces_earlier_changes(tmp_path: Path, open_wal: OpenWal) -> None:
    """After a snapshot only the changes since its begin are pending, and older files are gone."""
    wal = open_wal()
    add_changes(wal, 0)
    generation = wal.rotate()
    add_changes(wal, 1)
    make_snapshot(wal, generation)
    wal.delete_before(generation)
    later = open_wal()
    assert later.snapshot_folder == tmp_path / "1"
    assert list(later.pending_changes()) == [change(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.wal", "acknowledged"]


@pytest.mark.parametrize("progress", ["not started", "incomplete", "committed"])
def test_wal_kill_during_snapshot_loses_nothing(tmp_path: Path, open_wal: OpenWal, progress: str) -> None:
    """After a kill at any moment, snapshot and pending changes together are every change once."""
    wal = open_wal()
    add_changes(wal, 0)
    generation = wal.rotate()
    add_changes(wal, 1)
    if progress == "incomplete":
        wal.temporary_folder(generation).mkdir()
    if progress == "committed":
        make_snapshot(wal, generation)
    later = open_wal()
    assert list(later.pending_changes()) == ([change(1)] if progress == "committed" else [change(0), change(1)])
    assert not list(tmp_path.glob("*.new"))
    assert later.rotate() == 2


def test_wal_kill_before_new_log_is_used_loses_nothing(tmp_path: Path, open_wal: OpenWal) -> None:
    """A new log that was created but not yet used is used by the next rotation."""
    add_changes(open_wal(), 0)
    (tmp_path / "1.wal").write_bytes(bytes(100))
    later = open_wal()
    assert list(later.pending_changes()) == [change(0)]
    add_changes(later, 1)
    assert later.rotate() == 1
    add_changes(later, 2)
    assert list(open_wal().pending_changes()) == [change(0), change(1), change(2)]


def fail_with_full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_wal_without_space_rejects_change_before_it_is_made(open_wal: OpenWal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk reserving and rotating fail, reserved changes are still taken, and space makes all work again."""
    wal = open_wal()
    add_changes(wal, 0)
    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", fail_with_full_disk)
        add_changes(wal, 1)
        with pytest.raises(OSError, match="No space"):
            wal.reserve(10_000_000)
        with pytest.raises(OSError, match="No space"):
            wal.rotate()
    assert wal.rotate() == 1
    add_changes(wal, 2)
    assert list(open_wal().pending_changes()) == [change(0), change(1), change(2)]


def test_wal_failed_write_acknowledges_nothing_more(open_wal: OpenWal, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a write that failed, commits fail until the log is opened again; what was committed before is there."""
    wal = open_wal()
    add_changes(wal, 0)

    async def commit() -> None:
        await wal.commit()

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", fail_with_full_disk)
        wal.append(change(1))
        with pytest.raises(LogFailedError):
            asyncio.run(commit())
    wal.append(change(2))
    with pytest.raises(LogFailedError):
        asyncio.run(commit())
    with pytest.raises(OSError, match="No space"):
        wal.reserve(1)
    assert list(open_wal().pending_changes()) == [change(0)]


def damage_gone(path: Path) -> None:
    path.unlink()


def damage_truncated(path: Path) -> None:
    os.truncate(path, 20)


def damage_truncated_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def damage_garbage(path: Path) -> None:
    path.write_bytes(b"garbage\xff" * 20)


def damage_flipped_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[min(30, len(content) - 1)] ^= 1
    path.write_bytes(content)


DAMAGES = [damage_gone, damage_truncated, damage_truncated_to_nothing, damage_garbage, damage_flipped_byte]


def build_state(wal: WriteAheadLog) -> None:
    """Build a folder with a snapshot, a log that another one follows, and the last log."""
    add_changes(wal, 0)
    generation = wal.rotate()
    make_snapshot(wal, generation)
    wal.delete_before(generation)
    add_changes(wal, 1, 2)
    wal.rotate()
    add_changes(wal, 3, 4)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["1/dynamodb.json", "1/kms.json", "1/checksums.json", "1.wal", "2.wal", "1", "acknowledged"]
)
def test_wal_damaged_file_is_named_or_repaired(
    tmp_path: Path, open_wal: OpenWal, name: str, damage: Callable[[Path], None]
) -> None:
    """A damaged file is named in an error; `acknowledged` alone is written again, with a note and without a loss."""
    build_state(open_wal())
    expected = [change(number) for number in (1, 2, 3, 4)]
    assert list(open_wal().pending_changes()) == expected
    if name == "1":
        for path in (tmp_path / name).iterdir():
            path.unlink()
        (tmp_path / name).rmdir()
    else:
        damage(tmp_path / name)
    if name == "acknowledged":
        wal = open_wal()
        assert str(tmp_path / name) in wal.notes[0]
        assert list(wal.pending_changes()) == expected
        assert open_wal().notes == ()
    else:
        with pytest.raises(DamagedStateError, match=rf"/{name}(/checksums.json)? (is|has)"):
            open_wal()


def test_wal_new_folder_has_no_notes(open_wal: OpenWal) -> None:
    """A folder that is new, and one that was killed right after its creation, need no repair."""
    assert open_wal().notes == ()
    assert open_wal().notes == ()


def test_without_conditions_keeps_what_the_update_uses() -> None:
    """A write that is repeated has no condition, and no name or value that only the condition used."""
    body = b"""{"TableName": "t", "UpdateExpression": "SET #a = :a", "ConditionExpression": "#b = :b",
        "ExpressionAttributeNames": {"#a": "a", "#b": "b"}, "ExpressionAttributeValues": {":a": 1, ":b": 2}}"""
    assert without_conditions(body) == (
        b'{"TableName": "t", "UpdateExpression": "SET #a = :a", "ExpressionAttributeNames": {"#a": "a"}, '
        b'"ExpressionAttributeValues": {":a": 1}}'
    )
    put = b'{"Put": {"Item": {}, "ConditionExpression": "attribute_exists(a)"}}'
    transaction = b'{"TransactItems": [{"ConditionCheck": {}}, ' + put + b"]}"
    assert without_conditions(transaction) == b'{"TransactItems": [{"Put": {"Item": {}}}]}'
