"""Every size around the edges of chunks and parts, at their true lengths, by each path and by both."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ferry import digests
from ferry.grid import KIB, MIB
from ferry.model import File
from tests.fakes.faults import Log
from tests.support.world import Client, World, bytes_of

PART = 8 * MIB
EDGES = [
    *(0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1),
    *(4 * MIB - 1, 4 * MIB, 4 * MIB + 1),
    *(5 * MIB - 1, 5 * MIB, 5 * MIB + 1),
    *(PART - 1, PART, PART + 1, 3 * PART + 1),
]
CHUNK_SIZES = [64 * KIB, 4 * MIB]


@pytest.fixture
def world() -> World:
    """Parts as large as they are."""
    return World()


def by_chunks(client: Client) -> None:
    """All through the API, in no order."""
    order = list(range(1, client.chunk_count + 1))
    random.Random(len(client.body)).shuffle(order)
    client.send_all(order)


def straight(client: Client, numbers: Iterator[int] | range | None = None) -> None:
    """All straight to S3, the last part first."""
    for number in numbers or reversed(range(1, -(-len(client.body) // PART) + 1)):
        assert client.put(client.sign(number), client.part(number)).status == 200


def by_turns(client: Client) -> None:
    """Odd parts by chunks, even ones straight to S3."""
    per_part = PART // client.chunk_size
    for number in range(1, -(-len(client.body) // PART) + 1):
        if number % 2:
            first = (number - 1) * per_part + 1
            client.send_all(range(first, min(first + per_part, client.chunk_count + 1)))
        else:
            straight(client, iter([number]))


def with_a_change_of_mind(client: Client) -> None:
    """The first chunk of every part, then each part straight, and then the last chunk of all once more."""
    per_part = PART // client.chunk_size
    client.send_all(range(1, client.chunk_count + 1, per_part))
    straight(client)
    client.send(client.chunk_count)


def there_and_back(client: Client) -> None:
    """Each part straight with bytes that are not the file's, and then by chunks, which are."""
    for number in range(1, -(-len(client.body) // PART) + 1):
        body = bytes(reversed(client.part(number)))
        assert client.put(client.sign(number), body).status == 200
    by_chunks(client)


PATHS: dict[str, Callable[[Client], None]] = {
    "by chunks": by_chunks,
    "straight to S3": straight,
    "by turns": by_turns,
    "with a change of mind": with_a_change_of_mind,
    "there and back": there_and_back,
}
TABLE = [
    (size, chunk_size, path)
    for size in EDGES
    for chunk_size in CHUNK_SIZES
    for path in PATHS
    if size or path == "by chunks"
]


@pytest.mark.parametrize(("size", "chunk_size", "path"), TABLE)
def test_every_size_by_every_path(world: World, size: int, chunk_size: int, path: str) -> None:
    """The file is the client's bytes, its length and its CRC32C; nothing is missing, and nothing is left over."""
    client = Client(world, bytes_of(size, seed=size + 1), chunk_size=chunk_size)
    client.begin(crc32c=client.crc)
    if size:
        PATHS[path](client)
    file = client.complete()
    assert isinstance(file, File)
    assert world.content() == client.body
    assert (file.size, file.crc32c) == (size, client.crc)
    assert world.objects.uploads == {}


@pytest.mark.parametrize("path", ["by chunks", "straight to S3", "by turns", "with a change of mind"])
def test_the_checksum_of_the_whole_is_combined_and_never_computed_again(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completing reads no byte of the file and computes no checksum over any: S3 is told what its parts' CRCs add up
    to.
    """
    client = Client(world, bytes_of(3 * PART + 1), chunk_size=4 * MIB)
    client.begin()
    PATHS[path](client)
    crc = client.crc

    def computed(*_: Any) -> int:
        raise AssertionError("a checksum was computed over bytes")

    for module in ("digests", "uploads.making", "uploads.chunk"):
        monkeypatch.setattr(f"ferry.{module}.crc32c", computed)
    log = Log()
    file = client.complete(world.new_engine(log=log))
    assert isinstance(file, File)
    assert file.crc32c == crc
    [completed] = [call for call in log.calls if call.method == "complete_multipart"]
    assert completed.kwargs["crc32c"] == crc
    assert not {"get", "put", "upload_part"} & set(log.methods)
    assert digests.combine_all((part.crc32c or 0, part.size) for part in completed.args[2]) == crc
