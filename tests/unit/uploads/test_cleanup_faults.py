"""The fault matrix of the clean-up: each of its calls, broken in each way, with something of every kind to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ferry.cleanup import clean_namespace, sweep_due
from ferry.digests import crc32c
from ferry.engine import DAY, HOUR, Engine
from ferry.model import File, State
from ferry.uploads.files import delete
from tests.fakes.faults import Fault, Log, Script
from tests.support.world import CHUNK, LEASE, NAME, NS, Client, World, bytes_of, survive
from tests.unit.uploads.operations import BODY, SIZE, begun, limited

Count = Callable[[str, int], None]


@dataclass
class Scene:
    """A world at the moment before the clean-up, and the clients that are not yet done."""

    world: World = field(default_factory=limited)
    waiting: list[Client] = field(default_factory=list)

    def client(self, name: str, *chunks: int, size: int = SIZE) -> Client:
        client = Client(self.world, bytes_of(size), name=name)
        client.begin()
        if chunks:
            client.send_all(chunks)
        return client

    def broken(self, method: str, fault: Fault) -> Engine:
        return self.world.new_engine(Script({(method, 1): fault}))


def everything() -> Scene:
    """A finished file and a deleted one; uploads that are idle, cancelled half way, never opened, without their
    multipart upload, or made without a word; completions that lapsed; orphans; one that lives.
    """
    scene = Scene()
    world = scene.world
    world.objects.put("o/" + "f" * 32, b"x", crc32c=crc32c(b"x"))
    world.objects.put(f"st/{'e' * 32}/1/1-ab", b"x", crc32c=crc32c(b"x"))
    world.objects.create_multipart("o/" + "d" * 32, content_type="text/plain")
    world.clock.advance(8 * DAY)
    begun(1, 2, 3)(world).complete()
    gone = scene.client("deleted", 1, size=CHUNK)
    gone.complete()
    delete(world.engine, NS, "deleted")
    scene.client("stale", 1)
    cancelled = scene.client("cancelled", 1)
    survive(lambda: cancelled.cancel(scene.broken("abort_multipart", Fault.UNAVAILABLE)))
    dead = Client(world, bytes_of(SIZE), name="dead")
    survive(lambda: dead.begin(scene.broken("create_multipart", Fault.CRASH_AFTER)))
    lost = scene.client("lost", 1)
    [multipart_id] = [name for name, upload in world.objects.uploads.items() if lost.upload_id in upload.key]
    del world.objects.uploads[multipart_id]
    made = scene.client("made", 1, 2, 3)
    survive(lambda: made.complete(scene.broken("complete_multipart", Fault.LOST_ANSWER)))
    world.clock.advance(DAY + HOUR)
    for name, call in (("half done", "complete_multipart"), ("all but done", "finish")):
        client = scene.client(name, 1, 2, 3)
        engine = scene.broken(call, Fault.CRASH_BEFORE)
        survive(lambda: client.complete(engine))  # noqa: B023
        scene.waiting.append(client)
    world.clock.advance(LEASE + 1)
    return scene


def sweep(engine: Engine) -> None:
    sweep_due(engine, has_time=lambda: True)


def request(engine: Engine) -> None:
    clean_namespace(engine, NS, has_time=lambda: True)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("run", [sweep, request], ids=["sweep", "request"])
def test_every_call_of_the_clean_up_may_break(
    run: Callable[[Engine], None], fault: Fault, world: World, matrix: Count
) -> None:
    """A clean-up that dies anywhere is followed by one that finishes, and neither touches what lives."""
    counted = Log()
    run(everything().world.new_engine(log=counted))
    for number in range(1, len(counted.calls) + 1):
        scene = everything()
        broken, script = scene.world, Script({number: fault})
        alive = scene.client("alive", 1)
        survive(lambda: run(broken.new_engine(script, Log())))  # noqa: B023
        alive.send_all()
        assert isinstance(alive.complete(), File)
        for client in scene.waiting:
            client.complete_patiently()
        broken.sweep()
        script.land()
        broken.sweep_until_quiet()
        for name in (NAME, "alive", "half done", "all but done", "made"):
            assert broken.content(name) == BODY, f"{name} after call {number}"
        assert broken.orphans() == []
        assert (broken.ledger.rows.dues, set(broken.ledger.rows.objects)) == ({}, kept(broken))
        states = {session.name: session.state for session in broken.ledger.rows.sessions.values()}
        assert [states[name] for name in ("stale", "dead", "lost")] == [State.EXPIRED] * 3
        assert states["cancelled"] is State.CANCELLED
        broken.check_told()
        broken.check_counted()
        matrix(f"clean-up, {run.__name__}", 1)


def kept(world: World) -> set[str]:
    return {file.upload_id for file in world.ledger.rows.files.values()}


def test_the_scene_has_something_of_every_kind(world: World) -> None:
    """So that the matrix is as large as it claims."""
    scene = everything()
    log = Log()
    report = sweep_due(scene.world.new_engine(log=log), has_time=lambda: True)
    orphans = report.orphans
    assert (report.expired, report.lapsed, report.recovered, report.lost, report.errors) == (3, 2, 1, 1, 0)
    assert (orphans.multipart_uploads, orphans.staged_objects, orphans.objects) == (2, 1, 1)
    assert {"keep", "save_search", "owners", "sessions", "folders", "listing", "multiparts"} <= set(log.methods)
    scene.world.clock.advance(HOUR)
    assert scene.world.sweep().errors == 0
