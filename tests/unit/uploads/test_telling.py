"""Events: what is told when, when the bus fails, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferry.engine import DAY, HOUR, MINUTE, Engine
from ferry.model import EventKind, File, State
from ferry.ports import Ledger
from ferry.uploads.files import delete
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

BODY = bytes_of(2 * CHUNK + 5)


@pytest.fixture
def world(world: World) -> World:  # its patches are what is wanted of the other
    """A Ferry that tells."""
    return World(telling=True)


@pytest.fixture
def client(world: World) -> Client:
    return Client(world, BODY)


def deaf(world: World, log: Log | None = None) -> Engine:
    """A process whose bus never answers."""
    return world.new_engine(Script({("publish", n): Fault.UNAVAILABLE for n in range(1, 100)}), log)


def whole(client: Client, engine: Engine) -> None:
    client.begin(engine)
    client.send_all()
    assert isinstance(client.complete(engine), File)


def test_each_change_is_told_once_when_nothing_fails(world: World, client: Client) -> None:
    """In their order, before the operation answers; the sweep adds nothing."""
    whole(client, world.engine)
    delete(world.engine, NS, NAME)
    assert world.events.kinds(client.upload_id) == ["started", "completed", "deleted"]
    world.sweep_until_quiet()
    assert len(world.events.sent) == 3


def test_a_replaced_file_is_named_by_what_replaced_it(world: World, client: Client) -> None:
    """It has no event of its own."""
    whole(client, world.engine)
    second = Client(world, BODY[1:])
    second.begin(replace=True)
    second.send_all()
    second.complete()
    event = world.events.sent[-1]
    assert (event.kind, event.replaced) == (EventKind.COMPLETED, client.upload_id)
    assert world.events.kinds(client.upload_id) == ["started", "completed"]


@pytest.mark.parametrize("end", ["complete", "cancel", "delete"])
def test_a_bus_that_is_down_fails_nothing(world: World, client: Client, end: str) -> None:
    """Everything succeeds; what was to be told is told by the sweep that comes next, and then no more."""
    engine = deaf(world)
    if end == "cancel":
        client.begin(engine)
        client.cancel(engine)
    else:
        whole(client, engine)
        delete(engine, NS, NAME) if end == "delete" else None
    assert world.events.sent == []
    world.clock.advance(MINUTE)
    world.sweep()
    world.check_told()
    told = len(world.events.sent)
    world.sweep_until_quiet()
    assert len(world.events.sent) == told


def test_a_start_that_could_not_be_told_is_told_while_the_upload_runs(world: World, client: Client) -> None:
    """The upload goes on to expire when it would have."""
    client.begin(deaf(world))
    world.clock.advance(MINUTE)
    world.sweep()
    assert world.events.kinds(client.upload_id) == ["started"]
    world.clock.advance(DAY - MINUTE - 1)
    world.sweep()
    assert client.state() is State.OPEN
    world.clock.advance(1)
    world.sweep()
    assert world.events.kinds(client.upload_id) == ["started", "expired"]


def test_a_start_that_could_not_be_told_is_told_with_the_end(world: World, client: Client) -> None:
    """Together, in their order, by whoever ends the upload."""
    client.begin(deaf(world))
    client.send_all()
    log = Log()
    client.complete(world.new_engine(log=log))
    assert world.events.kinds(client.upload_id) == ["started", "completed"]
    assert log.count("publish") == 1


def test_whoever_dies_before_telling_is_stood_in_for(world: World, client: Client) -> None:
    """The pointer is switched, the process gone: the sweep leaves it a minute, and then tells."""
    client.begin()
    client.send_all()
    with pytest.raises(Crashed):
        client.complete(world.new_engine(Script({("publish", 1): Fault.CRASH_BEFORE})))
    world.clock.advance(MINUTE - 1)
    world.sweep()
    assert world.events.kinds(client.upload_id) == ["started"]
    world.clock.advance(1)
    world.sweep()
    assert world.events.kinds(client.upload_id)[-1] == "completed"


def test_notes_outlast_a_bus_that_stays_down(world: World, client: Client) -> None:
    """Each sweep says that it could not; a month later everything is told, and rows may go."""
    engine = deaf(world)
    whole(client, engine)
    delete(engine, NS, NAME)
    kept, world.engine = world.engine, deaf(world)
    for _ in range(30):
        world.clock.advance(DAY)
        assert world.sweep().errors >= 1
    assert (client.upload_id,) not in world.ledger.rows.ttls
    world.engine = kept
    world.clock.advance(HOUR)
    world.sweep()
    world.check_told()
    assert (client.upload_id,) in world.ledger.rows.ttls


def test_notes_are_dropped_once_events_are_switched_off(world: World, client: Client) -> None:
    """Nobody is told, and nothing stays due for ever."""
    whole(client, deaf(world))
    delete(deaf(world), NS, NAME)
    world.telling = False
    world.engine = world.new_engine()
    world.sweep_until_quiet()
    assert world.events.sent == []
    assert world.ledger.rows.dues == {}
    assert world.ledger.rows.deletions == {}


def test_a_large_removal_does_not_delay_the_event(world: World, client: Client) -> None:
    """The end is told before its bytes are removed; where that takes several sweeps, by each."""
    client.begin()
    client.cancel(world.new_engine(Script({("abort_multipart", 1): Fault.UNAVAILABLE})))
    assert world.events.kinds(client.upload_id) == ["started", "cancelled"]
    world.sweep()
    assert world.events.kinds(client.upload_id) == ["started", "cancelled", "cancelled"]
    assert len({event.id for event in world.events.sent}) == 2


def start_and_cancel(client: Client, engine: Engine) -> None:
    client.begin(engine)
    client.cancel(engine)


def complete_and_delete(client: Client, engine: Engine) -> None:
    whole(client, engine)
    delete(engine, NS, NAME)


@pytest.mark.parametrize(
    ("operation", "events", "writes"), [(start_and_cancel, 2, 0), (whole, 2, 1), (complete_and_delete, 3, 2)]
)
def test_what_events_cost(
    world: World, client: Client, operation: Callable[[Client, Engine], None], events: int, writes: int
) -> None:
    """A call for each event, and a write to clear the note of a completion and of a deletion. Nothing else."""
    silent, telling = Log(), Log()
    quiet = World()
    operation(Client(quiet, BODY), quiet.new_engine(log=silent))
    operation(client, world.new_engine(log=telling))
    assert telling.count("publish") == events
    assert telling.count("told") + telling.count("bury") == writes
    assert len(telling.calls) == len(silent.calls) + events + writes


def test_the_ledger_has_no_part_in_it_where_nobody_is_told(world: World) -> None:
    """With events off nothing is noted."""
    quiet = World()
    client = Client(quiet, BODY)
    complete_and_delete(client, quiet.engine)
    ledger: Ledger = quiet.ledger
    upload = ledger.upload(client.upload_id)
    assert upload is not None
    assert not upload.session.untold
    assert {kind.value for kind, _ in quiet.ledger.rows.dues} == {"stages", "object"}
    quiet.clock.advance(HOUR)
    assert quiet.sweep().errors == 0
