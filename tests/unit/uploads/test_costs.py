"""What an upload costs in calls: counted, because each is paid for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from ferry.model import File
from ferry.uploads.chunk import ChunkRequest, send
from ferry.uploads.parts import PartsRequest, sign
from tests.fakes.faults import Log, Script, Step
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 2 * CHUNK
CHUNKS = 64
"""As many as 256 MiB have at 4 MiB, two to a part as there; the counts do not depend on the length of a chunk."""

S3 = "MemoryObjects"


def calls_to(log: Log, port: str) -> int:
    return sum(call.port == port for call in log.calls)


def send_with(client: Client, index: int, log: Log, meanwhile: Callable[[], object] | None, before: str) -> None:
    """Send a chunk by its upload's id, `meanwhile` happening just before its first call of that name."""
    steps: dict[int | tuple[str, int], Step] = {(before, 1): meanwhile} if meanwhile else {}
    engine = client.world.new_engine(Script(steps), log)
    send(engine, NS, ChunkRequest(NAME, index, client.chunk(index), upload_id=client.upload_id))


def test_chunks_in_order(world: World) -> None:
    """At most 1.75 S3 calls and 3 DynamoDB calls a chunk, folds included."""
    client = Client(world, bytes_of(CHUNKS * CHUNK))
    client.begin()
    log = Log()
    for index in range(1, CHUNKS + 1):
        send_with(client, index, log, None, "")
    s3, ledger = calls_to(log, S3), calls_to(log, "MemoryLedger")
    assert (s3, ledger) == (1.5 * CHUNKS, 3 * CHUNKS)
    before = len(world.log.calls)
    assert isinstance(client.complete(), File)
    assert len(world.log.calls) - before <= 8


@pytest.mark.parametrize("before", ["claim", "put", "record"])
def test_four_senders_at_once(world: World, before: str) -> None:
    """Within 20 % of that, wherever the four meet."""
    client = Client(world, bytes_of(CHUNKS * CHUNK))
    client.begin()
    log = Log()
    for first in range(1, CHUNKS + 1, 4):
        step: Callable[[], object] | None = None
        for index in range(first + 3, first - 1, -1):
            step = partial(send_with, client, index, log, step, before)
        assert step is not None
        step()
    s3, ledger = calls_to(log, S3), calls_to(log, "MemoryLedger")
    assert s3 <= 1.2 * 1.75 * CHUNKS
    assert ledger <= 1.2 * 3 * CHUNKS
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_parts_straight_to_s3(world: World) -> None:
    """Nothing but the signing calls grows with the parts, a hundred at a time; S3 sees one call a part, and four."""
    client = Client(world, bytes_of(300 * PART))
    client.begin()
    log = Log()
    engine = world.new_engine(log=log)
    for first in range(1, 301, 100):
        wanted = [(number, None) for number in range(first, first + 100)]
        for part in sign(engine, NS, PartsRequest(NAME, wanted, client.upload_id)):
            assert client.put(part, client.part(part.number)).status == 200
    signing = len(log.calls)
    assert signing == 3 + 2 * 2
    assert isinstance(client.complete(engine=engine), File)
    of_s3 = [call.method for call in log.calls if call.port == S3]
    assert of_s3 == ["list_parts", "list_parts", "complete_multipart", "head"]


def test_a_lost_answer_costs_two_reads(world: World) -> None:
    """A resend writes nothing."""
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send(1)
    log = Log()
    send_with(client, 1, log, None, "")
    assert log.methods == ["upload", "claims"]
