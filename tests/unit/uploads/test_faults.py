"""The fault matrix: each AWS call of each operation, broken in each way, then retried as a client would.

The calls are not listed here: a run without faults tells which there are, so a call written tomorrow is covered
tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ferry.cleanup import sweep_due
from ferry.digests import crc32c
from ferry.engine import Engine
from ferry.errors import FileNotFound
from ferry.model import File, Quota, State
from ferry.uploads.complete import StillCompleting
from ferry.uploads.files import delete
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of, survive

PART = 2 * CHUNK
SIZE = PART + 5


@dataclass(frozen=True)
class Operation:
    """What is broken: `prepare` leads up to it, `run` is retried until it succeeds, `expect` is the file at the end."""

    name: str
    prepare: Callable[[World], Client]
    run: Callable[[Client, Engine | None], object]
    expect: bytes | None


def limited() -> World:
    """One that tells, and counts."""
    return World(telling=True, quota=Quota(max_bytes=10**9, max_uploads=100))


def fresh(world: World) -> Client:
    return Client(world, bytes_of(SIZE))


def begun(*chunks: int) -> Callable[[World], Client]:
    def prepare(world: World) -> Client:
        client = fresh(world)
        client.begin()
        client.send_all(list(chunks)) if chunks else None
        return client

    return prepare


def mixed(world: World) -> Client:
    """Whole by chunks, then overwritten through a URL that was signed before; the last part straight to S3."""
    client = fresh(world)
    client.begin()
    late = client.sign(1)
    client.send_all([1, 2])
    assert client.put(late, bytes_of(PART, seed=9)).status == 200
    assert client.put(client.sign(2), client.part(2)).status == 200
    return client


def unassembled(world: World, *others: int) -> Client:
    """Both last chunks staged, the assembly lost: left to the completion. So too for the part of the `others`."""
    client = begun(1)(world)
    script = Script({("record", 1): lambda: None, ("upload_part", 1): Fault.UNAVAILABLE})
    survive(lambda: client.sign(1))
    client.send(2, engine=world.new_engine(script))
    for index in range(3, client.chunk_count + 1):
        broken = Script({("upload_part", 1): Fault.UNAVAILABLE} if index in others else {})
        client.send(index, engine=world.new_engine(broken))
    return client


def slow(world: World) -> Client:
    """Both parts are left to the completion, and putting one together takes longer than a request has."""
    client = unassembled(world, 3)
    world.objects.while_putting = lambda: world.clock.advance(world.engine.mending + 1)
    return client


def replacing(world: World) -> Client:
    """A finished file, and a second upload that is to replace it, all sent."""
    old = begun(1, 2, 3)(world)
    old.complete()
    client = Client(world, bytes_of(SIZE, seed=2))
    client.begin(replace=True)
    client.send_all()
    return client


def finished(world: World) -> Client:
    client = begun(1, 2, 3)(world)
    client.complete()
    return client


def remove(client: Client, engine: Engine | None) -> None:
    """Deleting again after a lost answer may find it gone: that is the same success."""
    try:
        delete(engine or client.world.engine, NS, NAME)
    except FileNotFound:
        assert engine is None


def complete(client: Client, engine: Engine | None) -> File:
    if engine is not None:
        result = client.complete(engine)
        assert isinstance(result, File)
        return result
    return client.complete_patiently()


def hand_on(client: Client, engine: Engine | None) -> object:
    """Complete, and do what was handed on, in one: so that every call on either side is broken."""
    if engine is None:
        return client.complete_patiently()
    result = client.complete(engine)
    assert isinstance(result, StillCompleting)
    client.world.work(engine)
    return result


BODY = bytes_of(SIZE)
OPERATIONS = [
    Operation("start", fresh, lambda client, engine: client.begin(engine), BODY),
    Operation("start an empty file", lambda w: Client(w, b""), lambda client, engine: client.begin(engine), b""),
    Operation("restart", begun(1, 2), lambda client, engine: client.begin(engine, restart=True), BODY),
    Operation("chunk that stages", begun(), lambda client, engine: client.send(1, engine), BODY),
    Operation("chunk that assembles", begun(1), lambda client, engine: client.send(2, engine), BODY),
    Operation("last chunk", begun(1, 2), lambda client, engine: client.send(3, engine), BODY),
    Operation("chunk into a signed part", mixed, lambda client, engine: client.send(3, engine), BODY),
    Operation("sign", begun(1), lambda client, engine: client.sign(2, engine), BODY),
    Operation("sign again", mixed, lambda client, engine: client.sign(1, engine), BODY),
    Operation("complete", begun(1, 2, 3), complete, BODY),
    Operation("complete, mending", mixed, complete, BODY),
    Operation("complete, assembling", unassembled, complete, BODY),
    Operation("complete, handing on", slow, hand_on, BODY),
    Operation("complete, replacing", replacing, complete, bytes_of(SIZE, seed=2)),
    Operation("cancel", begun(1, 3), lambda client, engine: client.cancel(engine), None),
    Operation("delete", finished, remove, None),
]


def calls_of(operation: Operation) -> int:
    """How many calls the operation makes when nothing is broken."""
    world = limited()
    client = operation.prepare(world)
    log = Log()
    operation.run(client, world.new_engine(log=log))
    return len(log.calls)


def check_received(client: Client) -> None:
    """The count is that of the chunks which are durable."""
    upload = client.world.ledger.upload(client.upload_id)
    assert upload is not None
    assert upload.received == sum(len(client.chunk(index)) for index in upload.chunks())


def check_clean(world: World, expect: bytes | None) -> None:
    """In the end nothing is left but the file: no object, no multipart upload, nothing due."""
    world.sweep_until_quiet()
    world.work()
    assert world.orphans() == []
    assert world.ledger.rows.dues == {}
    assert world.content() == expect
    world.check_told()
    world.check_counted()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_call_may_break(
    operation: Operation, fault: Fault, world: World, matrix: Callable[[str, int], None]
) -> None:
    """Whatever call breaks, and however: the retry succeeds, bytes and counts are right, nothing stays behind."""
    calls = calls_of(operation)
    assert calls > 0
    for number in range(1, calls + 1):
        broken = limited()
        client = operation.prepare(broken)
        survive(lambda: operation.run(client, broken.new_engine(Script({number: fault}), Log())))  # noqa: B023
        broken.check_counted()
        operation.run(client, None)
        if operation.expect is not None and broken.content() != operation.expect:
            check_received(client)
            client.send_all()
            check_received(client)
            file = client.complete_patiently()
            assert (file.size, file.crc32c) == (len(operation.expect), crc32c(operation.expect))
        assert broken.content() == operation.expect, f"call {number} of {calls}"
        check_clean(broken, operation.expect)
        matrix(operation.name, 1)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_call_may_break_and_nobody_comes_back(
    operation: Operation, fault: Fault, world: World, matrix: Callable[[str, int], None]
) -> None:
    """The client is gone for good: the clean-up alone leaves either the whole file or nothing, and no rubbish."""
    for number in range(1, calls_of(operation) + 1):
        broken = limited()
        client = operation.prepare(broken)
        before = broken.content()
        survive(lambda: operation.run(client, broken.new_engine(Script({number: fault}), Log())))  # noqa: B023
        broken.check_counted()
        broken.sweep_until_quiet()
        assert broken.content() in (operation.expect, before, None), f"call {number}"
        assert broken.orphans() == []
        assert broken.ledger.rows.dues == {}
        assert not any(session.state.in_progress for session in broken.ledger.rows.sessions.values())
        broken.check_told()
        broken.check_counted()
        matrix(operation.name, 1)


@pytest.mark.parametrize("fault", Fault)
def test_every_call_of_the_clean_up_may_break(fault: Fault, world: World, matrix: Callable[[str, int], None]) -> None:
    """A clean-up that dies anywhere is followed by one that finishes, and neither touches what lives."""

    def prepare() -> tuple[World, Client]:
        world = limited()
        begun(1, 2, 3)(world).complete()
        for name in ("stale", "cancelled"):
            client = Client(world, bytes_of(SIZE), name=name)
            client.begin()
            client.send(1)
        survive(lambda: client.cancel(world.new_engine(Script({("abort_multipart", 1): Fault.UNAVAILABLE}))))
        world.clock.advance(25 * 3_600_000)
        alive = Client(world, bytes_of(SIZE), name="alive")
        alive.begin()
        alive.send(1)
        return world, alive

    world, _ = prepare()
    counted = Log()
    sweep_with(world.new_engine(log=counted))
    for number in range(1, len(counted.calls) + 1):
        broken, alive = prepare()
        survive(lambda: sweep_with(broken.new_engine(Script({number: fault}), Log())))  # noqa: B023
        alive.send_all()
        assert isinstance(alive.complete(), File)
        broken.sweep_until_quiet()
        assert (broken.content("alive"), broken.content()) == (alive.body, BODY)
        assert broken.orphans() == []
        assert broken.ledger.rows.dues == {}
        states = {session.name: session.state for session in broken.ledger.rows.sessions.values()}
        assert (states["stale"], states["cancelled"]) == (State.EXPIRED, State.CANCELLED)
        broken.check_told()
        broken.check_counted()
        matrix("clean-up", 1)


def sweep_with(engine: Engine) -> None:
    sweep_due(engine, has_time=lambda: True)


def test_a_crash_is_not_survived_by_the_same_process() -> None:
    """The harness itself: after a crash every later call of that process raises as well."""
    world = World()
    engine = world.new_engine(Script({1: Fault.CRASH_AFTER}), Log())
    for _ in range(2):
        with pytest.raises(Crashed):
            engine.ledger.slot(NS, NAME)
