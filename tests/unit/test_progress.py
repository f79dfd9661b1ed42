"""What status says of a name through the life of its uploads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.engine import DAY
from ferry.errors import NotFound
from ferry.grid import MIB, Grid
from ferry.model import State
from ferry.progress import Phase, Status, status, uploads
from ferry.uploads.files import delete
from tests.fakes.faults import Log, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 8 * MIB
PER_PART = PART // CHUNK


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def told(world: World, name: str = NAME) -> Status:
    return status(world.engine, NS, name)


def finished(world: World, body: bytes) -> Client:
    client = Client(world, body)
    client.begin()
    client.send_all()
    client.complete_patiently()
    return client


def test_an_unknown_name_is_not_found(world: World) -> None:
    """It never means complete; and another namespace's upload is just as unknown."""
    Client(world, b"x", ns="other").begin()
    with pytest.raises(NotFound) as missing:
        told(world)
    assert missing.value.code == "not_found"


def test_nothing_received_is_pending(world: World) -> None:
    """All is missing, from the first byte on."""
    client = Client(world, bytes_of(3 * CHUNK + 1))
    client.begin()
    found = told(world)
    assert (found.filename, found.upload_id, found.state) == (NAME, client.upload_id, Phase.PENDING)
    assert (found.size, found.chunk_size, found.chunk_count) == (3 * CHUNK + 1, CHUNK, 4)
    assert (found.received_bytes, found.percent, found.next_offset, found.missing) == (0, 0.0, 0, ((1, 4),))
    assert (found.created_at, found.updated_at, found.expires_at) == (
        world.clock.now,
        world.clock.now,
        world.clock.now + DAY,
    )
    assert (found.etag, found.crc32c, found.current_file) == (None, None, None)


# chunks sent of four (the last has one byte) → bytes, percent, missing, next offset
SENT = [
    ([2], (CHUNK, 33.3, ((1, 1), (3, 4)), 0)),
    ([1], (CHUNK, 33.3, ((2, 4),), CHUNK)),
    ([4], (1, 0.0, ((1, 3),), 0)),
    ([3, 1], (2 * CHUNK, 66.6, ((2, 2), (4, 4)), CHUNK)),
    ([1, 2, 3], (3 * CHUNK, 99.9, ((4, 4),), 3 * CHUNK)),
    ([1, 2, 3, 4], (3 * CHUNK + 1, 100.0, (), 3 * CHUNK + 1)),
]


@pytest.mark.parametrize(("indexes", "arrived"), SENT)
def test_what_has_arrived_counts(world: World, indexes: list[int], arrived: tuple[object, ...]) -> None:
    """Chunks in any order; 100 percent only when no byte is missing; all there but not completed is partial still."""
    client = Client(world, bytes_of(3 * CHUNK + 1))
    client.begin(crc32c=7)
    world.clock.advance(1000)
    client.send_all(indexes)
    found = told(world)
    assert found.state is Phase.PARTIAL
    assert (found.received_bytes, found.percent, found.missing, found.next_offset) == arrived
    assert found.updated_at == found.created_at + 1000
    assert found.expires_at == world.clock.now + DAY
    assert found.crc32c == 7


def test_parts_sent_straight_to_s3_count(world: World) -> None:
    """A landed part's chunks are no longer missing, beside chunks of other parts, and make a newer version."""
    client = Client(world, bytes_of(2 * PART + CHUNK))
    client.begin()
    client.send(1)
    signed = client.sign(2)
    before = told(world)
    assert (before.state, before.received_bytes) == (Phase.PARTIAL, CHUNK)
    assert client.put(signed, client.part(2)).status == 200
    after = told(world)
    assert (after.received_bytes, after.missing) == (
        PART + CHUNK,
        ((2, PER_PART), (2 * PER_PART + 1, 2 * PER_PART + 1)),
    )
    assert after.next_offset == CHUNK
    assert after.version > before.version
    assert after.tag != before.tag


def test_listing_parts_is_left_out_where_none_can_be(world: World) -> None:
    """Without signed URLs a status is two reads of the ledger."""
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send(1)
    log = Log()
    status(world.new_engine(log=log), NS, NAME)
    assert log.methods == ["look_up", "upload"]


