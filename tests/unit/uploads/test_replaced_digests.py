"""A chunk whose request died: other bytes are accepted once that request can no longer live, and only those count."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import ChunkConflict, UploadIncomplete
from ferry.model.files import File
from ferry.model.uploads import Upload
from ferry.rules.durations import DAY_MS, SECOND_MS
from ferry.uploads.chunk import ChunkAccepted
from ferry.uploads.received import compute_received, uploaded_parts
from tests.support.in_memory_service import CHUNK_BYTES, Client, InMemoryService, seeded_bytes, swallow_crash
from tests.support.scheduler import run_interleaved

PART_BYTES = 2 * CHUNK_BYTES
TIMEOUT_MS = 29 * SECOND_MS
OTHER = seeded_bytes(CHUNK_BYTES, seed=9)
"""What the request that dies sends."""


def start_client(service: InMemoryService, size: int = PART_BYTES) -> Client:
    client = Client(service, seeded_bytes(size))
    client.start()
    return client


def read_upload(client: Client) -> Upload:
    upload = client.service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    return upload


def die(client: Client, index: int, method: str, fault: Fault) -> FaultPlan:
    """Send other bytes for a chunk, in a request that dies at that call. Return its plan, for what arrives late."""
    plan = FaultPlan({(method, 1): fault})
    swallow_crash(partial(client.send_chunk, index, client.service.new_services(plan), OTHER))
    return plan


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.UNAVAILABLE])
def test_digest_of_dead_request_holds_for_function_timeout(service: InMemoryService, fault: Fault) -> None:
    """Other bytes are a conflict for as long as a function can live, and accepted from then on."""
    client = start_client(service)
    die(client, 1, "put" if fault is Fault.UNAVAILABLE else "put_chunk_digest", fault)
    stored_at = service.clock() // SECOND_MS * SECOND_MS
    service.clock.advance(stored_at + TIMEOUT_MS - 1 - service.clock())
    with pytest.raises(ChunkConflict) as rejected:
        client.send_chunk(1)
    assert "in 29 seconds" in rejected.value.detail
    service.clock.advance(1)
    assert client.send_chunk(1).received_bytes == CHUNK_BYTES
    with pytest.raises(ChunkConflict):
        client.send_chunk(1, body=OTHER)
    client.send_chunk(2)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_digest_of_dead_request_lets_same_bytes_pass(service: InMemoryService) -> None:
    """A retry with the same bytes needs no wait and replaces nothing."""
    client = start_client(service)
    plan = FaultPlan({("put", 1): Fault.CRASH_BEFORE})
    swallow_crash(partial(client.send_chunk, 1, service.new_services(plan)))
    client.send_chunk(1)
    assert service.log.count("replace_chunk_digest") == 0
    assert not read_upload(client).has_replaced_digests


@pytest.mark.parametrize("chunks", [[1], [1, 2]])
def test_recorded_chunk_stays_for_ever(service: InMemoryService, chunks: list[int]) -> None:
    """The bytes of an acknowledged chunk are never replaced, however old it is."""
    client = start_client(service)
    client.send_chunks(chunks)
    service.clock.advance(DAY_MS - 1)
    for index in chunks:
        with pytest.raises(ChunkConflict):
            client.send_chunk(index, body=OTHER)
        client.send_chunk(index)


def test_digest_without_time_is_never_replaced(service: InMemoryService) -> None:
    """The age of a digest that an earlier version stored is unknown."""
    client = start_client(service)
    die(client, 1, "put", Fault.CRASH_BEFORE)
    digests = service.upload_repository.rows.chunk_digests[client.upload_id][1]
    digests[1] = type(digests[1])(digests[1].sha256_prefix, digests[1].crc32c)
    service.clock.advance(DAY_MS - 1)
    with pytest.raises(ChunkConflict):
        client.send_chunk(1)


@pytest.mark.parametrize("calls_between", ["accepted", "crashed", "crashed, then accepted"])
@pytest.mark.parametrize(
    ("first", "late"),
    [
        *((1, call) for call in ("put_chunk_digest", "put", "record_chunk")),
        *((index, call) for index in (2, 3) for call in ("put_chunk_digest", "upload_part", "record_chunk")),
    ],
)
def test_late_call_of_dead_request_counts_for_nothing(
    service: InMemoryService, first: int, late: str, calls_between: str
) -> None:
    """Whatever call of a dead request takes effect after its digest was replaced: its bytes are not in the file.

    Chunk 1 is the first of its part, chunk 2 the last, and chunk 3 a part of its own.
    """
    client = start_client(service, PART_BYTES + CHUNK_BYTES)
    if first == 2:
        client.send_chunk(1)
    plan = die(client, first, late, Fault.DELAYED_EFFECT)
    service.clock.advance(TIMEOUT_MS)
    if "crashed" in calls_between:
        crashing = service.new_services(FaultPlan({("replace_chunk_digest", 1): Fault.CRASH_AFTER}))
        swallow_crash(partial(client.send_chunk, first, crashing))
    if "accepted" in calls_between:
        client.send_chunk(first)
    plan.apply_in_flight()
    if calls_between == "crashed" and late != "put_chunk_digest":
        assert not read_upload(client).has_chunk(first)
    client.service.clock.advance(TIMEOUT_MS + SECOND_MS)
    client.send_chunks()
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body
    service.drain_cleanup()
    assert service.orphans() == []


@pytest.mark.parametrize("late", [True, False])
def test_late_part_of_dead_request_is_reassembled_at_completion(service: InMemoryService, late: bool) -> None:
    """A part that the dead request uploads after all chunks are acknowledged is overwritten with the acknowledged."""
    client = start_client(service)
    client.send_chunk(1)
    plan = die(client, 2, "upload_part", Fault.DELAYED_EFFECT)
    service.clock.advance(TIMEOUT_MS)
    client.send_chunk(2)
    if not late:
        plan.apply_in_flight()
    services = service.new_services(FaultPlan({("complete_multipart", 1): plan.apply_in_flight}))
    assert isinstance(client.complete(services), File)
    assert service.file_content() == client.body


def test_stale_assembly_is_not_received_as_presigned_part(service: InMemoryService) -> None:
    """A part that the dead request assembled is not taken for one that was sent to S3 directly."""
    client = start_client(service, 2 * PART_BYTES)
    client.send_chunk(1)
    die(client, 2, "record_chunk", Fault.CRASH_BEFORE)
    service.clock.advance(TIMEOUT_MS)
    crashing = service.new_services(FaultPlan({("replace_chunk_digest", 1): Fault.CRASH_AFTER}))
    swallow_crash(partial(client.send_chunk, 2, crashing))
    assert client.put_part(client.presign_part(2), client.part_body(2)).status == 200
    upload = read_upload(client)
    received = compute_received(upload, uploaded_parts(service.services, upload))
    assert (received.chunks, received.parts) == ([(1, 1), (3, 4)], [(2, 2)])
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete()
    assert rejected.value.extra["missing"] == [(2, 2)]
    assert client.put_part(client.presign_part(1), client.part_body(1)).status == 200
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_stale_assembly_that_arrives_during_completion_is_rejected(service: InMemoryService) -> None:
    """A part of a dead request that overwrites one sent to S3 directly, just before S3 joins the parts, is noticed."""
    client = start_client(service)
    client.send_chunk(1)
    plan = die(client, 2, "upload_part", Fault.DELAYED_EFFECT)
    service.clock.advance(TIMEOUT_MS)
    crashing = service.new_services(FaultPlan({("replace_chunk_digest", 1): Fault.CRASH_AFTER}))
    swallow_crash(partial(client.send_chunk, 2, crashing))
    assert client.put_part(client.presign_part(1), client.body).status == 200
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete(service.new_services(FaultPlan({("complete_multipart", 1): plan.apply_in_flight})))
    assert rejected.value.extra["missing"] == [(2, 2)]
    client.send_chunk(2)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


@pytest.mark.parametrize(
    ("index", "before"),
    [
        *((1, call) for call in ("put_chunk_digest", "put", "record_chunk")),
        *((2, call) for call in ("put_chunk_digest", "upload_part", "record_chunk")),
    ],
)
def test_slow_request_loses_to_the_one_that_replaced_its_digest(
    service: InMemoryService, index: int, before: str
) -> None:
    """A request that lives longer than it should is rejected once its digest was replaced, and never acknowledged."""
    client = start_client(service)
    if index == 2:
        client.send_chunk(1)

    def replace_digest() -> None:
        service.clock.advance(TIMEOUT_MS + SECOND_MS)
        client.send_chunk(index)

    with pytest.raises(ChunkConflict):
        client.send_chunk(index, service.new_services(FaultPlan({(before, 1): replace_digest})), OTHER)
    client.send_chunks()
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_slow_request_of_other_chunk_stages_after_replacement(service: InMemoryService) -> None:
    """A request that assembled a part before a digest of the shard was replaced stages its chunk before it records."""
    client = start_client(service, 2 * PART_BYTES)
    client.send_chunk(1)
    die(client, 3, "put", Fault.CRASH_BEFORE)
    service.clock.advance(TIMEOUT_MS)
    log = CallLog()
    services = service.new_services(FaultPlan({("record_chunk", 1): lambda: client.send_chunk(3)}), log)
    client.send_chunk(2, services)
    assert [method for method in log.methods if method in ("upload_part", "put", "record_chunk")] == [
        "upload_part",
        "record_chunk",
        "put",
        "record_chunk",
        "upload_part",
    ]
    client.send_chunk(4)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


@pytest.mark.parametrize("seed", range(60))
def test_requests_with_different_bytes_interleaved_acknowledge_one(service: InMemoryService, seed: int) -> None:
    """Of requests with different bytes, in any order of their calls and of time, those acknowledged sent the file."""
    chosen = random.Random(seed)
    client = start_client(service)
    if chosen.random() < 0.5:
        client.send_chunk(1)
    index = 2 if read_upload(client).has_chunk(1) else 1
    bodies = [client.chunk_body(index), OTHER, seeded_bytes(CHUNK_BYTES, seed=7)]
    acknowledged: list[bytes] = []

    def sending(body: bytes) -> Callable[[FaultPlan], None]:
        def send(plan: FaultPlan) -> None:
            with suppress(ChunkConflict):
                result = client.send_chunk(index, service.new_services(plan, CallLog()), body)
                assert isinstance(result, ChunkAccepted)
                acknowledged.append(body)

        return send

    def passing(plan: FaultPlan) -> None:
        services = service.new_services(plan, CallLog())
        for _ in range(4):
            service.clock.advance(TIMEOUT_MS // 2 + SECOND_MS)
            services.upload_repository.get_current_upload(client.ns, client.name)

    order = [chosen.randrange(60) for _ in range(97)]
    run_interleaved([*map(sending, bodies), passing], itertools.cycle(order))
    assert len(set(acknowledged)) <= 1
    service.clock.advance(TIMEOUT_MS + SECOND_MS)
    client.send_chunks([3 - index])
    client.send_chunk(index, body=acknowledged[0] if acknowledged else OTHER)
    assert isinstance(client.complete(), File)
    content = service.file_content()
    assert content is not None
    assert content[(index - 1) * CHUNK_BYTES :][:CHUNK_BYTES] == (acknowledged[0] if acknowledged else OTHER)
