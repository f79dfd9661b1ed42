"""What grows, and how far: the largest plans, ten thousand parts, the memory of an assembly, the rows of the ledger."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from ferry.aws import ledger_rows as rows
from ferry.errors import ChunksUnavailable, InvalidField
from ferry.grid import GIB, KIB, MAX_FILE_SIZE, MAX_PART_SIZE, MIB, Grid
from ferry.model import FOLD_AT, Claim, File, Progress, Session, State
from ferry.uploads.chunk import ChunkRequest, send
from ferry.uploads.start import StartRequest, start
from tests.fakes.faults import Log
from tests.fakes.objects import MemoryObjects
from tests.support.sizes import size_of_row
from tests.support.world import NAME, NS, Client, World, bytes_of

WRITE_UNIT = KIB
KEY_LIMIT = 1_000
CHUNKS_A_SECOND = 200


def test_the_largest_file_has_a_plan() -> None:
    """48.8 TiB: ten thousand parts of 5 GiB, whatever the chunk size; a byte more is refused."""
    for chunk_size in (64 * KIB, 4 * MIB):
        grid = Grid.plan(MAX_FILE_SIZE, chunk_size)
        assert (grid.part_count, grid.part_size, grid.length_of_part(10_000)) == (10_000, MAX_PART_SIZE, MAX_PART_SIZE)
    world = World()
    with pytest.raises(InvalidField):
        start(world.engine, NS, StartRequest(NAME, MAX_FILE_SIZE + 1))
    assert start(world.engine, NS, StartRequest(NAME, MAX_FILE_SIZE)).created
    with pytest.raises(ChunksUnavailable):
        send(world.engine, NS, ChunkRequest(NAME, 1, bytes(4 * MIB)))


@pytest.mark.parametrize("size", [1, 8 * MIB + 1, 80 * GIB, 256 * GIB, 312 * GIB])
@pytest.mark.parametrize("chunk_size", [64 * KIB, MIB, 4 * MIB])
def test_every_file_up_to_312_gib_can_be_sent_in_chunks(size: int, chunk_size: int) -> None:
    """Parts small enough for a function's memory, stripes few enough for one transaction, every chunk at one place."""
    grid = Grid.plan(size, chunk_size)
    assert grid.assembles
    assert grid.part_count <= 10_000
    assert grid.stripe_count <= 90
    assert grid.chunk_count <= grid.stripe_count * 3_072 + grid.stripe_count * grid.chunks_per_part
    for index in {1, 2, grid.chunks_per_part, grid.chunk_count // 2 + 1, grid.chunk_count}:
        if grid.has_chunk(index):
            stripe = grid.stripe_of_part(grid.part_of_chunk(index))
            assert grid.chunk_of_bit(stripe, grid.bit_of_chunk(index)) == index


def test_ten_thousand_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half by chunks and half straight to S3: the file is whole, and completing takes as many calls as ever."""
    for name, value in {"MIN_CHUNK_SIZE": 16, "DEFAULT_PART_SIZE": 16}.items():
        monkeypatch.setattr(f"ferry.grid.{name}", value)
    monkeypatch.setattr("tests.fakes.objects.MIN_PART_SIZE", 16)
    world = World()
    client = Client(world, bytes_of(10_000 * 16), chunk_size=16)
    client.begin()
    for index in range(1, 10_001, 2):
        client.send(index)
    for number in range(2, 10_001, 2):
        assert client.put(client.sign(number), client.part(number)).status == 200
    log = Log()
    assert isinstance(client.complete(engine=world.new_engine(log=log)), File)
    assert world.content() == client.body
    assert log.methods == [
        *("slot", "upload", "list_parts", "lease", "all_claims", "complete_multipart", "head", "finish"),
    ]


class Copying(MemoryObjects):
    """Hands out fresh bytes, as a network does."""

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        found = super().get(key, first, last)
        return None if found is None else bytes(bytearray(found))


def test_the_memory_of_the_largest_assembly() -> None:
    """Below three times the part and the body together, for the largest part that chunks may build."""
    world = World()
    world.objects = Copying(world.clock)
    engine = world.new_engine()
    started = start(engine, NS, StartRequest(NAME, 312 * GIB))
    assert started.upload is not None
    grid = started.upload.session.grid
    assert grid.part_size == 32 * MIB
    chunks = [bytes_of(grid.chunk_size, seed=index) for index in range(1, 9)]
    for index, chunk in enumerate(chunks[:-1], 1):
        send(engine, NS, ChunkRequest(NAME, index, chunk))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    send(engine, NS, ChunkRequest(NAME, 8, chunks[-1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    [upload] = world.objects.uploads.values()
    assert upload.parts[1][1] == b"".join(chunks)
    assert peak - before < 3 * (grid.part_size + grid.chunk_size)


def full_stripe() -> Mapping[str, Any]:
    """A stripe as large as one gets: a full bitmap, and two sets with the highest numbers."""
    high = range(3_072 - FOLD_AT, 3_072)
    return rows.stripe_row(
        "f" * 32,
        Progress(
            89,
            open=True,
            touched=2**41,
            bits=(1 << 3_072) - 1,
            recent=frozenset(high),
            before=frozenset(high),
            received=2**39,
            epoch=4_000,
            version=10**6,
            direct=True,
        ),
        2**31,
    )


def claims_row(grid: Grid) -> Mapping[str, Any]:
    """A PART row with every chunk claimed, the highest indexes."""
    first = grid.chunk_count - grid.chunks_per_part
    claim = rows.claim_attribute(Claim(bytes(16), 2**32 - 1))
    keys = dict(zip(("pk", "sk"), rows.part_key("f" * 32, 10_000), strict=True))
    return keys | {"ttl": 2**31} | {rows.claim_name(first + n): claim for n in range(1, grid.chunks_per_part + 1)}


def test_a_stripe_is_one_write_unit() -> None:
    """However full: so recording costs the same for every chunk of every upload."""
    assert size_of_row(full_stripe()) <= WRITE_UNIT


def test_no_row_comes_near_the_limit() -> None:
    """400 KB an item; the largest are the claims of many small chunks, and a session full of names and metadata."""
    assert size_of_row(claims_row(Grid.plan(16 * GIB, 64 * KIB))) < 8 * KIB
    grid = Grid.plan(1, MIB)
    text = "\N{GRINNING FACE}" * 63
    file = File("n" * 64, text, "f" * 32, 1, "e" * 40, 1, "t" * 255, {"k": "v" * 2_000}, "f" * 256, 2**41, 2**32)
    session = Session(
        "f" * 32,
        "n" * 64,
        text,
        grid,
        State.COMPLETE,
        2**41,
        2**37,
        2**37,
        "t" * 255,
        {"k": "v" * 2_000},
        fingerprint="f" * 256,
        answer=file,
    )
    assert size_of_row(rows.session_row(session, 2**41)) < 8 * KIB


@pytest.mark.parametrize("chunk_size", [64 * KIB, 256 * KIB, MIB, 4 * MIB])
def test_a_hot_upload_stays_below_the_limit_of_a_key(chunk_size: int) -> None:
    """200 chunks a second: all records on one stripe's key, and at worst all claims on one part's."""
    grid = Grid.plan(16 * GIB, chunk_size)
    recording = CHUNKS_A_SECOND * -(-size_of_row(full_stripe()) // WRITE_UNIT)
    claiming = CHUNKS_A_SECOND * -(-size_of_row(claims_row(grid)) // WRITE_UNIT)
    assert recording < KEY_LIMIT
    assert claiming < KEY_LIMIT
