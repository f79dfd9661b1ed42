"""The clean-up within its time: what it does not get to stays due, and is found by the next run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferry.cleanup import clean_namespace, sweep_due
from ferry.engine import DAY
from ferry.model import DueKind, State
from ferry.ports import Deleted
from tests.fakes.faults import Fault, Script
from tests.support.world import CHUNK, NS, Client, World, bytes_of


def stale_uploads(world: World, count: int) -> None:
    for number in range(count):
        client = Client(world, bytes_of(CHUNK, seed=number), name=f"{number:02}")
        client.begin()
    for number in range(count):
        Client(world, bytes_of(2 * CHUNK), name=f"staged {number:02}").begin()
    world.clock.advance(DAY)


def budget(calls: int) -> Callable[[], bool]:
    """True so many times, then never again."""
    left = iter([True] * calls)
    return lambda: next(left, False)


def test_a_request_answers_with_a_cursor_when_its_time_is_up(world: World) -> None:
    """Page after page every stale upload ends, none twice; bytes it had no time for go with the schedule's next run."""
    stale_uploads(world, 13)
    cursor, expired, pages = None, 0, 0
    while True:
        report = clean_namespace(world.engine, NS, has_time=budget(4), cursor=cursor)
        expired, pages, cursor = expired + report.expired, pages + 1, report.cursor
        assert report.complete == (cursor is None)
        assert 1 <= report.examined <= 3
        if cursor is None:
            break
    assert (expired, pages) == (26, 9)
    assert 0 < len(world.objects.uploads) < 26
    world.sweep()
    assert world.objects.uploads == {}


def test_one_failure_does_not_keep_the_others_waiting(world: World) -> None:
    """It is counted, and stays due."""
    stale_uploads(world, 3)
    engine = world.new_engine(Script({("upload", 2): Fault.UNAVAILABLE}))
    report = clean_namespace(engine, NS, has_time=lambda: True)
    assert (report.examined, report.expired, report.errors, report.complete) == (6, 5, 1, True)


def test_a_sweep_without_time_leaves_everything_due(world: World) -> None:
    """It says so, and the next one does the work."""
    stale_uploads(world, 3)
    report = sweep_due(world.engine, has_time=lambda: False)
    assert (report.expired, report.complete) == (0, False)
    assert world.sweep().expired == 6


def test_stages_too_many_for_one_request_stay_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled upload is not noted as swept while stages are left."""
    client = Client(world, bytes_of(2 * CHUNK))
    client.begin()
    client.send(1)
    with monkeypatch.context() as slow:
        slow.setattr(world.objects, "delete_prefix", lambda prefix, *, until: Deleted(0, done=False))
        client.cancel()
        assert client.state() is State.CANCELLED
        world.sweep()
        assert (DueKind.SESSION, client.upload_id) in world.ledger.rows.dues
    world.sweep()
    assert world.orphans() == []
    assert (DueKind.SESSION, client.upload_id) not in world.ledger.rows.dues
