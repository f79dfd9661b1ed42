"""The date of a file is the one that the store gives its object, and no two files of a name share it."""

from __future__ import annotations

import pytest

from ferry.errors import BackendUnavailable
from ferry.model import File
from ferry.uploads.complete import StillCompleting
from ferry.uploads.files import delete
from tests.fakes.clock import START
from tests.fakes.faults import Fault, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

SECOND = 1_000


def stored(client: Client, *, replace: bool = False) -> File:
    client.begin(replace=replace)
    client.send_all()
    file = client.complete()
    assert isinstance(file, File)
    return file


def of_object(world: World, file: File) -> int | None:
    found = world.objects.head(f"o/{file.upload_id}")
    return None if found is None else found.modified


@pytest.mark.parametrize("size", [0, CHUNK + 1])
def test_a_file_has_the_date_of_its_object(world: World, size: int) -> None:
    """Not the time of its completion: S3 dates an object by the start of its upload. An empty one is put at the end."""
    client = Client(world, bytes_of(size))
    client.begin()
    world.clock.advance(3_600 * SECOND)
    client.send_all()
    file = client.complete()
    assert isinstance(file, File)
    assert file.last_modified == of_object(world, file) == (START // SECOND if size else file.uploaded_at // SECOND)
    assert file.uploaded_at == START + 3_600 * SECOND


@pytest.mark.parametrize("into_second", [0, 1, 999])
def test_a_replacement_waits_for_another_second(world: World, into_second: int) -> None:
    """At most until the next, so its date is another one, and still the store's."""
    world.clock.advance(into_second - START % SECOND)
    old = stored(Client(world, b"old"))
    new = stored(Client(world, b"new"), replace=True)
    assert new.last_modified == old.last_modified + 1 == of_object(world, new)
    assert world.clock() < (old.last_modified + 2) * SECOND


def test_a_replacement_of_an_older_file_waits_for_nothing(world: World) -> None:
    """The clock does not move."""
    stored(Client(world, b"old"))
    world.clock.advance(SECOND)
    before = world.clock()
    stored(Client(world, b"new"), replace=True)
    assert world.clock() == before


def test_a_store_whose_clock_is_ahead(world: World) -> None:
    """Nobody waits for longer than a second, and dates grow all the same."""
    world.clock.advance(3_600 * SECOND)
    old = stored(Client(world, b"old"))
    world.clock.advance(-3_600 * SECOND)
    before = world.clock()
    new = stored(Client(world, b"new"), replace=True)
    assert world.clock() - before == SECOND
    assert new.last_modified == old.last_modified + 1


def test_a_deleted_file_keeps_nobody_waiting(world: World) -> None:
    """There is nothing to be replaced."""
    stored(Client(world, b"old"))
    delete(world.engine, NS, NAME)
    before = world.clock()
    stored(Client(world, b"new"))
    assert world.clock() == before


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_ANSWER])
def test_a_date_that_could_not_be_asked_for(world: World, fault: Fault) -> None:
    """The completion fails, the object stays, and the next completion finds both."""
    client = Client(world, bytes_of(CHUNK))
    client.begin()
    client.send_all()
    world.clock.advance(60 * SECOND)
    with pytest.raises(BackendUnavailable):
        client.complete(engine=world.new_engine(Script({("head", 1): fault})))
    assert world.content() is None
    file = client.complete()
    assert not isinstance(file, StillCompleting)
    assert file.last_modified == START // SECOND
    assert world.log.count("complete_multipart") == 1
    assert world.content() == client.body
