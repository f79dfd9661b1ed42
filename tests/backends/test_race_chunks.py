"""Chunks of one upload from many senders at once."""

from __future__ import annotations

import random
from functools import partial

from ferry.engine import Engine
from ferry.grid import KIB, MIB
from ferry.progress import Phase
from ferry.uploads.chunk import ChunkAccepted
from tests.backends.files import OTHER, Sending, is_the_file
from tests.backends.rounds import Operation, Round

SENDERS = 8


def test_eight_senders_on_one_file(round_: Round) -> None:
    """Every chunk from two of them, in any order, over several folds: counted once, and the file is whole."""
    sending = Sending.of(f"senders-{round_.number}", 9 * MIB + 1, seed=round_.number)
    sending.start(round_.engine)
    order = random.Random(round_.number)

    def send_share(first: int, engine: Engine) -> list[ChunkAccepted]:
        share = [index for index in sending.indexes if index % SENDERS in {first, (first + 1) % SENDERS}]
        order.shuffle(share)
        return [sending.send(engine, index) for index in share]

    outcomes = round_.at_once(*(Operation(f"share {n}", partial(send_share, n)) for n in range(SENDERS)))
    assert [outcome.told for outcome in outcomes] == ["list"] * SENDERS
    received = [answer.received for outcome in outcomes for answer in outcome.result]
    assert max(received) == len(sending.body)
    seen = sending.status(round_.engine)
    assert (seen.state, seen.received_bytes, seen.missing) == (Phase.PARTIAL, len(sending.body), ())
    is_the_file(round_.engine, sending.complete(round_.engine), sending.body)


def test_the_last_two_chunks_of_a_part(round_: Round) -> None:
    """Four copies of each at once: all are accepted, and by the last answer the part is in S3, of these bytes."""
    sending = Sending.of(f"last-two-{round_.number}", 256 * KIB, seed=round_.number)
    started = sending.start(round_.engine)
    sending.send_all(round_.engine, (1, 2))
    outcomes = round_.at_once(
        *(Operation(f"chunk {index}", partial(sending.send, index=index)) for index in (3, 4) * 4)
    )
    assert [outcome.told for outcome in outcomes] == ["ChunkAccepted"] * 8
    assert max(outcome.result.received for outcome in outcomes) == len(sending.body)
    assert sending.status(round_.engine).received_bytes == len(sending.body)
    assert started.upload is not None
    session = started.upload.session
    parts = round_.engine.objects.list_parts(session.object_key, session.multipart_id or "", last=1)
    assert [(part.number, part.size) for part in parts.values()] == [(1, len(sending.body))]
    is_the_file(round_.engine, sending.complete(round_.engine), sending.body)


def test_one_chunk_with_two_bodies(round_: Round) -> None:
    """One of them is the chunk, whoever sends it; everybody else is told of the conflict, and nothing is mixed."""
    sending = Sending.of(f"bodies-{round_.number}", 256 * KIB, seed=round_.number)
    other = Sending.of(sending.name, 256 * KIB, seed=OTHER + round_.number)
    sending.start(round_.engine)
    sending.send_all(round_.engine, (1, 2, 3))
    bodies = {"one body": sending.chunk(4), "another": other.chunk(4)}
    outcomes = round_.at_once(
        *(Operation(to, partial(sending.send, index=4, body=body)) for to, body in bodies.items() for _ in "1234")
    )
    told = {to: {outcome.told for outcome in outcomes if outcome.to == to} for to in bodies}
    assert sorted(told.values(), key=str) == [{"ChunkAccepted"}, {"chunk_conflict"}]
    [winner] = [to for to in bodies if told[to] == {"ChunkAccepted"}]
    assert sending.status(round_.engine).received_bytes == len(sending.body)
    whole = sending.body[: 192 * KIB] + bodies[winner]
    is_the_file(round_.engine, sending.complete(round_.engine), whole)
