"""A ledger that was set back to an earlier point in time, and nobody but the clean-up comes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ferry.engine import DAY, HOUR, MINUTE
from ferry.errors import FileExists, UploadExpired
from ferry.model import File, State
from ferry.uploads.files import delete
from tests.fakes.faults import Fault, Script
from tests.fakes.ledger_rows import Rows
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of, survive

PART = 2 * CHUNK


def nothing(client: Client) -> None:
    client.begin()


def some_chunks(client: Client) -> None:
    client.begin()
    client.send_all([1, 3])


def mixed_paths(client: Client) -> None:
    client.begin()
    client.send(1)
    client.put(client.sign(1), client.part(1))


def all_chunks(client: Client) -> None:
    client.begin()
    client.send_all()


def under_a_lease(client: Client) -> None:
    all_chunks(client)
    survive(lambda: client.complete(client.world.new_engine(Script({("complete_multipart", 1): Fault.CRASH_BEFORE}))))


def creating(client: Client) -> None:
    survive(lambda: client.begin(client.world.new_engine(Script({("create_multipart", 1): Fault.CRASH_BEFORE}))))


@pytest.mark.parametrize("at_the_backup", [nothing, some_chunks, mixed_paths, all_chunks, under_a_lease, creating])
@pytest.mark.parametrize("wait", [MINUTE, 5 * DAY])
def test_a_completed_upload_whose_rows_went_back_is_completed_again(
    world: World, at_the_backup: Callable[[Client], None], wait: int
) -> None:
    """The clean-up finds its object where the next request would, before the upload expires."""
    client = Client(world, bytes_of(PART + CHUNK))
    at_the_backup(client)
    backup = world.ledger.snapshot()
    if at_the_backup is not under_a_lease:
        client.begin()
        client.send_all()
    world.clock.advance(HOUR)
    file = client.complete_patiently()
    world.clock.advance(wait)
    world.ledger.restore(backup)
    world.sweep_until_quiet()
    assert world.content() == client.body
    found = world.ledger.file(NS, NAME)
    assert found is not None
    assert (found.upload_id, found.crc32c, found.etag) == (file.upload_id, file.crc32c, file.etag)
    assert world.orphans() == []


def test_its_recovery_is_told(world: World) -> None:
    """As recovered, and not as expired."""
    client = Client(world, bytes_of(PART))
    client.begin()
    backup = world.ledger.snapshot()
    client.send_all()
    client.complete()
    world.ledger.restore(backup)
    world.clock.advance(DAY)
    report = world.sweep()
    assert (report.recovered, report.expired, report.lost) == (1, 0, 0)


def test_a_file_that_was_started_later_keeps_its_bytes_for_a_while(world: World) -> None:
    """They have no name any more: the operator is told, and has 35 days for putting back what knew them."""
    backup = world.ledger.snapshot()
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send_all()
    client.complete()
    known = world.ledger.snapshot()
    world.clock.advance(100 * DAY)
    world.ledger.restore(backup)
    reports = []
    for _ in range(34):
        world.clock.advance(DAY)
        reports.append(world.sweep())
    assert sum(report.orphans.objects for report in reports) == 1
    assert f"o/{client.upload_id}" in world.objects.objects
    tombs = world.ledger.snapshot()
    known.dues, known.objects = known.dues | tombs.dues, tombs.objects | known.objects
    world.ledger.restore(known)  # the rows that the other table had, put beside what is there
    world.sweep_until_quiet()
    assert world.content() == client.body


def test_an_object_that_was_refused_its_name_stays_for_a_while(world: World) -> None:
    """A file of that name is there: the upload expires, its object only weeks later."""
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send_all()
    other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, world.clock(), 1)

    def appear() -> None:
        world.ledger.rows.files[NS, NAME] = other

    with pytest.raises(FileExists):
        client.complete(engine=world.new_engine(Script({("complete_multipart", 1): appear})))
    world.clock.advance(DAY)
    assert world.sweep().bytes_reclaimed == 0
    assert client.state() is State.EXPIRED
    with pytest.raises(UploadExpired):
        client.complete()
    world.clock.advance(34 * DAY)
    world.sweep()
    assert f"o/{client.upload_id}" in world.objects.objects
    world.clock.advance(2 * DAY)
    world.sweep()
    assert world.objects.objects == {}


def test_a_deleted_file_that_came_back_keeps_its_object(world: World) -> None:
    """Its object's row says that it is due, and a name points to it: off the index, and known for ever."""
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send_all()
    file = client.complete()
    assert isinstance(file, File)
    world.clock.advance(30 * DAY)
    world.ledger.rows.sessions.clear()
    delete(world.engine, NS, NAME)
    world.ledger.rows.files[NS, NAME] = file  # a restore that tears a transaction
    world.sweep_until_quiet()
    assert world.content() == client.body
    assert world.ledger.rows.dues == {}


def live(world: World, rng: random.Random, number: int) -> None:
    """Something that clients do."""
    client = Client(world, bytes_of(rng.randrange(1, 5 * CHUNK), seed=number), name=f"{rng.randrange(4)}")
    if rng.random() < 0.15 and world.ledger.file(NS, client.name) is not None:
        delete(world.engine, NS, client.name)
        return
    client.begin(replace=True, restart=True)
    if rng.random() < 0.8:
        client.send_all()
        if rng.random() < 0.8:
            client.complete(replace=rng.choice([None, True]))
    elif rng.random() < 0.5:
        client.cancel()
    world.clock.advance(rng.choice([1, HOUR, 13 * HOUR]))
    if rng.random() < 0.5:
        world.sweep()


@pytest.mark.parametrize("block", range(5))
def test_no_finished_file_loses_its_bytes_by_a_restore(world: World, block: int) -> None:
    """Whatever happened since, for a month of clean-ups after it; and whoever had begun before has a name again."""
    for seed in range(block * 20, block * 20 + 20):
        one, rng = World(), random.Random(seed)
        backups: list[Rows] = [one.ledger.snapshot()]
        for number in range(12):
            live(one, rng, number)
            backups.append(one.ledger.snapshot())
        truth = {f"o/{file.upload_id}": name for name, file in one.ledger.rows.files.items()}
        bodies = {key: one.objects.objects[key].body for key in truth}
        backup = rng.choice(backups)
        one.ledger.restore(backup)
        for _ in range(60):
            one.clock.advance(DAY // 2)
            one.sweep()
        for key, (_, name) in truth.items():
            assert one.objects.objects[key].body == bodies[key], seed
            session = backup.sessions.get(key.removeprefix("o/"))
            if session is not None and session.state.in_progress:
                assert one.content(name) == bodies[key], seed
        one.sweep_until_quiet()
        assert one.orphans() == []
        assert one.ledger.rows.dues == {}
