"""The bytes of a range on their way to the part file: blocks, places within a page, and the page cache."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferry_client import range_buffer
from ferry_client.checksums import crc32c
from ferry_client.range_buffer import BUFFER_BYTES, PAGE_BYTES, BlockWriter, RangeBuffer

MIB = 1024 * 1024


@pytest.fixture
def part(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "part"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    yield descriptor, path
    os.close(descriptor)


@pytest.fixture
def uncached_writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Position and length of each write past the page cache, also where this file system has none."""
    writes: list[tuple[int, int]] = []

    def record(descriptor: int, data: memoryview, first: int) -> int:
        writes.append((first, len(data)))
        return os.pwrite(descriptor, data, first)

    monkeypatch.setattr(range_buffer, "_pwrite", record)
    monkeypatch.setattr(range_buffer, "_open_uncached", lambda descriptor, path: os.dup(descriptor))
    return writes


def receive(buffer: RangeBuffer, data: bytes, piece: int) -> None:
    """Give bytes to a buffer in pieces, as a connection does."""
    given = 0
    while given < len(data):
        room = buffer.room(min(piece, len(data) - given))
        room[:] = data[given : given + len(room)]
        buffer.add(len(room))
        given += len(room)
    buffer.write()


@pytest.mark.parametrize("first", [0, 1, PAGE_BYTES, 5 * MIB + 123])
@pytest.mark.parametrize("piece", [100_001, 16 * MIB])
def test_range_at_any_position_is_written_whole(part: tuple[int, Path], first: int, piece: int) -> None:
    """Blocks of any length at any position arrive byte for byte, on this file system with or without page cache."""
    descriptor, path = part
    data = random.Random(first).randbytes(9 * MIB + 77)
    reports: list[tuple[int, int, int]] = []
    writer = BlockWriter(descriptor, path)
    with writer.memory() as memory:
        buffer = RangeBuffer(memory, writer, first, lambda *report: reports.append(report))
        receive(buffer, data, piece)
    writer.close()
    assert path.read_bytes() == bytes(first) + data
    assert sum(count for count, _, _ in reports) == len(data)
    assert reports[-1] == (reports[-1][0], crc32c(data), len(data))
    assert buffer.position == first + len(data)


def test_large_blocks_go_past_the_page_cache_in_whole_pages(
    part: tuple[int, Path], uncached_writes: list[tuple[int, int]]
) -> None:
    """Position and length of each such write are multiples of a page; the ends of the range go the usual way."""
    descriptor, path = part
    data = random.Random(1).randbytes(2 * BUFFER_BYTES + 5)
    writer = BlockWriter(descriptor, path)
    with writer.memory() as memory:
        receive(RangeBuffer(memory, writer, 10, lambda *report: None), data, BUFFER_BYTES)
    writer.close()
    assert path.read_bytes() == bytes(10) + data
    assert len(uncached_writes) >= 2
    assert all(first % PAGE_BYTES == 0 and length % PAGE_BYTES == 0 for first, length in uncached_writes)


def test_small_blocks_go_through_the_page_cache(
    part: tuple[int, Path], uncached_writes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow line what came in a moment is little: it is written soon, and the system joins it."""
    monkeypatch.setattr(range_buffer, "MAX_BUFFERED_SECONDS", 0.0)
    descriptor, path = part
    writer = BlockWriter(descriptor, path)
    reports: list[int] = []
    with writer.memory() as memory:
        receive(RangeBuffer(memory, writer, 0, lambda count, *_: reports.append(count)), bytes(50_000), 10_000)
    writer.close()
    assert path.read_bytes() == bytes(50_000)
    assert reports == [10_000] * 5
    assert not uncached_writes


def test_file_system_that_accepts_no_such_block_gets_it_through_the_page_cache(
    part: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that opens files past the page cache and rejects the write: the bytes arrive."""
    attempts: list[int] = []

    def reject(descriptor: int, data: memoryview, first: int) -> int:
        attempts.append(first)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(range_buffer, "_open_uncached", lambda descriptor, path: os.dup(descriptor))
    monkeypatch.setattr(range_buffer, "_pwrite", reject)
    descriptor, path = part
    data = random.Random(2).randbytes(3 * MIB)
    writer = BlockWriter(descriptor, path)
    with writer.memory() as memory:
        receive(RangeBuffer(memory, writer, 0, lambda *report: None), data, MIB)
        receive(RangeBuffer(memory, writer, 3 * MIB, lambda *report: None), data, MIB)
    writer.close()
    assert path.read_bytes() == data + data
    assert attempts == [0]


def test_part_file_that_was_replaced_is_not_opened_again(part: tuple[int, Path]) -> None:
    """A path that leads to another file gets no byte: all go to the file that is open."""
    descriptor, path = part
    path.unlink()
    path.write_bytes(b"another")
    writer = BlockWriter(descriptor, path)
    with writer.memory() as memory:
        receive(RangeBuffer(memory, writer, 0, lambda *report: None), bytes(MIB), MIB)
    writer.close()
    assert path.read_bytes() == b"another"
    assert os.fstat(descriptor).st_size == MIB
