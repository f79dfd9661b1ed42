"""Completions that take longer than a request: handed on, gone on with elsewhere, and told whoever asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.cleanup import finish
from ferry.engine import Engine
from ferry.errors import BackendUnavailable, FileExists
from ferry.model import File, State
from ferry.progress import Phase, status
from ferry.uploads.complete import StillCompleting
from tests.fakes.faults import Fault, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 2 * CHUNK


@pytest.fixture
def client(world: World) -> Client:
    """An upload of three parts, all to be put together by its completion, which takes too long for that."""
    client = Client(world, bytes_of(3 * PART))
    client.begin()
    for number in (1, 2, 3):
        client.sign(number)
    for index in range(1, 7):
        client.send(index, engine=world.new_engine(Script({("upload_part", 1): Fault.UNAVAILABLE})))
    world.objects.while_putting = lambda: world.clock.advance(world.engine.mending + 1)
    return client


def test_it_is_handed_on_and_its_end_is_told(world: World, client: Client) -> None:
    """202 with a short wait; who has the time takes over at once, and the next call has the file."""
    assert client.complete() == StillCompleting(client.upload_id, retry_after=5)
    assert (client.state(), len(world.worker.events)) == (State.COMPLETING, 1)
    world.work(replace(world.engine, mending=600_000, lease=930_000))
    assert client.state() is State.COMPLETE
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_meanwhile_nobody_else_takes_it(world: World, client: Client) -> None:
    """Under the worker's lease, which is as long as the worker may run, others wait."""
    seen: list[object] = []

    def meanwhile() -> None:
        world.clock.advance(500_000)
        seen.append(client.complete())
        world.sweep()

    client.complete()
    long = replace(world.new_engine(Script({("complete_multipart", 1): meanwhile})), mending=600_000, lease=930_000)
    world.work(long)
    assert seen == [StillCompleting(client.upload_id, retry_after=2)]
    assert isinstance(client.complete(), File)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, None])
def test_where_the_worker_never_comes_the_sweep_does(world: World, client: Client, fault: Fault | None) -> None:
    """Whether it could not be told or has died: each sweep over the lapsed lease brings it on, and it ends."""
    engine = world.new_engine(Script({("finish", 1): fault} if fault else {}))
    assert client.complete(engine) == StillCompleting(client.upload_id, retry_after=5)
    world.worker.events.clear()
    for _ in range(3):
        world.clock.advance(world.engine.lease + 1)
        world.sweep()
    assert client.state() is State.COMPLETE
    assert world.content() == client.body


def test_only_the_attempt_that_was_handed_on_is_taken_over(world: World, client: Client) -> None:
    """An event of another attempt, of no upload, or that comes late changes nothing."""
    client.complete()
    [(upload_id, attempt)] = world.worker.events
    before = world.ledger.upload(upload_id)
    finish(world.engine, upload_id, "another")
    finish(world.engine, "nothing", attempt)
    assert world.ledger.upload(upload_id) == before
    file = client.complete_patiently()
    finish(world.engine, upload_id, attempt)
    assert client.complete() == file


def test_one_of_two_deliveries_works(world: World, client: Client) -> None:
    """The same event at the same time twice: the second finds that it has moved on."""
    client.complete()
    [(upload_id, attempt)] = world.worker.events
    long = replace(world.engine, mending=600_000)
    second = world.new_engine(Script({("lease", 1): lambda: finish(long, upload_id, attempt)}))
    finish(second, upload_id, attempt)
    assert world.log.count("complete_multipart") == 1
    assert world.content() == client.body


def test_what_stands_in_the_way_is_told_whoever_asks(world: World, client: Client) -> None:
    """The worker finds that a file of the name has come: the upload is open again, and the next call says why."""
    client.complete()
    other = File(NS, NAME, "f" * 32, 1, '"e"', 0, "text/plain", {}, None, world.clock(), 1)
    world.ledger.rows.files[NS, NAME] = other
    world.work(replace(world.engine, mending=600_000))
    assert client.state() is State.OPEN
    with pytest.raises(FileExists):
        client.complete()
    assert isinstance(client.complete(replace=True), File)


def test_a_failure_before_the_lease_is_tried_again(world: World, client: Client) -> None:
    """It comes out of the worker, so that the event is delivered again; then it works."""
    client.complete()
    [(upload_id, attempt)] = world.worker.events
    long = replace(world.engine, mending=600_000)
    with pytest.raises(BackendUnavailable):
        finish(world.new_engine(Script({("upload", 1): Fault.UNAVAILABLE})), upload_id, attempt)
    finish(long, upload_id, attempt)
    assert client.state() is State.COMPLETE


# What S3 itself takes too long over


@pytest.fixture
def ready(world: World) -> Client:
    """All is in S3, but putting the object together takes it twenty seconds."""
    client = Client(world, bytes_of(3 * PART))
    client.begin()
    client.send_all()
    world.objects.while_completing = lambda: world.clock.advance(20_000)
    return client


def worker(world: World) -> Engine:
    """As the clean-up function has it."""
    return replace(world.engine, mending=600_000, lease=930_000)


@pytest.mark.parametrize("lands", ["before the worker comes", "while the worker looks", "after the worker's own"])
def test_a_completion_that_outlasts_the_request_is_told_of(world: World, ready: Client, lands: str) -> None:
    """202 while S3 is at it; whoever goes on elsewhere finds the object, or makes it; the next call has the file."""
    assert ready.complete() == StillCompleting(ready.upload_id, retry_after=5)
    assert (len(world.worker.events), len(world.objects.under_way)) == (1, 1)
    assert status(world.engine, NS, NAME).state is Phase.COMPLETING
    if lands == "before the worker comes":
        world.objects.land()
        world.work(worker(world))
    elif lands == "while the worker looks":
        upload = world.objects.uploads.pop("mp-1")

        def appear() -> None:
            world.objects.uploads["mp-1"] = upload
            world.objects.land()

        world.work(replace(world.new_engine(Script({("head", 3): appear})), mending=600_000, lease=930_000))
    else:
        world.work(worker(world))
        world.objects.land()
    assert status(world.engine, NS, NAME).state is Phase.COMPLETE
    assert isinstance(ready.complete(), File)
    assert world.content() == ready.body
    world.sweep_until_quiet()
    assert world.orphans() == []


def test_a_completion_that_nobody_goes_on_with_is_found_by_the_sweep(world: World, ready: Client) -> None:
    """The worker was never told; the lease lapses, and what S3 has made by then becomes the file."""
    ready.complete(world.new_engine(Script({("finish", 1): Fault.UNAVAILABLE})))
    world.objects.land()
    world.clock.advance(world.engine.lease)
    world.sweep()
    assert world.content() == ready.body


def test_there_is_no_last_call_without_time_for_it(world: World, client: Client) -> None:
    """What was to be mended has taken all the time: the object is left to whoever has more."""
    client.complete()
    while not isinstance(client.complete(), File):
        world.clock.advance(world.engine.lease + 1)
    assert world.content() == client.body
    assert world.log.count("complete_multipart") == 1


def test_what_takes_longer_than_any_worker_is_not_given_up(world: World, ready: Client) -> None:
    """It stays in completing, lapses, and is tried again, until S3 has made it."""
    world.objects.while_completing = lambda: world.clock.advance(700_000)
    ready.complete()
    world.work(worker(world))
    assert ready.state() is State.COMPLETING
    world.objects.land()
    world.clock.advance(930_001)
    world.sweep()
    assert ready.state() is State.COMPLETE
