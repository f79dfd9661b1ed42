"""What the fault matrix breaks: every operation of the engine, each in the situations in which it makes other calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ferry.cleanup import clean_namespace
from ferry.engine import Engine
from ferry.errors import FileExists, FileNotFound, UploadComplete, UploadCompleting
from ferry.model import File, Quota
from ferry.uploads.complete import StillCompleting
from ferry.uploads.files import delete
from tests.fakes.faults import Fault, Log, Script
from tests.support.world import CHUNK, LEASE, NAME, NS, Client, World, bytes_of, survive

PART = 2 * CHUNK
SIZE = PART + 5
BODY = bytes_of(SIZE)
NEW = bytes_of(SIZE, seed=2)


def limited() -> World:
    """A Ferry that tells, and counts."""
    return World(telling=True, quota=Quota(max_bytes=10**9, max_uploads=100))


@dataclass(frozen=True)
class Operation:
    """What is broken: `prepare` leads up to it, `run` is retried until it succeeds, `expect` is the file at the end.

    `through` is a call that shows that it is the operation it is meant to be.
    """

    name: str
    prepare: Callable[[World], Client]
    run: Callable[[Client, Engine | None], object]
    expect: bytes | None
    through: str

    def calls(self) -> int:
        """How many calls it makes when nothing is broken."""
        world = limited()
        client = self.prepare(world)
        log = Log()
        self.run(client, world.new_engine(log=log))
        assert self.through in log.methods, log.methods
        return len(log.calls)


# What came before


def fresh(world: World) -> Client:
    return Client(world, BODY)


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


def direct(world: World) -> Client:
    """Both parts straight to S3."""
    client = fresh(world)
    client.begin()
    for number in (1, 2):
        assert client.put(client.sign(number), client.part(number)).status == 200
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


def slow_in_s3(world: World) -> Client:
    """All is in S3, which takes longer over the object than a request has, once."""
    client = begun(1, 2, 3)(world)

    def once() -> None:
        world.clock.advance(world.engine.mending + LEASE // 2)
        world.objects.while_completing = lambda: None

    world.objects.while_completing = once
    return client


def finished(world: World) -> Client:
    client = begun(1, 2, 3)(world)
    client.complete()
    return client


def over_a_file(world: World) -> Client:
    """A finished file, and a client that has another for its place."""
    finished(world)
    return Client(world, NEW)


def replacing(world: World) -> Client:
    """The same, and all of the other is sent."""
    client = over_a_file(world)
    client.begin(replace=True)
    client.send_all()
    return client


def abandoned(before: str) -> Callable[[World], Client]:
    """A completion whose process died just before that call; its lease has lapsed."""

    def prepare(world: World) -> Client:
        client = begun(1, 2, 3)(world)
        survive(lambda: client.complete(world.new_engine(Script({(before, 1): Fault.CRASH_BEFORE}))))
        world.clock.advance(LEASE + 1)
        return client

    return prepare


def refused_late(world: World) -> Client:
    """Its object is made, but a file of the name came in the last moment, and has gone again."""
    client = begun(1, 2, 3)(world)
    other = File(NS, NAME, "e" * 32, 1, '"x"', 0, "text/plain", {}, None, world.clock(), 1)
    appear = Script({("complete_multipart", 1): lambda: world.ledger.rows.files.update({(NS, NAME): other})})
    with pytest.raises(FileExists):
        client.complete(world.new_engine(appear, Log()))
    del world.ledger.rows.files[NS, NAME]
    return client


def set_back(to: Callable[[World], Client], lost: Callable[[Client], object]) -> Callable[[World], Client]:
    """The ledger as it was before `lost`, S3 as it was after it."""

    def prepare(world: World) -> Client:
        client = to(world)
        backup = world.ledger.snapshot()
        lost(client)
        world.ledger.restore(backup)
        return client

    return prepare


# What is done


def remove(client: Client, engine: Engine | None) -> None:
    """Deleting again after a lost answer may find it gone: that is the same success."""
    try:
        delete(engine or client.world.engine, NS, NAME)
    except FileNotFound:
        assert engine is None


def complete(client: Client, engine: Engine | None) -> object:
    return client.complete_patiently() if engine is None else client.complete(engine)


def hand_on(client: Client, engine: Engine | None) -> object:
    """Complete, and do what was handed on, in one: so that every call on either side is broken."""
    if engine is None:
        return client.complete_patiently()
    result = client.complete(engine)
    if isinstance(result, StillCompleting):
        client.world.objects.land()
        client.world.work(engine)
    return result


def call_off(client: Client, engine: Engine | None) -> None:
    """Cancel, after the lease of whoever had to give up; a completion that came first has won."""
    try:
        client.cancel(engine)
    except UploadCompleting:
        client.world.clock.advance(LEASE + 1)
        call_off(client, None)
    except UploadComplete:
        assert engine is None


def clean(client: Client, engine: Engine | None) -> object:
    """The clean-up on request, of everything open."""
    return clean_namespace(engine or client.world.engine, NS, has_time=lambda: True, older_than=0)


def begin(client: Client, engine: Engine | None) -> object:
    return client.begin(engine)


def begin_replacing(client: Client, engine: Engine | None) -> object:
    return client.begin(engine, replace=True)


def send(index: int) -> Callable[[Client, Engine | None], object]:
    return lambda client, engine: client.send(index, engine)


def sign(number: int) -> Callable[[Client, Engine | None], object]:
    return lambda client, engine: client.sign(number, engine)


OPERATIONS = [
    Operation("start", fresh, begin, BODY, "create_multipart"),
    Operation("start an empty file", lambda world: Client(world, b""), begin, b"", "begin"),
    Operation("resume", begun(1, 2), begin, BODY, "upload"),
    Operation("resume, parts straight to S3", mixed, begin, BODY, "list_parts"),
    Operation("restart", begun(1, 2), lambda client, engine: client.begin(engine, restart=True), BODY, "end"),
    Operation("replace", over_a_file, begin_replacing, NEW, "create_multipart"),
    Operation("chunk that stages", begun(), send(1), BODY, "put"),
    Operation("chunk that assembles", begun(1), send(2), BODY, "upload_part"),
    Operation("last chunk", begun(1, 2), send(3), BODY, "upload_part"),
    Operation("chunk into a signed part", mixed, send(3), BODY, "list_parts"),
    Operation("chunk sent again", begun(1), send(1), BODY, "claims"),
    Operation("sign", begun(1), sign(2), BODY, "mark_direct"),
    Operation("sign again", mixed, sign(1), BODY, "touch"),
    Operation("complete", begun(1, 2, 3), complete, BODY, "finish"),
    Operation("complete, parts straight to S3", direct, complete, BODY, "finish"),
    Operation("complete, mending", mixed, complete, BODY, "upload_part"),
    Operation("complete, assembling", unassembled, complete, BODY, "upload_part"),
    Operation("complete, handing on", slow, hand_on, BODY, "complete_multipart"),
    Operation("complete, handing on what S3 is at", slow_in_s3, hand_on, BODY, "head"),
    Operation("complete, replacing", replacing, complete, NEW, "file"),
    Operation("complete, taking over", abandoned("complete_multipart"), complete, BODY, "complete_multipart"),
    Operation("complete, taking over what is made", abandoned("finish"), complete, BODY, "head"),
    Operation("complete, refused before", refused_late, complete, BODY, "finish"),
    Operation("cancel", begun(1, 3), lambda client, engine: client.cancel(engine), None, "abort_multipart"),
    Operation("cancel, parts straight to S3", direct, call_off, None, "abort_multipart"),
    Operation("cancel, taking over", abandoned("complete_multipart"), call_off, None, "lease"),
    Operation("cancel, taking over what is made", abandoned("finish"), call_off, None, "delete"),
    Operation("delete", finished, remove, None, "delete_file"),
    Operation("clean-up on request", begun(1, 3), clean, None, "abort_multipart"),
    Operation("complete, set back to before it", set_back(begun(1, 2, 3), Client.complete), complete, BODY, "head"),
    Operation("complete, straight to S3 and set back", set_back(direct, Client.complete), complete, BODY, "head"),
    Operation("chunk, set back to before it", set_back(begun(1), lambda client: client.send(2)), send(2), BODY, "get"),
    Operation(
        "sign, set back to before it", set_back(begun(1), lambda client: client.sign(1)), sign(1), BODY, "mark_direct"
    ),
    Operation("delete, set back to before it", set_back(finished, lambda c: remove(c, None)), remove, None, "file"),
]
