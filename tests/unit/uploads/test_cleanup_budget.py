"""The clean-up within its time, by a clock that every call moves on: the schedule's run, and a namespace's request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from ferry.cleanup import clean_namespace, sweep_due
from ferry.cleanup.report import Report
from ferry.engine import DAY, HOUR, MINUTE, SECOND, Engine
from ferry.model import State
from tests.fakes.faults import Call, Fault, Log, Script, Step
from tests.support.world import CHUNK, NS, Client, World, bytes_of, survive

TIMEOUT = 900 * SECOND
MENDING = 600 * SECOND
RESERVE = 180 * SECOND
REQUEST_BUDGET = 10 * SECOND
GATEWAY = 30 * SECOND
S3_GIVES_UP = 18 * SECOND
"""Two tries of a second to connect and eight of silence."""


@dataclass
class Slow(Script):
    """Every call takes so long, in milliseconds; or only that of one number."""

    world: World | None = None
    each: int = 0
    only: int | None = None
    one: int = 0
    owed: int = 0

    def step(self, call: Call, nth: int) -> Step | None:
        assert self.world is not None
        took = self.one if call.number == self.only else self.each
        if call.method == "delete_prefix":
            # It looks at its deadline before it begins, and takes its time afterwards.
            self.owed += took
        else:
            self.world.clock.advance(took + self.owed)
            self.owed = 0
        return None


def much_to_do(world: World) -> list[Client]:
    """Uploads that are stale in every way, many of each, and completions whose parts are all still to be made."""
    clients = []
    for number in range(12):
        for kind in ("idle", "cancelled", "lapsed", "replaced"):
            client = Client(world, bytes_of(6 * CHUNK, seed=number), name=f"{kind} {number:02}")
            client.begin()
            clients.append(client)
    for client in clients:
        kind = client.name.partition(" ")[0]
        if kind in ("idle", "cancelled"):
            client.send(1)
        if kind == "cancelled":
            survive(partial(client.cancel, world.new_engine(Script({("list_parts", 1): Fault.UNAVAILABLE}))))
        if kind == "lapsed":
            for index in range(1, 7):
                client.sign(1)
                client.send(index, engine=world.new_engine(Script({("upload_part", 1): Fault.UNAVAILABLE})))
            broken = Script({("upload_part", 1): Fault.CRASH_BEFORE})
            survive(partial(client.complete, world.new_engine(broken)))
        if kind == "replaced":
            client.send_all()
            client.complete()
    world.clock.advance(DAY + HOUR)
    return clients


def as_deployed(world: World, script: Script, log: Log) -> Engine:
    """With the clean-up function's own lease and time for putting parts together."""
    return replace(world.new_engine(script, log), mending=MENDING, lease=930 * SECOND)


def tick(world: World, script: Slow, log: Log) -> tuple[Report, int]:
    """One run as the function makes it; the report, and how long it took."""
    begun = world.clock()
    report = sweep_due(
        as_deployed(world, script, log),
        has_time=lambda: TIMEOUT - (world.clock() - begun) > MENDING + RESERVE,
    )
    return report, world.clock() - begun


@pytest.mark.parametrize("each", [20, 200, 2 * SECOND, 9 * SECOND, S3_GIVES_UP])
def test_a_sweep_ends_before_the_function_does(world: World, each: int) -> None:
    """However slow all its calls are, to the point where S3 gives up; what is left is done by those that follow."""
    clients = much_to_do(world)
    ticks = 0
    while True:
        report, took = tick(world, Slow(world=world, each=each), Log())
        assert took < TIMEOUT
        world.clock.advance(5 * MINUTE)
        ticks += 1
        due = world.ledger.due(world.clock(), None, 1).items
        if report.complete and not due:
            break
        assert ticks < 300
    states = {client.name.partition(" ")[0]: client.state() for client in clients}
    assert states["idle"] is State.EXPIRED
    assert all(client.state() is State.COMPLETE for client in clients if client.name.startswith("lapsed"))
    assert all(world.content(client.name) == client.body for client in clients if client.name.startswith("lapsed"))


