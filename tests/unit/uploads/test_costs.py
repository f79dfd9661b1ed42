"""How many backend calls an upload makes: each one is paid for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dev.fakes.faults import CallLog, FaultPlan, FaultStep
from ferry.model.files import File, IfExists
from ferry.model.quotas import Quota
from ferry.services import Services
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.presign import PartsRequest, presign_parts
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes
from tests.support.round_trips import RoundTrips

PART_BYTES = 2 * CHUNK_BYTES
CHUNK_COUNT = 64
"""As many chunks as a file of 256 MiB has at 4 MiB each. Counts of calls do not depend on a chunk's length."""

S3 = {"MemoryObjectStore"}
DYNAMODB = {"MemoryUploadRepository", "MemoryFileRepository", "MemoryCleanupRepository"}


def count_calls_to(log: CallLog, ports: set[str]) -> int:
    return sum(call.port in ports for call in log.calls)


def send_chunk(
    client: Client,
    index: int,
    log: CallLog,
    interloper: Callable[[], object] | None,
    method: str,
    *,
    warm: Services | None = None,
) -> None:
    """Send a chunk by its upload's id, with `interloper` just before its first call of `method`."""
    steps: dict[int | tuple[str, int], FaultStep] = {(method, 1): interloper} if interloper else {}
    services = client.service.new_services(FaultPlan(steps), log, warm=warm)
    accept_chunk(services, NS, ChunkRequest(NAME, index, client.chunk_body(index), upload_id=client.upload_id))


def test_chunks_in_order_to_one_process_stay_within_call_budget(service: InMemoryService) -> None:
    """One process that gets all chunks makes an S3 call and two DynamoDB calls for each, and reads the upload once."""
    client = Client(service, seeded_bytes(CHUNK_COUNT * CHUNK_BYTES))
    client.start()
    log = CallLog()
    services = service.new_services(log=log)
    for index in range(1, CHUNK_COUNT + 1):
        accept_chunk(services, NS, ChunkRequest(NAME, index, client.chunk_body(index), upload_id=client.upload_id))
    assert (count_calls_to(log, S3), count_calls_to(log, DYNAMODB)) == (CHUNK_COUNT, 2 * CHUNK_COUNT + 1)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_chunks_to_other_processes_stay_within_call_budget(service: InMemoryService) -> None:
    """If each chunk meets a process that has not seen the upload, it takes 1.5 S3 calls and 3 DynamoDB calls,
    compaction included; a completion takes 6 calls.
    """
    client = Client(service, seeded_bytes(CHUNK_COUNT * CHUNK_BYTES))
    client.start()
    log = CallLog()
    for index in range(1, CHUNK_COUNT + 1):
        send_chunk(client, index, log, None, "")
    s3, dynamodb = count_calls_to(log, S3), count_calls_to(log, DYNAMODB)
    assert (s3, dynamodb) == (1.5 * CHUNK_COUNT, 3 * CHUNK_COUNT)
    completion = CallLog()
    assert isinstance(client.complete(service.new_services(log=completion), upload_id=client.upload_id), File)
    assert completion.methods == [
        "get_upload",
        "acquire_lease",
        "list_parts",
        "complete_multipart",
        "head",
        "commit_file",
    ]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("is_known", "quota", "staged", "assembled"),
    [
        (True, None, (2, 76), (3, 126)),
        (False, None, (3, 80), (5, 202)),
        (True, Quota(max_bytes=10**9), (3, 80), (3, 126)),
    ],
    ids=["known upload", "new process", "known upload, quota"],
)
def test_chunk_round_trips_stay_within_budget(
    is_known: bool, quota: Quota | None, staged: tuple[int, int], assembled: tuple[int, int]
) -> None:
    """The calls of a chunk that wait for each other, and their milliseconds with AWS's network, do not grow."""
    service = InMemoryService(quota=quota)
    client = Client(service, seeded_bytes(2 * PART_BYTES))
    client.start()
    client.send_chunks([1, 2])
    measured = []
    for index in (3, 4):
        round_trips = RoundTrips()
        warm = round_trips.services(service, warm=service.services if is_known else None)
        accept_chunk(warm, NS, ChunkRequest(NAME, index, client.chunk_body(index), upload_id=client.upload_id))
        measured.append((round_trips.count, round(round_trips.milliseconds)))
    assert measured == [staged, assembled]


