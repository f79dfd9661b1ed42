"""An upload from start to file, by either path, and everything that is refused on the way."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from ferry.digests import Digest, crc32c
from ferry.engine import DAY
from ferry.errors import (
    ChecksumMismatch,
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    FerryError,
    FileExists,
    PartNumberOutOfRange,
    UploadCancelled,
    UploadComplete,
    UploadIncomplete,
    UploadInProgress,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.model import File, State
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, send
from ferry.uploads.files import delete
from ferry.uploads.received import landed_parts, received
from tests.fakes.faults import Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 2 * CHUNK
EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 3 * PART + 1]


def client_of(world: World, size: int = 3 * PART + 1, seed: int = 1, **options: Any) -> Client:
    client = Client(world, bytes_of(size, seed))
    client.begin(**options)
    return client


@pytest.mark.parametrize("size", EDGES)
def test_chunks_in_any_order_become_the_file(world: World, size: int) -> None:
    """Every size around the edges, chunks shuffled: the file is the client's bytes, and its CRC S3's."""
    client = client_of(world, size)
    order = list(range(1, client.chunk_count + 1))
    random.Random(size).shuffle(order)
    for count, index in enumerate(order, 1):
        accepted = client.send(index)
        assert accepted.received == sum(len(client.chunk(done)) for done in order[:count])
    file = client.complete()
    assert isinstance(file, File)
    assert (world.content(), file.size, file.crc32c) == (client.body, size, client.crc)


@pytest.mark.parametrize("size", [size for size in EDGES if size])
def test_parts_straight_to_s3_become_the_file(world: World, size: int) -> None:
    """Every part by a presigned PUT, last first, no ETag coming back."""
    client = client_of(world, size)
    for number in reversed(range(1, -(-size // PART) + 1)):
        assert client.put(client.sign(number), client.part(number)).status == 200
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_both_paths_mix_within_a_part(world: World) -> None:
    """A part by chunks, one straight, one begun by a chunk and then sent straight: a change of mind."""
    client = client_of(world)
    client.send_all([1, 2, 5])
    for number in (2, 3):
        assert client.put(client.sign(number), client.part(number)).status == 200
    upload = world.ledger.upload(client.upload_id)
    assert upload is not None
    there = received(upload, landed_parts(world.engine, upload))
    assert (there.chunks, there.parts, there.bytes) == ([(1, 6)], [(1, 3)], 3 * PART)
    client.send(7)
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_late_url_cannot_undo_acknowledged_chunks(world: World) -> None:
    """A URL signed while a part was unfinished lands, with other bytes, after its chunks made it whole: they are put
    back.
    """
    client = client_of(world, PART)
    late = client.sign(1)
    client.send_all()
    assert client.put(late, bytes_of(PART, seed=9)).status == 200
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_part_made_of_chunks_is_signed_for_its_bytes_only(world: World) -> None:
    """S3 refuses other bytes for it, and takes the same; another checksum is a conflict at once."""
    client = client_of(world, PART)
    client.send_all()
    signed = client.sign(1)
    assert client.put(signed, bytes_of(PART, seed=9)).status == 400
    assert client.put(signed, client.body).status == 200
    with pytest.raises(ChunkConflict):
        client.sign(1, crc=crc32c(b"other"))
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_url_signed_while_a_part_is_being_assembled_makes_its_last_chunk_be_staged(world: World) -> None:
    """Between assembly and record somebody signs, and overwrites the part: the acknowledged chunk is not lost."""
    client = client_of(world, PART)
    client.send(1)

    def meddle() -> None:
        assert client.put(client.sign(1), bytes_of(PART, seed=9)).status == 200

    client.send(2, engine=world.new_engine(Script({("record", 1): meddle})))
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_store_that_lists_no_checksums_is_no_reason_to_ask_for_chunks_again(world: World) -> None:
    """A part assembled before the first URL was signed has no stage of its last chunk, and needs none."""
    world.objects.lists_crc = False
    client = client_of(world, 2 * PART)
    client.send_all([1, 2])
    late = client.sign(2)
    client.send_all([3, 4])
    assert client.put(late, bytes_of(PART, seed=9)).status == 200
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_the_same_chunk_again_is_the_same_success_and_other_bytes_a_conflict(world: World) -> None:
    """Staged or assembled, the first accepted bytes stay."""
    client = client_of(world, PART)
    first = client.send(1)
    assert client.send(1) == first
    whole = client.send(2)
    assert client.send(2) == whole
    for index in (1, 2):
        with pytest.raises(ChunkConflict):
            client.send(index, body=bytes_of(CHUNK, seed=9))
    client.complete()
    assert world.content() == client.body


def test_refused_chunks_cost_no_write(world: World) -> None:
    """Wrong index, length, digest, or session: nothing is claimed, staged or recorded."""
    client = client_of(world, PART + 1)
    before = (world.ledger.snapshot(), dict(world.objects.objects), dict(world.objects.uploads))
    cases: list[tuple[ChunkRequest, type[FerryError]]] = [
        (ChunkRequest(NAME, 0, client.chunk(1)), ChunkIndexOutOfRange),
        (ChunkRequest(NAME, 4, client.chunk(1)), ChunkIndexOutOfRange),
        (ChunkRequest(NAME, 1, client.chunk(1)[:-1]), ChunkSizeMismatch),
        (ChunkRequest(NAME, 3, client.chunk(1)), ChunkSizeMismatch),
        (ChunkRequest(NAME, 1, client.chunk(1), digests=(Digest("crc32c", b"\0\0\0\0"),)), ChecksumMismatch),
        (ChunkRequest("other", 1, client.chunk(1)), UploadNotFound),
        (ChunkRequest(NAME, 1, client.chunk(1), upload_id="f" * 32), UploadSuperseded),
    ]
    for request, error in cases:
        with pytest.raises(error):
            send(world.engine, NS, request)
    with pytest.raises(UploadNotFound):
        send(world.engine, "another namespace", ChunkRequest(NAME, 1, client.chunk(1), upload_id=client.upload_id))
    with pytest.raises(PartNumberOutOfRange):
        client.sign(3)
    assert before == (world.ledger.snapshot(), world.objects.objects, world.objects.uploads)


def test_start_resumes_only_what_is_the_same(world: World) -> None:
    """Size, checksum and fingerprint decide; restart cancels and begins anew."""
    client = client_of(world, PART, fingerprint="a")
    client.send(1)
    again = client.begin(fingerprint="a")
    assert (again.created, again.upload and again.upload.received) == (False, CHUNK)
    first = client.upload_id
    for options in ({}, {"fingerprint": "b"}, {"fingerprint": "a", "crc32c": 7}):
        with pytest.raises(UploadInProgress) as refused:
            client.begin(**options)
        assert refused.value.extra["upload_id"] == first
    assert client.begin(fingerprint="b", restart=True).created
    assert client.upload_id != first
    with pytest.raises(UploadSuperseded):
        send(world.engine, NS, ChunkRequest(NAME, 1, client.chunk(1), upload_id=first))
    assert list(world.objects.objects) == []


def test_start_finds_the_very_same_file(world: World) -> None:
    """Same size and checksum: nothing to do. Anything else: file_exists, unless it is to be replaced."""
    client = client_of(world, PART, crc32c=crc32c(bytes_of(PART)))
    client.send_all()
    file = client.complete()
    assert client.begin(crc32c=client.crc).file == file
    for crc in (None, 7):
        with pytest.raises(FileExists):
            client.begin(crc32c=crc)
    assert client.begin(replace=True).created


def test_completing_without_all_bytes_says_what_is_missing(world: World) -> None:
    """The upload goes on, and can be completed later."""
    client = client_of(world)
    client.send_all([1, 2, 4, 7])
    with pytest.raises(UploadIncomplete) as refused:
        client.complete()
    assert refused.value.extra["missing"] == [(3, 3), (5, 6)]
    client.send_all([3, 5, 6])
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_part_of_the_wrong_size_is_missing(world: World) -> None:
    """S3 cannot be made to take one through a URL, but a listed part of another size is never named at completion."""
    client = client_of(world, PART + 5)
    client.put(client.sign(2), client.part(2))
    world.objects.upload_part(f"o/{client.upload_id}", "mp-1", 1, b"short", crc32c=crc32c(b"short"))
    with pytest.raises(UploadIncomplete) as refused:
        client.complete()
    assert refused.value.extra["missing"] == [(1, 2)]


@pytest.mark.parametrize("direct", [False, True])
def test_a_wrong_checksum_leaves_the_upload_open(world: World, direct: bool) -> None:
    """It may then be completed with the right one, which overrides the one given at start."""
    client = client_of(world, PART, crc32c=1)
    if direct:
        client.put(client.sign(1), client.body)
    else:
        client.send_all()
    for crc in (None, 2):
        with pytest.raises(ChecksumMismatch):
            client.complete(crc32c=crc)
        assert client.state() is State.OPEN
    assert isinstance(client.complete(crc32c=client.crc), File)
    assert world.content() == client.body


def test_complete_repeated_is_the_same_answer(world: World) -> None:
    """For at least a day, though the file was deleted meanwhile; a late chunk is told that it is complete."""
    client = client_of(world, PART)
    client.send_all()
    file = client.complete()
    world.clock.advance(DAY)
    delete(world.engine, NS, NAME)
    assert client.complete() == file
    with pytest.raises(UploadComplete):
        client.send(1)
    with pytest.raises(UploadComplete):
        client.cancel()


def test_an_upload_that_is_done_answers_by_its_id_though_the_name_has_moved_on(world: World) -> None:
    """Complete, repeated, is the same answer; a repeated cancel does not hit what was started since."""
    client = client_of(world, PART)
    client.send_all()
    file = client.complete()
    done = client.upload_id
    client.begin(replace=True)
    assert client.complete(upload_id=done) == file
    with pytest.raises(UploadSuperseded):
        cancel(world.engine, NS, NAME, done)
    assert client.state() is State.OPEN
    cancel(world.engine, NS, NAME, client.upload_id)
    cancel(world.engine, NS, NAME, client.upload_id)
    assert client.state() is State.CANCELLED


def test_a_file_that_appeared_meanwhile_is_not_overwritten_unasked(world: World) -> None:
    """file_exists, also where it appears in the last moment; the upload stays, and may then replace it."""
    client = client_of(world, PART)
    client.send_all()
    other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, world.clock(), 1)

    def appear() -> None:
        world.ledger.rows.files[NS, NAME] = other

    with pytest.raises(FileExists):
        client.complete(engine=world.new_engine(Script({("complete_multipart", 1): appear})))
    assert client.state() is State.OPEN
    assert world.ledger.file(NS, NAME) == other
    with pytest.raises(FileExists):
        client.complete()
    with pytest.raises(ChecksumMismatch):
        client.complete(replace=True, crc32c=3)
    assert isinstance(client.complete(replace=True), File)
    assert world.content() == client.body


def test_cancel_is_final_and_repeatable(world: World) -> None:
    """204 twice; whatever comes later is told so; S3 holds nothing any more; the finished file stays."""
    client = client_of(world, PART)
    client.send_all()
    client.complete()
    client.body = bytes_of(PART, seed=2)
    client.begin(replace=True)
    client.send(1)
    client.sign(1)
    client.cancel()
    client.cancel()
    for late in (lambda: client.send(2), lambda: client.sign(1), client.complete):
        with pytest.raises(UploadCancelled):
            late()
    assert world.content() == bytes_of(PART)
    assert [key for key in world.orphans() if client.upload_id in key] == []
    world.sweep_until_quiet()
    assert world.orphans() == []


def test_uploads_of_different_names_never_mix(world: World) -> None:
    """Several at once, their chunks interleaved."""
    clients = [Client(world, bytes_of(PART + n, seed=n), name=f"file {n}") for n in range(1, 5)]
    for client in clients:
        client.begin()
    for index, client in itertools.product((3, 1, 2), clients):
        client.send(index)
    for client in clients:
        client.complete()
    assert [world.content(client.name) == client.body for client in clients] == [True] * 4
