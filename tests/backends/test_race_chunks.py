"""Chunks of one upload from several senders at the same time."""

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
    """Each chunk comes from two senders, over several compactions; it is counted once, and the file is whole."""
    client = RaceClient.create(f"senders-{race_round.number}", 9 * MIB + 1, seed=race_round.number)
    client.start(race_round.services)
    shuffler = random.Random(race_round.number)

    def send_share(first: int, services: Services) -> list[ChunkAccepted]:
        share = [index for index in client.indexes if index % SENDERS in {first, (first + 1) % SENDERS}]
        shuffler.shuffle(share)
        return [client.send(services, index) for index in share]

    outcomes = race_round.run_concurrently(
        *(RaceOperation(f"share {n}", partial(send_share, n)) for n in range(SENDERS))
    )
    assert [outcome.summary for outcome in outcomes] == ["list"] * SENDERS
    received = [accepted.received_bytes for outcome in outcomes for accepted in outcome.result]
    assert max(received) == len(client.body)
    status = client.status(race_round.services)
    assert (status.state, status.received_bytes, status.missing) == (UploadStatus.PARTIAL, len(client.body), ())
    assert_current_file(race_round.services, client.complete(race_round.services), client.body)


def test_last_two_chunks_sent_concurrently_assemble_part(race_round: RaceRound) -> None:
    """Four copies of each chunk are accepted, and with the last response the part is in S3."""
    client = RaceClient.create(f"last-two-{race_round.number}", 256 * KIB, seed=race_round.number)
    started = client.start(race_round.services)
    client.send_all(race_round.services, (1, 2))
    outcomes = race_round.run_concurrently(
        *(RaceOperation(f"chunk {index}", partial(client.send, index=index)) for index in (3, 4) * 4)
    )
    assert [outcome.summary for outcome in outcomes] == ["ChunkAccepted"] * 8
    assert max(outcome.result.received_bytes for outcome in outcomes) == len(client.body)
    assert client.status(race_round.services).received_bytes == len(client.body)
    assert started.upload is not None
    record = started.upload.record
    parts = race_round.services.object_store.list_parts(record.object_key, record.multipart_id or "", max_part_number=1)
    assert [(part.number, part.size) for part in parts.values()] == [(1, len(client.body))]
    assert_current_file(race_round.services, client.complete(race_round.services), client.body)


def test_chunk_with_two_bodies_accepts_one(race_round: RaceRound) -> None:
    """One content is accepted from all its senders, the other is a conflict for all, and the file is not mixed."""
    client = RaceClient.create(f"bodies-{race_round.number}", 256 * KIB, seed=race_round.number)
    other = RaceClient.create(client.name, 256 * KIB, seed=OTHER_SEED_OFFSET + race_round.number)
    client.start(race_round.services)
    client.send_all(race_round.services, (1, 2, 3))
    bodies = {"first body": client.chunk(4), "second body": other.chunk(4)}
    outcomes = race_round.run_concurrently(
        *(
            RaceOperation(name, partial(client.send, index=4, body=body))
            for name, body in bodies.items()
            for _ in "1234"
        )
    )
    summaries = {name: {outcome.summary for outcome in outcomes if outcome.name == name} for name in bodies}
    assert sorted(summaries.values(), key=str) == [{"ChunkAccepted"}, {"chunk_conflict"}]
    [winner] = [name for name in bodies if summaries[name] == {"ChunkAccepted"}]
    assert client.status(race_round.services).received_bytes == len(client.body)
    whole = client.body[: 192 * KIB] + bodies[winner]
    assert_current_file(race_round.services, client.complete(race_round.services), whole)
