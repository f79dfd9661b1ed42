"""Two requests at once, interleaved call by call: somebody else acts just before a given call."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ferry.errors import (
    BackendUnavailable,
    ChecksumMismatch,
    ChunkConflict,
    UploadCancelled,
    UploadCompleting,
    UploadInProgress,
)
from ferry.model import File, State
from ferry.uploads.complete import StillCompleting
from tests.fakes.faults import Fault, Log, Script, Step
from tests.support.world import CHUNK, Client, World, bytes_of, survive

PART = 2 * CHUNK


def client_of(world: World, size: int = PART, **options: Any) -> Client:
    client = Client(world, bytes_of(size))
    client.begin(**options)
    return client


def test_two_last_chunks_at_once_assemble_the_part_once(world: World) -> None:
    """Both are staged, and exactly the one recorded last puts the part together."""
    client = client_of(world)
    log = Log()
    client.send(1, engine=world.new_engine(Script({("put", 1): lambda: client.send(2)}), log))
    assert (log.count("upload_part"), world.log.count("upload_part")) == (1, 0)
    [upload] = world.objects.uploads.values()
    assert upload.parts[1][1] == client.body
    assert isinstance(client.complete(), File)


def test_the_same_chunk_twice_at_once_counts_once(world: World) -> None:
    """Both senders are told the same success."""
    client = client_of(world, 2 * PART)
    log = Log()
    accepted = client.send(1, engine=world.new_engine(Script({("record", 1): lambda: client.send(1)}), log))
    assert (accepted.received, log.count("record")) == (CHUNK, 1)
    assert client.send(1) == accepted


def test_the_same_chunk_with_two_bodies_at_once_has_one_winner(world: World) -> None:
    """Whoever claims first wins; the loser is told, and nothing of it is stored."""
    client = client_of(world)
    with pytest.raises(ChunkConflict):
        client.send(
            1, body=bytes_of(CHUNK, seed=9), engine=world.new_engine(Script({("claim", 1): lambda: client.send(1)}))
        )
    client.send(2)
    assert len(world.objects.objects) == 1
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_two_starts_at_once_have_one_multipart_upload(world: World) -> None:
    """The one who comes second to open it removes what it has made."""
    client = Client(world, bytes_of(PART))
    other = Client(world, client.body)
    client.begin(engine=world.new_engine(Script({("create_multipart", 1): other.begin})))
    assert client.upload_id == other.upload_id
    assert len(world.objects.uploads) == 1


@pytest.mark.parametrize("before", ["begin", "create_multipart", "opened"])
def test_two_restarts_at_once_do_not_cancel_each_other_for_ever(world: World, before: str) -> None:
    """Each cancels what it found, once; who then meets another's new upload is told of it and leaves it alone."""
    client_of(world)
    one, other = Client(world, bytes_of(PART, seed=2)), Client(world, bytes_of(PART, seed=3))
    engine = world.new_engine(Script({(before, 1): lambda: other.begin(restart=True)}))
    with pytest.raises(UploadInProgress) as refused:
        one.begin(engine=engine, restart=True)
    assert refused.value.extra["upload_id"] == other.upload_id
    other.send_all()
    assert isinstance(other.complete(), File)
    assert world.content() == other.body


def test_a_restart_does_not_cancel_what_it_has_begun_itself(world: World) -> None:
    """Somebody who resumes the new upload opens it first; both have the same."""
    client_of(world)
    one, other = Client(world, bytes_of(PART)), Client(world, bytes_of(PART))
    engine = world.new_engine(Script({("opened", 1): other.begin}))
    one.begin(engine=engine, restart=True)
    assert one.upload_id == other.upload_id
    assert len(world.objects.uploads) == 1


def test_a_chunk_between_the_look_and_the_close_is_judged(world: World) -> None:
    """It makes a part whole that had been put straight with other bytes: the acknowledged chunks are the file."""
    client = client_of(world)
    client.send(1)
    assert client.put(client.sign(1), bytes_of(PART, seed=9)).status == 200

    def second() -> None:
        script = Script({("upload_part", 1): Fault.UNAVAILABLE})
        client.send(2, engine=world.new_engine(script))

    client.complete(engine=world.new_engine(Script({("lease", 1): second})))
    assert world.content() == client.body


def test_a_late_url_between_the_list_and_the_completion_is_put_right(world: World) -> None:
    """S3 refuses a part that changed since it was checked; it is mended and completed again."""
    client = client_of(world)
    late = client.sign(1)
    client.send_all()
    script = Script({("complete_multipart", 1): lambda: client.put(late, bytes_of(PART, seed=9))})
    log = Log()
    assert isinstance(client.complete(engine=world.new_engine(script, log)), File)
    assert log.count("complete_multipart") == 2
    assert world.content() == client.body


