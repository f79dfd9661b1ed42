"""The fault matrix: each AWS call of each operation, broken in each way, then retried as a client would.

The calls are not listed here: a run without faults tells which there are, so a call written tomorrow is covered
tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferry.digests import crc32c
from ferry.errors import Throttled
from ferry.model import State
from ferry.uploads.chunk import ChunkAccepted
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.support.world import LEASE, NAME, NS, Client, World, survive
from tests.unit.uploads.operations import OPERATIONS, Operation, limited

Count = Callable[[str, int], None]


def check_received(client: Client) -> None:
    """The count is that of the chunks which are durable."""
    upload = client.world.ledger.upload(client.upload_id)
    assert upload is not None
    assert upload.received == sum(len(client.chunk(index)) for index in upload.chunks())


def check_acknowledged(client: Client, answer: object) -> None:
    """Whatever went wrong on the way: an answer of success means that the chunk is there."""
    if isinstance(answer, ChunkAccepted):
        upload = client.world.ledger.upload(answer.upload_id)
        assert upload is not None
        assert upload.has_chunk(answer.index)


def check_clean(world: World, expect: bytes | None) -> None:
    """In the end nothing is left but the file: no object, no multipart upload, nothing due."""
    world.sweep_until_quiet()
    world.work()
    assert world.orphans() == []
    assert world.ledger.rows.dues == {}
    assert world.content() == expect
    assert not any(session.state.in_progress for session in world.ledger.rows.sessions.values())
    world.check_told()
    world.check_counted()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_call_may_break(operation: Operation, fault: Fault, world: World, matrix: Count) -> None:
    """Whatever call breaks, and however: the retry succeeds, bytes and counts are right, nothing stays behind."""
    calls = operation.calls()
    for number in range(1, calls + 1):
        broken, script = limited(), Script({number: fault})
        client = operation.prepare(broken)
        engine = broken.new_engine(script, Log())
        check_acknowledged(client, survive(lambda: operation.run(client, engine)))  # noqa: B023
        operation.run(client, None)
        script.land()
        broken.check_counted()
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
    operation: Operation, fault: Fault, world: World, matrix: Count
) -> None:
    """The client is gone for good: the clean-up alone leaves either the whole file or nothing, and no rubbish."""
    for number in range(1, operation.calls() + 1):
        broken, script = limited(), Script({number: fault})
        client = operation.prepare(broken)
        outcomes = {operation.expect, broken.content(), None}
        if client.started is not None and client.state() is State.COMPLETING:
            outcomes.add(client.body)  # somebody has asked for it, before what is broken here
        survive(lambda: operation.run(client, broken.new_engine(script, Log())))  # noqa: B023
        broken.sweep()
        script.land()
        broken.sweep_until_quiet()
        assert broken.content() in outcomes, f"call {number}"
        check_clean(broken, broken.content())
        matrix(operation.name, 1)


def test_a_crash_is_not_survived_by_the_same_process() -> None:
    """The harness itself: after a crash every later call of that process raises as well."""
    world = World()
    engine = world.new_engine(Script({1: Fault.CRASH_AFTER}), Log())
    for _ in range(2):
        with pytest.raises(Crashed):
            engine.ledger.slot(NS, NAME)


def test_what_the_faults_do_to_the_clock_and_when() -> None:
    """The harness itself: a deadline is beyond the lease, what was under way lands when it is told to, once."""
    for fault, jumps in ((Fault.THROTTLED, False), (Fault.SLOW, True), (Fault.DEADLINE_AT, True), (Fault.LATE, True)):
        world = World()
        began, script = world.clock(), Script({1: fault})
        kept = survive(lambda: world.new_engine(script, Log()).objects.create_multipart("o/k", content_type="a/b"))  # noqa: B023
        assert world.clock() == began + (LEASE + 1 if jumps else 0)
        assert (kept is not None, len(world.objects.uploads)) == ((True, 1) if fault is Fault.SLOW else (False, 0))
        for _ in range(2):
            script.land()
        assert len(world.objects.uploads) == (fault in {Fault.SLOW, Fault.LATE})
    with pytest.raises(Throttled):
        World().new_engine(Script({1: Fault.THROTTLED})).ledger.slot(NS, NAME)
