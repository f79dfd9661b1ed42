"""A dry run and the run that follows it, over states made at random: the same report, page by page."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ferry.cleanup import clean_namespace
from ferry.cleanup.report import Report
from ferry.engine import DAY, HOUR, SECOND
from ferry.model import State
from tests.fakes.faults import Fault, Script
from tests.support.world import CHUNK, NS, Client, World, bytes_of, survive


def make(world: World, rng: random.Random) -> list[Client]:
    """Up to nine uploads of all kinds, in one namespace and another, some of them stale."""
    clients = []
    for number in range(rng.randrange(1, 10)):
        client = Client(world, bytes_of(rng.randrange(0, 5 * CHUNK), seed=number), name=f"{number}")
        client.ns = rng.choice([NS, NS, NS, "other"])
        clients.append(client)
        started = Fault.CRASH_AFTER if rng.random() < 0.15 else None
        script = Script({("create_multipart", 1): started} if started else {})
        survive(lambda: client.begin(world.new_engine(script)))  # noqa: B023
        if client.started is not None:
            act(world, client, rng)
        world.clock.advance(rng.choice([1, HOUR, 10 * HOUR]))
    world.clock.advance(rng.choice([0, HOUR, DAY, 6 * DAY]))
    return clients


def act(world: World, client: Client, rng: random.Random) -> None:
    for index in rng.sample(range(1, client.chunk_count + 1), rng.randrange(client.chunk_count + 1)):
        client.send(index)
    if client.body and rng.random() < 0.3:
        client.put(client.sign(1), client.part(1))
    kind = rng.choice(["open", "open", "lost answer", "gone", "complete", "cancelled", "lapsed"])
    if kind == "gone":
        world.objects.uploads.clear()
    elif kind == "cancelled":
        client.cancel()
    elif kind != "open":
        client.send_all()
        fault = {"lost answer": Fault.LOST_ANSWER, "lapsed": Fault.CRASH_BEFORE}.get(kind)
        method = "complete_multipart" if client.body else "put"
        script = Script({(method, 1): fault} if fault else {})
        survive(lambda: client.complete(world.new_engine(script)))


def budget(seed: int) -> Callable[[], bool]:
    """Time that is up now and then."""
    rng = random.Random(seed)
    return lambda: rng.random() < 0.7


def pages(world: World, seed: int, *, dry_run: bool) -> list[Report]:
    rng = random.Random(seed)
    older_than = rng.choice([None, 0, HOUR // SECOND, DAY // SECOND])
    filename = rng.choice([None, None, None, "0", "5"])
    found: list[Report] = []
    cursor = None
    while not found or cursor is not None:
        report = clean_namespace(
            world.engine,
            NS,
            has_time=budget(seed + len(found)),
            older_than=older_than,
            filename=filename,
            cursor=cursor,
            dry_run=dry_run,
        )
        found.append(report)
        cursor = report.cursor
    return found


@pytest.mark.parametrize("block", range(10))
def test_a_dry_run_says_what_the_run_will_do(world: World, block: int) -> None:
    """All of it, cursors included, and changes nothing; the run touches nobody else's namespace."""
    for seed in range(block * 30, block * 30 + 30):
        one = World()
        clients = make(one, random.Random(seed))
        before = (one.ledger.snapshot(), dict(one.objects.objects), copy.deepcopy(list(one.objects.uploads)))
        dry = pages(one, seed, dry_run=True)
        assert (one.ledger.snapshot(), one.objects.objects, list(one.objects.uploads)) == before
        assert all(report.dry_run for report in dry)
        run = pages(one, seed, dry_run=False)
        assert [replace(report, dry_run=False) for report in dry] == run, seed
        sessions = [session for session in one.ledger.rows.sessions.values() if session.ns == "other"]
        assert sessions == [session for session in before[0].sessions.values() if session.ns == "other"]
        completing = [session for session in before[0].sessions.values() if session.state is State.COMPLETING]
        assert all(one.ledger.rows.sessions[session.upload_id] == session for session in completing)
        assert len(clients) == len({client.name for client in clients})
