"""What Linux does for a file that is received: space that is reserved, and ranges that are written early."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.tests.fake_service import FakeService
from ferry_client import disk
from ferry_client.client import Ferry
from ferry_client.errors import NoSpaceError

MIB = 1024 * 1024
Connect = Callable[..., Ferry]


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def system_calls(monkeypatch: pytest.MonkeyPatch, function: Callable[..., int] | None) -> None:
    """Replace each function of the C library."""
    monkeypatch.setattr(disk, "_c_function", lambda *names: function)


def fail_with(code: int) -> Callable[..., int]:
    def fail(*arguments: Any) -> int:
        ctypes.set_errno(code)
        return -1

    return fail


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
def test_reserved_file_has_its_size_and_keeps_its_bytes(descriptor: int, size: int) -> None:
    """The file gets its size; what was there remains as far as it fits, and the rest is zero."""
    os.pwrite(descriptor, b"ab", 0)
    disk.reserve_space(descriptor, size)
    assert os.fstat(descriptor).st_size == size
    assert os.pread(descriptor, 4, 0) == b"ab\0\0"[:size]


@pytest.mark.parametrize("function", [None, fail_with(errno.EOPNOTSUPP), fail_with(errno.EINVAL)])
def test_file_on_a_disk_that_reserves_nothing_has_its_size(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, function: Callable[..., int] | None
) -> None:
    """Another system, or a file system without reservations: the file is sparse."""
    system_calls(monkeypatch, function)
    disk.reserve_space(descriptor, MIB)
    assert os.fstat(descriptor).st_size == MIB


def test_download_to_a_full_disk_fetches_nothing_and_leaves_no_space_reserved(
    connect: Connect, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is too small is noticed before the first byte, and what was reserved is free again."""
    fake.put_file("x", bytes(5 * MIB))
    system_calls(monkeypatch, fail_with(errno.ENOSPC))
    with pytest.raises(NoSpaceError, match="it continues"):
        connect().download("x", tmp_path / "out")
    assert (tmp_path / ".out.ferry-part").stat().st_size == 0
    assert not [request for request in fake.requests if "Range" in request.headers]


def test_writeback_starts_with_each_range_and_ends_before_the_file_is_closed(
    connect: Connect, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each range is handed to the system while the file is open."""
    started: list[tuple[int, int]] = []

    def start(descriptor: int, first: Any, length: Any, flags: int) -> int:
        os.fstat(descriptor)
        assert flags == 2
        started.append((first.value, length.value))
        return 0

    monkeypatch.setattr(disk, "_c_function", lambda *names: start if names == ("sync_file_range",) else None)
    fake.put_file("x", bytes(range(256)) * 40 * 1024)
    connect(range_bytes=2 * MIB).download("x", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == bytes(range(256)) * 40 * 1024
    assert set(started) <= {(first, 2 * MIB) for first in range(0, 10 * MIB, 2 * MIB)}


def test_writeback_starts_ranges_in_their_order(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranges are handed to the system one after another."""
    started: list[int] = []
    both = threading.Event()

    def start(descriptor: int, first: Any, length: Any, flags: int) -> int:
        started.append(first.value)
        if len(started) == 2:
            both.set()
        return 0

    system_calls(monkeypatch, start)
    writeback = disk.EarlyWriteback(descriptor)
    writeback.add(0, MIB)
    writeback.add(MIB, MIB)
    assert both.wait(30)
    writeback.close()
    assert started == [0, MIB]
    assert not writeback._thread.is_alive()


def test_writeback_on_other_systems_does_nothing(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `sync_file_range` no thread starts."""
    system_calls(monkeypatch, None)
    writeback = disk.EarlyWriteback(descriptor)
    writeback.add(0, MIB)
    writeback.close()
    assert writeback._thread.ident is None