def test_a_complete_upload_is_its_file(world: World) -> None:
    """With the tag and the checksum, nothing missing, nothing to expire."""
    client = Client(world, bytes_of(2 * CHUNK + 5))
    client.begin()
    began = world.clock.now
    world.clock.advance(5000)
    client.send_all()
    file = client.complete_patiently()
    found = told(world)
    assert (found.state, found.upload_id) == (Phase.COMPLETE, client.upload_id)
    assert (found.received_bytes, found.percent, found.next_offset, found.missing) == (file.size, 100.0, file.size, ())
    assert (found.chunk_size, found.chunk_count, found.expires_at) == (CHUNK, 3, None)
    assert (found.etag, found.crc32c, found.current_file) == (file.etag, client.crc, None)
    assert (found.created_at, found.updated_at) == (began, file.uploaded_at)


@pytest.mark.parametrize("gone", ["session", "slot and session"])
def test_when_the_rows_have_gone_the_file_speaks(world: World, gone: str) -> None:
    """Long after, only the file is left: complete, the plan unknown. Without a file: not found."""
    client = finished(world, bytes_of(CHUNK + 1))
    world.ledger.rows.sessions.clear()
    world.ledger.rows.stripes.clear()
    if gone != "session":
        world.ledger.rows.slots.clear()
    found = told(world)
    assert (found.state, found.upload_id, found.size) == (Phase.COMPLETE, client.upload_id, CHUNK + 1)
    assert (found.chunk_size, found.chunk_count, found.next_offset) == (None, None, CHUNK + 1)
    world.ledger.rows.files.clear()
    with pytest.raises(NotFound):
        told(world)


def test_a_deleted_file_is_not_found(world: World) -> None:
    """Though its upload is remembered as complete."""
    finished(world, bytes_of(10))
    delete(world.engine, NS, NAME)
    with pytest.raises(NotFound):
        told(world)


def test_an_empty_file(world: World) -> None:
    """Nothing of it is ever missing, yet it is not done, and not 100 percent, before it is complete."""
    client = Client(world, b"")
    client.begin()
    found = told(world)
    assert (found.state, found.percent, found.missing, found.next_offset, found.chunk_count) == (
        Phase.PENDING,
        0.0,
        (),
        0,
        0,
    )
    client.complete_patiently()
    found = told(world)
    assert (found.state, found.percent, found.missing, found.next_offset) == (Phase.COMPLETE, 100.0, (), 0)


def test_a_new_upload_of_a_complete_name(world: World) -> None:
    """It is shown, with the finished file beside it, until it is complete itself."""
    finished(world, bytes_of(CHUNK))
    old = world.ledger.file(NS, NAME)
    first = told(world)
    world.clock.advance(1000)
    client = Client(world, bytes_of(2 * CHUNK, seed=2))
    client.begin(replace=True)
    found = told(world)
    assert (found.state, found.upload_id, found.size) == (Phase.PENDING, client.upload_id, 2 * CHUNK)
    assert (found.current_file, found.etag) == (old, None)
    assert found.version > first.version
    client.send_all()
    client.complete_patiently()
    found = told(world)
    assert (found.state, found.upload_id, found.current_file) == (Phase.COMPLETE, client.upload_id, None)


def test_a_cancelled_upload(world: World) -> None:
    """Nothing of it can be used any more, before and after its rows are cleared away; the file is shown beside it."""
    finished(world, bytes_of(CHUNK))
    file = world.ledger.file(NS, NAME)
    client = Client(world, bytes_of(2 * CHUNK, seed=2))
    client.begin(replace=True)
    client.send(1)
    world.clock.advance(1000)
    client.cancel()
    found = told(world)
    assert (found.state, found.upload_id, found.current_file) == (Phase.CANCELLED, client.upload_id, file)
    assert (found.received_bytes, found.percent, found.missing, found.next_offset) == (0, 0.0, ((1, 2),), 0)
    assert (found.updated_at, found.expires_at) == (world.clock.now, None)
    world.ledger.erase_rows(client.upload_id, until=world.clock() + 1)
    assert told(world) == found


def test_expired_by_the_clock(world: World) -> None:
    """To the millisecond, though no clean-up has run; and still so after one has."""
    client = Client(world, bytes_of(2 * CHUNK))
    client.begin()
    client.send(1)
    before = told(world)
    world.clock.advance(DAY - 1)
    assert told(world) == before
    world.clock.advance(1)
    found = told(world)
    assert (found.state, found.received_bytes, found.expires_at) == (Phase.EXPIRED, 0, world.clock.now)
    assert found.version > before.version
    world.clock.advance(1000)
    world.sweep()
    swept = told(world)
    assert client.state() is State.EXPIRED
    assert (swept.state, swept.missing) == (Phase.EXPIRED, ((1, 2),))


