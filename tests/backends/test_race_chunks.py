"""Chunks of one upload from many senders at once."""

from __future__ import annotations

import random
from functools import partial

from ferry.rules.layout import KIB, MIB
from ferry.services import Services
from ferry.status.upload_status import UploadStatus
from ferry.uploads.chunk import ChunkAccepted
from tests.backends.files import OTHER_SEED_OFFSET, RaceClient, assert_current_file
from tests.backends.race_runner import RaceOperation, RaceRound

SENDERS = 8


def test_chunks_from_eight_senders_complete_file(race_round: RaceRound) -> None:
    """Every chunk from two of them, in any order, over several folds: counted once, and the file is whole."""
    sending = RaceClient.create(f"senders-{race_round.number}", 9 * MIB + 1, seed=race_round.number)
    sending.start(race_round.services)
    order = random.Random(race_round.number)

    def send_share(first: int, services: Services) -> list[ChunkAccepted]:
        share = [index for index in sending.indexes if index % SENDERS in {first, (first + 1) % SENDERS}]
        order.shuffle(share)
        return [sending.send(services, index) for index in share]

    outcomes = race_round.run_concurrently(
        *(RaceOperation(f"share {n}", partial(send_share, n)) for n in range(SENDERS))
    )
    assert [outcome.summary for outcome in outcomes] == ["list"] * SENDERS
    received = [answer.received for outcome in outcomes for answer in outcome.result]
    assert max(received) == len(sending.body)
    seen = sending.status(race_round.services)
    assert (seen.state, seen.received_bytes, seen.missing) == (UploadStatus.PARTIAL, len(sending.body), ())
    assert_current_file(race_round.services, sending.complete(race_round.services), sending.body)


def test_last_two_chunks_sent_concurrently_assemble_part(race_round: RaceRound) -> None:
    """Four copies of each at once: all are accepted, and by the last answer the part is in S3, of these bytes."""
    sending = RaceClient.create(f"last-two-{race_round.number}", 256 * KIB, seed=race_round.number)
    started = sending.start(race_round.services)
    sending.send_all(race_round.services, (1, 2))
    outcomes = race_round.run_concurrently(
        *(RaceOperation(f"chunk {index}", partial(sending.send, index=index)) for index in (3, 4) * 4)
    )
    assert [outcome.summary for outcome in outcomes] == ["ChunkAccepted"] * 8
    assert max(outcome.result.received for outcome in outcomes) == len(sending.body)
    assert sending.status(race_round.services).received_bytes == len(sending.body)
    assert started.upload is not None
    session = started.upload.record
    parts = race_round.services.object_store.list_parts(
        session.object_key, session.multipart_id or "", max_part_number=1
    )
    assert [(part.number, part.size) for part in parts.values()] == [(1, len(sending.body))]
    assert_current_file(race_round.services, sending.complete(race_round.services), sending.body)


def test_chunk_with_two_bodies_accepts_one(race_round: RaceRound) -> None:
    """One of them is the chunk, whoever sends it; everybody else is told of the conflict, and nothing is mixed."""
    sending = RaceClient.create(f"bodies-{race_round.number}", 256 * KIB, seed=race_round.number)
    other = RaceClient.create(sending.name, 256 * KIB, seed=OTHER_SEED_OFFSET + race_round.number)
    sending.start(race_round.services)
    sending.send_all(race_round.services, (1, 2, 3))
    bodies = {"one body": sending.chunk(4), "another": other.chunk(4)}
    outcomes = race_round.run_concurrently(
        *(RaceOperation(to, partial(sending.send, index=4, body=body)) for to, body in bodies.items() for _ in "1234")
    )
    told = {to: {outcome.summary for outcome in outcomes if outcome.name == to} for to in bodies}
    assert sorted(told.values(), key=str) == [{"ChunkAccepted"}, {"chunk_conflict"}]
    [winner] = [to for to in bodies if told[to] == {"ChunkAccepted"}]
    assert sending.status(race_round.services).received_bytes == len(sending.body)
    whole = sending.body[: 192 * KIB] + bodies[winner]
    assert_current_file(race_round.services, sending.complete(race_round.services), whole)
