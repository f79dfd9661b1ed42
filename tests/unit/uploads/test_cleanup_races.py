"""The clean-up while uploads run, interleaved call by call: by hundreds of seeded schedules, and at each call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from ferry.cleanup import clean_namespace, sweep_due
from ferry.engine import DAY, HOUR, MINUTE, SECOND, Engine
from ferry.errors import FerryError
from ferry.model import File, State
from tests.fakes.faults import Log, Script
from tests.support.interleaving import OneByOne, Turns, Waiting
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

SIZE = 3 * CHUNK + 7
BODY = bytes_of(SIZE)


@dataclass
class Told:
    """What clients were told: chunks by upload, and the files."""

    chunks: set[tuple[str, int]] = field(default_factory=set)
    files: list[File] = field(default_factory=list)


def client_of(world: World) -> Client:
    return Client(world, BODY)


def engine_of(world: World, turns: Turns, name: str) -> Engine:
    return world.new_engine(Waiting(turns=turns, name=name), Log())


def sender(world: World, told: Told, indexes: list[int], engine: Engine, name: str = NAME) -> None:
    client = Client(world, BODY, name=name)
    for index in indexes:
        with suppress(FerryError):
            accepted = client.send(index, engine)
            told.chunks.add((accepted.upload_id, index))


def completer(world: World, told: Told, engine: Engine) -> None:
    client = client_of(world)
    for _ in range(2):
        with suppress(FerryError):
            result = client.complete(engine)
            if isinstance(result, File):
                told.files.append(result)


def starter(world: World, engine: Engine) -> None:
    with suppress(FerryError):
        client_of(world).begin(engine, restart=True)


def canceller(world: World, engine: Engine) -> None:
    with suppress(FerryError):
        client_of(world).cancel(engine)


def signer(world: World, engine: Engine) -> None:
    client = client_of(world)
    with suppress(FerryError):
        signed = client.sign(1, engine)
        client.put(signed, BODY[: 2 * CHUNK])


def sweeper(engine: Engine) -> None:
    for _ in range(2):
        sweep_due(engine, has_time=lambda: True)


def cleaner(engine: Engine, older_than: int | None) -> None:
    clean_namespace(engine, NS, has_time=lambda: True, older_than=older_than)


def time_goes_on(world: World, turns: Turns, steps: list[int]) -> None:
    for step in steps:
        turns.wait("time")
        world.clock.advance(step)


JUMPS = [
    [SECOND] * 4,
    [36 * SECOND, 36 * SECOND, HOUR],
    [16 * MINUTE, DAY - HOUR, HOUR],
    [DAY - 1, 1, 2 * HOUR],
    [6 * DAY, DAY],
]


def check_live(world: World, told: Told) -> None:
    """What was acknowledged is there, and the upload in progress, if there is one, becomes the file."""
    for upload in (world.ledger.upload(upload_id) for upload_id in {upload_id for upload_id, _ in told.chunks}):
        assert upload is not None
        if upload.session.state is State.OPEN and upload.session.made is None:
            known = {index for upload_id, index in told.chunks if upload_id == upload.session.upload_id}
            assert all(upload.has_chunk(index) for index in known)
    for file in told.files:
        assert world.content() == BODY
        assert world.ledger.file(file.ns, file.name) == file
    slot = world.ledger.slot(NS, client_of(world).name)
    live = world.ledger.upload(slot.upload_id) if slot and slot.open else None
    if live is not None and live.session.state is State.OPEN and world.clock() < live.expires_at:
        client = client_of(world)
        if live.session.made is None:
            client.send_all()
        assert isinstance(client.complete_patiently(), File)
        assert world.content() == BODY


def check_quiet(world: World, told: Told) -> None:
    world.sweep_until_quiet()
    assert world.content() in ((BODY,) if told.files else (None, BODY))
    assert world.orphans() == []
    assert world.ledger.rows.dues == {}
    assert not any(session.state.in_progress for session in world.ledger.rows.sessions.values())


@pytest.mark.parametrize("block", range(12))
def test_the_clean_up_against_everybody(world: World, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sweeps, a request, two senders, completions, a cancel, a restart and the clock, in 480 schedules: no
    acknowledged byte of a live upload and no finished file is ever lost, and nothing stays behind.
    """
    monkeypatch.setattr("ferry.uploads.assembly.ThreadPoolExecutor", OneByOne)
    for seed in range(block * 40, block * 40 + 40):
        one, told, turns = World(), Told(), Turns(seed)
        client_of(one).begin()
        actor = partial(engine_of, one, turns)
        actors: dict[str, Callable[[], object]] = {
            "first": partial(sender, one, told, [1, 2, 3, 4], actor("first")),
            "second": partial(sender, one, told, [4, 2, 1, 3], actor("second")),
            "complete": partial(completer, one, told, actor("complete")),
            "sweep": partial(sweeper, actor("sweep")),
            "sweep again": partial(sweeper, actor("sweep again")),
            "time": partial(time_goes_on, one, turns, JUMPS[seed % len(JUMPS)]),
        }
        if seed % 2:
            actors["request"] = partial(cleaner, actor("request"), [None, 0, 60][seed % 3])
        if seed % 3 == 0:
            actors["cancel"] = partial(canceller, one, actor("cancel"))
        if seed % 4 == 0:
            actors["start"] = partial(starter, one, actor("start"))
        if seed % 5 == 0:
            actors["sign"] = partial(signer, one, actor("sign"))
        turns.run(actors)
        check_live(one, told)
        check_quiet(one, told)


def stale_and_alive(world: World) -> Client:
    """One upload that expires in this moment, one that lives, a finished file, and an orphan of each kind."""
    done = Client(world, BODY, name="done")
    done.begin()
    done.send_all()
    assert isinstance(done.complete(), File)
    client = client_of(world)
    client.begin()
    client.send_all([1, 2])
    other = Client(world, BODY, name="alive")
    world.clock.advance(12 * HOUR)
    other.begin()
    other.send(1)
    world.objects.create_multipart(f"o/{client.upload_id}", content_type="text/plain")
    world.objects.put("o/" + "f" * 32, b"", crc32c=0)
    world.clock.advance(12 * HOUR)
    return client


MEANWHILE: dict[str, Callable[[World, Told], None]] = {
    "another sweep": lambda world, told: sweeper(world.engine),
    "a request": lambda world, told: cleaner(world.engine, 13 * HOUR // SECOND),
    "a chunk": lambda world, told: sender(world, told, [3], world.engine),
    "a chunk of what lives": lambda world, told: sender(world, told, [2], world.engine, "alive"),
    "a completion": lambda world, told: completer(world, told, world.engine),
    "a cancel": lambda world, told: canceller(world, world.engine),
    "a start": lambda world, told: starter(world, world.engine),
    "a signature": lambda world, told: signer(world, world.engine),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_somebody_acts_before_each_call_of_a_sweep(world: World, what: str) -> None:
    """Whichever call it is: what lives can be finished, what is finished stays, and the rest goes."""
    counted = Log()
    stale_and_alive(world)
    sweep_due(world.new_engine(log=counted), has_time=lambda: True)
    for number in range(1, len(counted.calls) + 1):
        one, told = World(), Told()
        stale_and_alive(one)
        script = Script({number: partial(MEANWHILE[what], one, told)})
        sweep_due(one.new_engine(script, Log()), has_time=lambda: True)
        alive = Client(one, BODY, name="alive")
        alive.send_all()
        assert isinstance(alive.complete_patiently(), File)
        check_live(one, told)
        check_quiet(one, told)
        assert one.content("alive") == one.content("done") == BODY