def test_a_late_url_without_end_is_a_refusal_not_a_mixture(world: World) -> None:
    """Whoever keeps overwriting a part is told to stop; the upload stays open."""
    client = client_of(world)
    late = client.sign(1)
    client.send_all()
    bodies = iter(range(100, 200))
    steps: dict[int | tuple[str, int], Step] = {
        ("complete_multipart", n): lambda: client.put(late, bytes_of(PART, seed=next(bodies))) for n in range(1, 20)
    }
    with pytest.raises(BackendUnavailable):
        client.complete(engine=world.new_engine(Script(steps)))
    assert client.state() is State.OPEN
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_two_completions_at_once_give_the_same_file(world: World) -> None:
    """The second waits for the first."""
    client = client_of(world)
    client.send_all()
    seen: list[object] = []

    def second() -> None:
        seen.append(client.complete())

    first = client.complete(engine=world.new_engine(Script({("complete_multipart", 1): second})))
    assert isinstance(first, File)
    assert [type(result) for result in seen] == [StillCompleting]
    assert client.complete() == first


@pytest.mark.parametrize("before", ["upload", "file", "lease"])
def test_a_completion_just_before_anothers_look_gives_the_same_file(world: World, before: str) -> None:
    """The file that it finds under the name is its own upload's, and no reason to refuse."""
    client = client_of(world, replace=True)
    client.send_all()
    seen: list[object] = []
    engine = world.new_engine(Script({(before, 1): lambda: seen.append(client.complete())}))
    assert [client.complete(engine=engine, replace=False)] == seen
    assert isinstance(seen[0], File)


def test_a_completion_taken_over_gives_everybody_the_same_file(world: World) -> None:
    """The first one's lease lapses just before it would have switched the pointer."""
    client = client_of(world)
    client.send_all()
    results: list[object] = []

    def take_over() -> None:
        world.clock.advance(world.engine.lease + 1)
        results.append(client.complete())

    first = client.complete(engine=world.new_engine(Script({("finish", 1): take_over})))
    assert results == [first]
    assert isinstance(first, File)
    world.sweep_until_quiet()
    assert world.content() == client.body
    assert world.orphans() == []


@pytest.mark.parametrize("before", ["lease", "complete_multipart", "finish"])
def test_cancel_against_complete_has_one_winner(world: World, before: str) -> None:
    """Before the lease the cancel wins, after it the completion; the loser is told."""
    client = client_of(world)
    client.send_all()
    told: list[type[Exception]] = []

    def meanwhile() -> None:
        try:
            client.cancel()
        except UploadCompleting as refused:
            told.append(type(refused))

    engine = world.new_engine(Script({(before, 1): meanwhile}))
    if before == "lease":
        with pytest.raises(UploadCancelled):
            client.complete(engine=engine)
        assert (world.content(), told) == (None, [])
    else:
        assert isinstance(client.complete(engine=engine), File)
        assert (world.content(), told) == (client.body, [UploadCompleting])
    world.sweep_until_quiet()
    assert world.orphans() == []


@pytest.mark.parametrize("before", ["claim", "put", "record"])
def test_cancel_against_a_chunk_leaves_nothing_behind(world: World, before: str) -> None:
    """A chunk in flight is refused, or was acknowledged before; its stage goes in the end."""
    client = client_of(world)
    with pytest.raises(UploadCancelled):
        client.send(1, engine=world.new_engine(Script({(before, 1): client.cancel})))
    world.sweep_until_quiet()
    assert world.orphans() == []


def test_folds_never_lose_or_double_a_chunk(world: World) -> None:
    """Several hundred chunks, each resent, with folds between a recorder's read and its write."""
    client = client_of(world, 300 * CHUNK)
    for index in range(1, 301, 2):
        before = Script({("record", 1): partial(client.send, index)})
        client.send(index + 1, engine=world.new_engine(before))
    upload = world.ledger.upload(client.upload_id)
    assert upload is not None
    assert upload.stripes[0].epoch > 2
    for index in (1, 150, 300):
        assert client.send(index).received == len(client.body)
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_a_cancel_that_died_half_way_changes_nothing_about_the_completion(world: World) -> None:
    """It took over a lapsed lease and got no further: who goes on with the completion has it as it was asked for."""
    client = client_of(world)
    client.send_all()
    for act in (partial(client.complete, crc32c=client.crc ^ 1), client.cancel):
        survive(partial(act, engine=world.new_engine(Script({("lease", 1): Fault.CRASH_AFTER}))))
        world.clock.advance(world.engine.lease + 1)
    world.sweep()
    assert (client.state(), world.content()) == (State.OPEN, None)
    with pytest.raises(ChecksumMismatch):
        client.complete(crc32c=client.crc ^ 1)
    assert isinstance(client.complete(crc32c=client.crc), File)