@pytest.mark.parametrize("direct", [False, True])
def test_completing_has_everything(world: World, direct: bool) -> None:
    """It does not expire, and S3 is not asked for parts that may be an object by now."""
    client = Client(world, bytes_of(PART + CHUNK))
    client.begin()
    client.send_all(range(1, PER_PART + 1))
    if direct:
        client.put(client.sign(2), client.part(2))
    else:
        client.send(PER_PART + 1)
    before = told(world)
    upload = world.ledger.upload(client.upload_id)
    assert upload is not None
    now = world.clock.now
    world.ledger.lease(upload, attempt="a", until=now + 1, now=now, replace=False, crc32c=None)
    world.clock.advance(8 * DAY)
    log = Log()
    found = status(world.new_engine(log=log), NS, NAME)
    assert (found.state, found.percent, found.missing, found.expires_at) == (Phase.COMPLETING, 100.0, (), None)
    assert found.version > before.version
    assert log.methods == ["look_up", "upload"]


def test_completed_between_the_reads(world: World) -> None:
    """Its name looked up while it was open, it is told by its file: never by none, and never by the one before."""
    finished(world, bytes_of(5))
    client = Client(world, bytes_of(CHUNK))
    client.begin(replace=True)
    client.send(1)
    engine = world.new_engine(Script({("upload", 1): client.complete}))
    found = status(engine, NS, NAME)
    assert (found.upload_id, found.size, found.crc32c) == (client.upload_id, CHUNK, client.crc)
    assert (found.state, found.current_file) == (Phase.COMPLETE, None)


def test_many_gaps_are_bounded(world: World) -> None:
    """The largest list of ranges stays below what an answer may hold; the first ones are told."""
    client = Client(world, b"")
    client.begin()
    upload = world.ledger.upload(client.upload_id)
    assert upload is not None
    grid = Grid(300_000 * CHUNK, CHUNK, PER_PART)
    bits = dict.fromkeys(range(grid.stripe_count), 0)
    for index in range(1, grid.chunk_count, 2):
        bits[grid.stripe_of_part(grid.part_of_chunk(index))] |= 1 << grid.bit_of_chunk(index)
    stripes = {
        number: replace(upload.stripes[0], stripe=number, bits=held, received=CHUNK * held.bit_count())
        for number, held in bits.items()
    }
    world.ledger.rows.sessions[client.upload_id] = replace(upload.session, grid=grid)
    world.ledger.rows.stripes[client.upload_id] = stripes
    found = told(world)
    assert found.percent == 50.0
    assert len(found.missing) == 100_000
    assert found.missing[:2] == ((2, 2), (4, 4))


def test_versions_only_grow(world: World) -> None:
    """Through two uploads of a name, each event makes a newer version."""
    seen = []
    for seed in (1, 2):
        client = Client(world, bytes_of(3 * CHUNK, seed=seed))
        world.clock.advance(1000)
        client.begin(replace=True)
        seen.append(told(world).version)
        for index in (3, 1, 2):
            client.send(index)
            seen.append(told(world).version)
        client.complete_patiently()
        seen.append(told(world).version)
    assert seen == sorted(set(seen))


def test_the_namespaces_uploads(world: World) -> None:
    """Those in progress, by pages; not the finished, the cancelled, the expired, nor another namespace's."""
    for name in ("old", "a", "b", "c", "d"):
        if name == "a":
            world.clock.advance(DAY)
        Client(world, bytes_of(2 * CHUNK), name=name).begin()
    Client(world, bytes_of(CHUNK), name="other", ns="other").begin()
    done = Client(world, bytes_of(CHUNK), name="b2")
    done.begin()
    done.send_all()
    done.complete_patiently()
    Client(world, b"", name="c").cancel()
    replacing = Client(world, bytes_of(2 * CHUNK, seed=2), name="b2")
    replacing.begin(replace=True)
    replacing.send(2)
    found: list[Status] = []
    cursor = None
    for _ in range(10):
        page = uploads(world.engine, NS, cursor, 2)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert [item.filename for item in found] == ["a", "b", "b2", "d"]
    assert [item.state for item in found] == [Phase.PENDING, Phase.PENDING, Phase.PARTIAL, Phase.PENDING]
    assert found[2].current_file == world.ledger.file(NS, "b2")
    assert found[2] == told(world, "b2")
