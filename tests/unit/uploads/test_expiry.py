"""The end of uploads and files: by the clock, by the clean-up, by being replaced or deleted."""

from __future__ import annotations

import pytest

from ferry.engine import DAY, HOUR
from ferry.errors import FileNotFound, UploadExpired
from ferry.model import File, State
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.files import delete
from tests.fakes.faults import Crashed, Fault, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 2 * CHUNK


def client_of(world: World, size: int = 3 * PART + 1) -> Client:
    client = Client(world, bytes_of(size))
    client.begin()
    return client


def test_an_idle_upload_expires_by_the_clock(world: World) -> None:
    """Activity moves its expiry, the greatest age does not; a clean-up need not have run."""
    client = client_of(world, PART)
    world.clock.advance(DAY - 1)
    client.send(1)
    world.clock.advance(DAY - 1)
    client.sign(1)
    world.clock.advance(DAY)
    for late in (lambda: client.send(2), lambda: client.sign(1), client.complete):
        with pytest.raises(UploadExpired):
            late()
    assert client.begin().created
    assert world.ledger.rows.sessions[client.upload_id].state is State.OPEN


def test_a_session_has_a_greatest_age(world: World) -> None:
    """However busy it is."""
    client = client_of(world)
    for _ in range(13):
        world.clock.advance(12 * HOUR)
        client.sign(1)
    world.clock.advance(12 * HOUR)
    with pytest.raises(UploadExpired):
        client.sign(1)


def test_the_clean_up_ends_what_is_stale_and_leaves_what_lives(world: World) -> None:
    """A stale upload goes with all its bytes, one that is active is looked at again later."""
    stale = client_of(world)
    stale.send_all([1, 3])
    busy = Client(world, bytes_of(PART), name="busy")
    busy.begin()
    world.clock.advance(20 * HOUR)
    busy.send(1)
    world.clock.advance(5 * HOUR)
    report = world.sweep()
    assert (report.expired, report.bytes_reclaimed, report.errors) == (1, 2 * CHUNK, 0)
    assert stale.state() is State.EXPIRED
    busy.send(2)
    assert isinstance(busy.complete(), File)
    world.sweep_until_quiet()
    assert world.orphans() == []
    assert world.content("busy") == busy.body
    assert world.ledger.rows.dues == {}


def test_replaced_and_deleted_objects_stay_a_day(world: World) -> None:
    """For downloads that have begun; then they go, and nothing else does."""
    client = client_of(world, PART)
    client.send_all()
    client.complete()
    first = client.upload_id
    client.body = bytes_of(PART, seed=2)
    client.begin(replace=True)
    client.send_all()
    client.complete()
    world.clock.advance(DAY - 1)
    world.sweep()
    assert world.objects.get(f"o/{first}") == bytes_of(PART)
    world.sweep_until_quiet()
    assert world.objects.get(f"o/{first}") is None
    assert world.content() == client.body
    delete(world.engine, NS, NAME)
    with pytest.raises(FileNotFound):
        delete(world.engine, NS, NAME)
    world.sweep_until_quiet()
    assert world.objects.objects == {}


def test_a_lapsed_completion_is_finished_by_the_clean_up(world: World) -> None:
    """It is never aborted: the process that held the lease is gone, its work is not."""
    client = client_of(world, PART)
    client.send_all()
    with pytest.raises(Crashed):
        client.complete(engine=world.new_engine(Script({("complete_multipart", 1): Fault.CRASH_AFTER})))
    assert client.state() is State.COMPLETING
    world.clock.advance(HOUR)
    world.sweep()
    assert client.state() is State.COMPLETE
    assert world.content() == client.body
    assert isinstance(complete(world.engine, NS, CompleteRequest(NAME)), File)
