"""Limits of a namespace as clients meet them, and counting what came before a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ferry.errors import QuotaExceeded
from ferry.model import File, Quota, State
from ferry.quotas import Recounted, recount
from ferry.uploads.files import delete
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.fakes.quotas import MemoryQuotas
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

BODY = bytes_of(2 * CHUNK)
SIZE = len(BODY)


@pytest.fixture
def limited(world: World) -> Callable[..., World]:
    """A Ferry whose namespace has these limits; the patches of `world` hold."""
    return lambda **limits: World(quota=Quota(**limits))


def whole(world: World, name: str = NAME, **options: Any) -> File:
    client = Client(world, BODY, name=name)
    client.begin(**options)
    client.send_all()
    file = client.complete()
    assert isinstance(file, File)
    return file


def used(world: World) -> tuple[int, int]:
    quota = world.ledger.rows.quotas[NS]
    return quota.bytes, quota.uploads


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_bytes": 2 * SIZE - 1}, {"which": "bytes", "limit": 2 * SIZE - 1, "used": SIZE, "requested": SIZE}),
        ({"max_uploads": 1}, {"which": "uploads", "limit": 1, "used": 1, "requested": 1}),
        ({"max_file": SIZE - 1}, {"which": "file", "limit": SIZE - 1, "used": 0, "requested": SIZE}),
    ],
)
def test_what_is_beyond_a_limit_is_refused(
    limited: Callable[..., World], limits: dict[str, int], told: dict[str, object]
) -> None:
    """With which limit it is, how much of it is used, and what was asked for; and nothing has begun."""
    world = limited(**limits)
    if "max_file" not in limits:
        Client(world, BODY).begin()
    with pytest.raises(QuotaExceeded) as refusal:
        Client(world, BODY, name="another").begin()
    assert refusal.value.extra["quota"] == told
    assert world.ledger.slot(NS, "another") is None
    world.check_counted()


def test_room_comes_back(limited: Callable[..., World]) -> None:
    """By cancelling, completing, deleting, replacing; to the byte."""
    world = limited(max_bytes=2 * SIZE, max_uploads=1)
    client = Client(world, BODY)
    client.begin()
    client.cancel()
    whole(world)
    whole(world, replace=True)
    assert used(world) == (SIZE, 0)
    whole(world, "another")
    with pytest.raises(QuotaExceeded):
        Client(world, BODY, name="a third").begin()
    delete(world.engine, NS, NAME)
    whole(world, "a third")
    world.check_counted()


def test_going_on_reserves_nothing_twice(limited: Callable[..., World]) -> None:
    """An upload that fills the quota can be gone on with, by whoever repeats the start."""
    world = limited(max_bytes=SIZE, max_uploads=1)
    client = Client(world, BODY)
    client.begin()
    for _ in range(3):
        client.begin()
    assert used(world) == (SIZE, 1)


def test_a_restart_has_the_room_of_what_it_cancels(limited: Callable[..., World]) -> None:
    """And one that has no room even so cancels nothing."""
    world = limited(max_bytes=SIZE, max_uploads=1)
    client = Client(world, BODY)
    client.begin()
    client.begin(restart=True)
    assert used(world) == (SIZE, 1)
    larger = Client(world, BODY + b"x")
    with pytest.raises(QuotaExceeded):
        larger.begin(restart=True)
    assert client.state() is State.OPEN
    world.check_counted()


def test_what_others_take_in_between_is_noticed(limited: Callable[..., World]) -> None:
    """The last room is given once: whoever comes second by a moment is told so, with what is used by then."""
    world = limited(max_uploads=1)
    first = Client(world, BODY)
    engine = world.new_engine(Script({("begin", 1): first.begin}))
    with pytest.raises(QuotaExceeded) as refusal:
        Client(world, BODY, name="another").begin(engine)
    assert refusal.value.extra["quota"]["used"] == 1
    world.check_counted()


def test_limits_cost_no_call(limited: Callable[..., World]) -> None:
    """A file takes as many as it does without."""
    logs = []
    for world in (World(), limited(max_bytes=SIZE)):
        log = Log()
        client, engine = Client(world, BODY), world.new_engine(log=log)
        client.begin(engine)
        client.send_all()
        client.complete(engine)
        logs.append(log.methods)
    assert logs[0] == logs[1]


def test_without_a_limit_nothing_is_counted(limited: Callable[..., World]) -> None:
    """Nor with a limit for the size of a file alone."""
    world = limited(max_file=SIZE)
    whole(world)
    assert used(world) == (0, 0)


def test_counting_what_came_before_the_limit(world: World) -> None:
    """Each once, however often; ends in between are seen; afterwards all is counted."""
    for name in ("a", "b", "c"):
        whole(world, name)
    clients = [Client(world, BODY, name=name) for name in ("d", "e", "f")]
    for client in clients:
        client.begin()
    quotas = MemoryQuotas(world.ledger)
    quotas.limit(NS, max_bytes=1, max_uploads=1, max_file=None)
    clients[0].send_all()
    with pytest.raises(Crashed):
        clients[0].complete(world.new_engine(Script({("finish", 1): Fault.CRASH_BEFORE})))
    cancelling = world.new_engine(Script({("upload", 3): clients[2].cancel}))
    assert recount(cancelling.ledger, quotas, NS) == Recounted(files=3, uploads=1, left_out=1)
    assert recount(world.ledger, quotas, NS) == Recounted(left_out=1)
    clients[0].complete_patiently()
    assert recount(world.ledger, quotas, NS) == Recounted(files=1)
    assert used(world) == (5 * SIZE, 1)
    world.check_counted()
    clients[1].cancel()
    for name in ("a", "b", "c", "d"):
        delete(world.engine, NS, name)
    assert used(world) == (0, 0)


@pytest.mark.parametrize("end", ["cancel", "complete", "delete", "replace"])
def test_whoever_ends_it_sees_that_it_was_counted(world: World, end: str) -> None:
    """Counted between his look and his write: he looks again, and releases it."""
    quotas = MemoryQuotas(world.ledger)
    quotas.limit(NS, max_bytes=100 * SIZE, max_uploads=None, max_file=None)
    world.ledger.rows.quotas.clear()
    client = Client(world, BODY)
    if end in ("cancel", "complete"):
        client.begin()
        client.send_all()
    else:
        whole(world)
    before = {"cancel": "end", "complete": "lease", "delete": "delete_file", "replace": "finish"}[end]

    def count() -> None:
        quotas.limit(NS, max_bytes=100 * SIZE, max_uploads=None, max_file=None)
        recount(world.ledger, quotas, NS)

    engine = world.new_engine(Script({(before, 1): count}))
    if end == "cancel":
        client.cancel(engine)
    elif end == "complete":
        client.complete(engine)
    elif end == "delete":
        delete(engine, NS, NAME)
    else:
        client.begin(replace=True)
        client.send_all()
        client.complete(engine)
    recount(world.ledger, quotas, NS)
    assert used(world) == ((0, 0) if end in ("cancel", "delete") else (SIZE, 0))
    world.check_counted()
