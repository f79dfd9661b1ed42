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

S3, LEDGER = "MemoryObjects", "MemoryLedger"


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
    s3, ledger = calls_to(log, S3), calls_to(log, LEDGER)
    assert (s3, ledger) == (1.5 * CHUNKS, 3 * CHUNKS)
    before = len(world.log.calls)
    assert isinstance(client.complete(), File)
    assert len(world.log.calls) - before == len(["upload", "lease", "list", "complete", "head", "finish"])


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
    s3, ledger = calls_to(log, S3), calls_to(log, LEDGER)
    assert s3 <= 1.2 * 1.75 * CHUNKS
    assert ledger <= 1.2 * 3 * CHUNKS
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


@pytest.mark.parametrize("parts", [1, 3, 1_000, 1_001, 2_000, 10_000])
@pytest.mark.parametrize("replace", [False, True])
def test_parts_straight_to_s3(world: World, monkeypatch: pytest.MonkeyPatch, parts: int, replace: bool) -> None:
    """Beside its parts and their signing, a file costs 9 calls and one for each thousand parts, S3's and the ledger's
    together, and one more where it may replace another; S3's alone are three and those. Signing is two calls for each
    hundred parts, and one.
    """
    for name, value in {"MIN_CHUNK_SIZE": 4, "DEFAULT_PART_SIZE": 4}.items():
        monkeypatch.setattr(f"ferry.grid.{name}", value)
    monkeypatch.setattr("tests.fakes.objects.MIN_PART_SIZE", 4)
    client = Client(world, bytes_of(parts * 4), chunk_size=4)
    log, signing = Log(), Log()
    engine = world.new_engine(log=log)
    client.begin(engine, replace=replace)
    for first in range(1, parts + 1, 100):
        wanted = [(number, None) for number in range(first, min(first + 100, parts + 1))]
        for part in sign(world.new_engine(log=signing), NS, PartsRequest(NAME, wanted, client.upload_id)):
            assert client.put(part, client.part(part.number)).status == 200
    assert isinstance(client.complete(engine, upload_id=client.upload_id), File)
    assert world.content() == client.body

    pages = -(-parts // 1_000)
    assert (log.count("list_parts"), world.objects.pages) == (1, pages)
    s3, ledger = calls_to(log, S3) - 1 + pages, calls_to(log, LEDGER)
    assert s3 == 3 + pages
    assert s3 + ledger == 9 + pages + replace
    assert calls_to(signing, LEDGER) == len(signing.calls) == 1 + 2 * -(-parts // 100)


def test_a_lost_answer_costs_two_reads(world: World) -> None:
    """A resend writes nothing."""
    client = Client(world, bytes_of(PART))
    client.begin()
    client.send(1)
    log = Log()
    send_with(client, 1, log, None, "")
    assert log.methods == ["upload", "claims"]