def test_a_sweep_that_is_slow_at_one_call_ends_in_time(world: World) -> None:
    """Whichever it is."""
    much_to_do(world)
    log = Log()
    tick(world, Slow(world=world, each=20), log)
    for number in range(1, len(log.calls) + 1, 17):
        again = World()
        much_to_do(again)
        _, took = tick(again, Slow(world=again, each=20, only=number, one=60 * SECOND), Log())
        assert took < TIMEOUT


def request(world: World, script: Script, log: Log, **options: Any) -> tuple[Report, int]:
    begun = world.clock()
    engine = world.new_engine(script, log)
    report = clean_namespace(engine, NS, has_time=lambda: world.clock() - begun < REQUEST_BUDGET, **options)
    return report, world.clock() - begun


def test_a_request_answers_before_the_gateway_hangs_up(world: World) -> None:
    """Whichever of its calls S3 lets wait until it gives up."""
    much_to_do(world)
    log = Log()
    request(world, Slow(world=world, each=50), log, older_than=0)
    assert len(log.calls) > 100
    for number in range(1, len(log.calls) + 1, 11):
        again = World()
        much_to_do(again)
        _, took = request(again, Slow(world=again, each=50, only=number, one=S3_GIVES_UP), Log(), older_than=0)
        assert took < GATEWAY


@pytest.mark.parametrize("dry_run", [True, False])
def test_page_after_page_a_slow_request_comes_to_its_end(world: World, dry_run: bool) -> None:
    """Each takes up at least one upload, none is looked at twice."""
    much_to_do(world)
    cursor, examined, pages = None, 0, 0
    while True:
        report, _ = request(world, Slow(world=world, each=3 * SECOND), Log(), cursor=cursor, dry_run=dry_run)
        assert report.examined >= 1
        assert report.complete == (report.cursor is None)
        examined, pages, cursor = examined + report.examined, pages + 1, report.cursor
        if cursor is None:
            break
    assert examined == 24
    assert pages > 4


def test_the_oldest_is_first_and_what_waits_is_told(world: World) -> None:
    """A run without time for all takes the oldest, and says how long the next has been waiting."""
    for number in range(6):
        Client(world, bytes_of(CHUNK), name=f"{5 - number}").begin()
        world.clock.advance(HOUR)
    world.clock.advance(DAY)
    for number in range(6):
        left = iter([True])
        report = sweep_due(world.engine, has_time=lambda: next(left, False))  # noqa: B023
        ended = {session.name for session in world.ledger.rows.sessions.values() if not session.state.in_progress}
        assert ended == {str(5 - done) for done in range(number + 1)}
        assert report.oldest_stale == (6 - number) * HOUR
    assert world.sweep().oldest_stale == 0


def test_what_always_fails_does_not_take_the_others_time(world: World) -> None:
    """It is due again in half an hour, and how late it is goes on growing."""
    clients = [Client(world, bytes_of(CHUNK), name=f"{number}") for number in range(3)]
    for client in clients:
        client.begin()
    world.clock.advance(2 * DAY)

    @dataclass
    class Broken(Script):
        def step(self, call: Call, nth: int) -> Step | None:
            about = f"o/{clients[0].upload_id}" in call.args
            return Fault.UNAVAILABLE if about else None

    runs: list[Callable[[], Report]] = [lambda: sweep_due(world.new_engine(Broken()), has_time=lambda: True)] * 2
    first, second = (run() for run in runs)
    assert (first.expired, first.errors, second.examined) == (2, 1, 0)
    assert first.oldest_stale == DAY
    world.clock.advance(30 * MINUTE)
    assert sweep_due(world.new_engine(Broken()), has_time=lambda: True).oldest_stale == DAY + 30 * MINUTE
    world.clock.advance(30 * MINUTE)
    assert (world.sweep().expired, clients[0].state()) == (1, State.EXPIRED)