@pytest.mark.parametrize("before", ["put_chunk_digest", "put", "record_chunk"])
def test_chunks_four_senders_stay_within_call_budget(service: InMemoryService, before: str) -> None:
    """Four concurrent senders take at most a fifth more calls, wherever they meet."""
    client = Client(service, seeded_bytes(CHUNK_COUNT * CHUNK_BYTES))
    client.start()
    log = CallLog()
    for first in range(1, CHUNK_COUNT + 1, 4):
        step: Callable[[], object] | None = None
        for index in range(first + 3, first - 1, -1):
            step = partial(send_chunk, client, index, log, step, before)
        assert step is not None
        step()
    s3, dynamodb = count_calls_to(log, S3), count_calls_to(log, DYNAMODB)
    assert s3 <= 1.2 * 1.75 * CHUNK_COUNT
    assert dynamodb <= 1.2 * 3 * CHUNK_COUNT
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


@pytest.mark.parametrize("before", [("put", "upload_part"), ("record_chunk", "record_chunk")])
@pytest.mark.parametrize("senders", [1, 4, 8])
@pytest.mark.parametrize("is_same_instance", [True, False])
def test_chunks_in_order_of_parts_stay_within_call_budget(
    service: InMemoryService, senders: int, is_same_instance: bool, before: tuple[str, str]
) -> None:
    """Senders that each send the chunks of a part one after another need as many calls as one sender, wherever their
    requests meet, if an instance gets both chunks of a part. Otherwise a part needs its first chunk back from S3.

    The first chunk that an instance gets also reads the upload.
    """
    client = Client(service, seeded_bytes(CHUNK_COUNT * CHUNK_BYTES))
    client.start()
    log = CallLog()
    instances = [service.new_services(log=CallLog()) for _ in range(2 * senders)]
    for first_part in range(0, CHUNK_COUNT // 2, senders):
        for position, method in enumerate(before, start=1):
            step: Callable[[], object] | None = None
            for sender in reversed(range(senders)):
                instance = instances[sender if is_same_instance else 2 * sender + position - 1]
                index = 2 * (first_part + sender) + position
                step = partial(send_chunk, client, index, log, step, method, warm=instance)
            assert step is not None
            step()
    s3_calls, dynamodb_calls = (1, 2) if is_same_instance else (1.5, 3)
    assert count_calls_to(log, S3) == s3_calls * CHUNK_COUNT
    assert count_calls_to(log, DYNAMODB) <= dynamodb_calls * CHUNK_COUNT + senders
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


@pytest.mark.parametrize(
    ("parts", "last_part_chunks"),
    [(1, 1), (1, 2), (3, 2), (1_000, 1), (1_001, 2), (2_000, 2), pytest.param(10_000, 2, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("replace", [False, True])
def test_presigned_parts_stay_within_call_budget(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch, parts: int, last_part_chunks: int, replace: bool
) -> None:
    """Beside its parts and their signing, a file takes 9 calls and one for each thousand parts, and one more if it may
    replace another file; 3 of the 9 are calls of S3. Signing takes two calls for each hundred parts, and one. A last
    part of one chunk takes two more.
    """
    for name, value in {"MIN_CHUNK_BYTES": 4, "DEFAULT_PART_BYTES": 8}.items():
        monkeypatch.setattr(f"ferry.rules.layout.{name}", value)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", 8)
    client = Client(service, seeded_bytes((parts - 1) * 8 + last_part_chunks * 4), chunk_size=4)
    log, signing = CallLog(), CallLog()
    services = service.new_services(log=log)
    client.start(services, if_exists=IfExists.REPLACE if replace else IfExists.FAIL)
    for first in range(1, parts + 1, 100):
        numbers = [(number, None) for number in range(first, min(first + 100, parts + 1))]
        for part in presign_parts(service.new_services(log=signing), NS, PartsRequest(NAME, numbers, client.upload_id)):
            assert client.put_part(part, client.part_body(part.part_number)).status == 200
    assert isinstance(client.complete(services, upload_id=client.upload_id), File)
    assert service.file_content() == client.body

    pages = -(-parts // 1_000)
    assert (log.count("list_parts"), service.object_store.list_parts_calls) == (1, pages)
    s3, dynamodb = count_calls_to(log, S3) - 1 + pages, count_calls_to(log, DYNAMODB)
    assert s3 == 3 + pages
    assert s3 + dynamodb == 9 + pages + replace
    assert (
        count_calls_to(signing, DYNAMODB)
        == len(signing.calls)
        == 1 + 2 * -(-parts // 100) + 2 * (last_part_chunks == 1)
    )


def test_chunk_repeated_costs_two_reads(service: InMemoryService) -> None:
    """A repeated chunk takes two reads, and writes nothing."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    client.send_chunk(1)
    log = CallLog()
    send_chunk(client, 1, log, None, "")
    assert log.methods == ["get_upload", "get_chunk_digests"]
