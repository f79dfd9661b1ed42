"""An instance that knows an earlier state of an upload: what another instance has done since decides."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.errors import (
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    CompletionInProgress,
    FerryError,
    UploadCancelled,
    UploadIncomplete,
)
from ferry.model.files import File
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, SECOND_MS
from ferry.services import Services
from tests.support.in_memory_service import CHUNK_BYTES, Client, InMemoryService, seeded_bytes, swallow_crash

PART_BYTES = 2 * CHUNK_BYTES
TIMEOUT_MS = 29 * SECOND_MS
OTHER = seeded_bytes(CHUNK_BYTES, seed=9)


def start_client(service: InMemoryService, *chunks: int, size: int = PART_BYTES) -> Client:
    """Start, and send chunks, after which `service.services` knows the upload."""
    client = Client(service, seeded_bytes(size))
    client.start()
    for index in chunks:
        client.send_chunk(index)
    return client


def stale(service: InMemoryService, plan: FaultPlan | None = None) -> Services:
    return service.new_services(plan, CallLog(), warm=service.services)


def test_rejected_chunk_does_not_replace_part_sent_to_s3(service: InMemoryService) -> None:
    """A chunk that is rejected because the upload is being completed leaves a part that was sent to S3 as it is."""
    client = start_client(service, 1)
    other = service.new_services(log=CallLog())
    direct = seeded_bytes(PART_BYTES, seed=5)
    assert client.put_part(client.presign_part(1, other), direct).status == 200

    def send_late() -> None:
        with pytest.raises(CompletionInProgress):
            client.send_chunk(2, stale(service), OTHER)

    completing = service.new_services(FaultPlan({("complete_multipart", 1): send_late}), CallLog())
    assert isinstance(client.complete(completing), File)
    assert service.file_content() == direct


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.UNAVAILABLE])
def test_chunk_that_fails_does_not_replace_part_sent_to_s3(service: InMemoryService, fault: Fault) -> None:
    """A chunk that is not recorded leaves a part that was sent to S3 as it is."""
    client = start_client(service, 1)
    other = service.new_services(log=CallLog())
    direct = seeded_bytes(PART_BYTES, seed=5)
    assert client.put_part(client.presign_part(1, other), direct).status == 200
    swallow_crash(partial(client.send_chunk, 2, stale(service, FaultPlan({("record_chunk", 1): fault})), OTHER))
    assert isinstance(client.complete(other), File)
    assert service.file_content() == direct


def test_part_of_dead_request_with_second_digest_counts_for_nothing(service: InMemoryService) -> None:
    """A request that shares a digest which replaced another one assembles no part before its chunk is recorded."""
    client = start_client(service, 1)
    second, third = seeded_bytes(CHUNK_BYTES, seed=7), seeded_bytes(CHUNK_BYTES, seed=8)
    dying = service.new_services(FaultPlan({("put", 1): Fault.CRASH_BEFORE, ("upload_part", 1): Fault.CRASH_BEFORE}))
    swallow_crash(partial(client.send_chunk, 2, dying, OTHER))
    service.clock.advance(TIMEOUT_MS)
    replacing = service.new_services(FaultPlan({("replace_chunk_digest", 1): Fault.CRASH_AFTER}))
    swallow_crash(partial(client.send_chunk, 2, replacing, second))
    swallow_crash(
        partial(client.send_chunk, 2, stale(service, FaultPlan({("record_chunk", 1): Fault.CRASH_BEFORE})), second)
    )
    service.clock.advance(TIMEOUT_MS + SECOND_MS)
    replacing = service.new_services(FaultPlan({("replace_chunk_digest", 1): Fault.CRASH_AFTER}))
    swallow_crash(partial(client.send_chunk, 2, replacing, third))
    with suppress(UploadIncomplete):
        client.presign_part(1)
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete()
    assert rejected.value.extra["missing"] == [(2, 2)]


@pytest.mark.parametrize(
    ("sent", "presigned", "marked"),
    [((1,), 1, [1]), ((1,), 3, [3]), ((1,), 2, []), ((1, 2), 1, []), ((), 1, []), ((), 3, [3])],
)
def test_presign_marks_parts_that_one_chunk_completes(
    service: InMemoryService, sent: tuple[int, ...], presigned: int, marked: list[int]
) -> None:
    """Only a part that lacks one chunk is marked, before its URL exists. The last part may have one chunk only."""
    client = start_client(service, *sent, size=2 * PART_BYTES + 5)
    log = CallLog()
    client.presign_part(presigned, service.new_services(log=log))
    assert [list(call.args[1]) for call in log.calls if call.method == "mark_parts_presigned"] == [marked] * bool(
        marked
    )


def test_part_is_marked_at_every_signing(service: InMemoryService) -> None:
    """An instance may know the upload as it was before the first signing, so a part that is signed later is marked."""
    client = start_client(service, 1, 3, size=2 * PART_BYTES)
    other = service.new_services(log=CallLog())
    client.presign_part(1, other)
    direct = seeded_bytes(PART_BYTES, seed=5)
    assert client.put_part(client.presign_part(2, other), direct).status == 200
    plan = FaultPlan({("record_chunk", 1): Fault.CRASH_BEFORE})
    swallow_crash(partial(client.send_chunk, 4, stale(service, plan), OTHER))
    client.send_chunk(2, other)
    assert isinstance(client.complete(other), File)
    content = service.file_content()
    assert content is not None
    assert content[PART_BYTES:] == direct


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("before", ["upload_part", "record_chunk"])
def test_part_signed_while_its_last_chunk_is_in_flight_takes_the_same_bytes(
    service: InMemoryService, before: str, is_known: bool
) -> None:
    """A request that does not know of the signing may assemble the part, so S3 takes its bytes alone for a while."""
    client = start_client(service, 1)
    other, direct = service.new_services(log=CallLog()), seeded_bytes(PART_BYTES, seed=5)

    def sign_and_put() -> None:
        part = client.presign_part(1, other)
        assert client.put_part(part, direct).status == 400
        assert client.put_part(part, client.chunk_body(1) + OTHER).status == 200
        assert client.presign_part(1, other, crc32c(client.chunk_body(1) + OTHER)).headers == part.headers
        with pytest.raises(ChunkConflict, match="sending chunk 2, which completes part 1"):
            client.presign_part(1, other, crc32c(direct))
        raise ProcessCrashed

    plan = FaultPlan({(before, 1): sign_and_put})
    swallow_crash(
        partial(client.send_chunk, 2, stale(service, plan) if is_known else service.new_services(plan), OTHER)
    )
    service.clock.advance(TIMEOUT_MS)
    assert client.put_part(client.presign_part(1, other), direct).status == 200
    assert isinstance(client.complete(other), File)
    assert service.file_content() == direct


@pytest.mark.parametrize("before", ["put_chunk_digest", "upload_part", "record_chunk"])
def test_part_of_one_chunk_signed_while_that_is_in_flight_is_not_replaced(
    service: InMemoryService, before: str
) -> None:
    """It holds for the first chunk of an upload, too: one that is not recorded replaces nothing that S3 accepted."""
    client = start_client(service, size=PART_BYTES + 5)
    other, direct, last_chunk = service.new_services(log=CallLog()), seeded_bytes(5, seed=5), OTHER[:5]
    statuses = []

    def sign_and_put() -> None:
        statuses.append(client.put_part(client.presign_part(2, other), direct).status)

    def sign_put_and_die() -> None:
        sign_and_put()
        raise ProcessCrashed

    plan = FaultPlan({("record_chunk", 1): Fault.CRASH_BEFORE, (before, 1): sign_and_put})
    if before == "record_chunk":
        plan = FaultPlan({(before, 1): sign_put_and_die})
    swallow_crash(partial(client.send_chunk, 3, service.new_services(plan), last_chunk))
    client.send_chunks([1, 2])
    assert statuses == [200 if before == "put_chunk_digest" else 400]
    assert isinstance(client.complete(other), File)
    content = service.file_content()
    assert content is not None
    assert content[PART_BYTES:] == (direct if before == "put_chunk_digest" else last_chunk)


@pytest.mark.parametrize("is_repeated", [True, False], ids=["repeated after a dead request", "suspended"])
def test_request_whose_digest_is_old_assembles_no_part_before_its_record(
    service: InMemoryService, is_repeated: bool
) -> None:
    """Of a digest older than a function can live, a signing takes it that no request is about to assemble the part."""
    client = start_client(service, 1)
    other, direct = service.new_services(log=CallLog()), seeded_bytes(PART_BYTES, seed=5)
    statuses = []

    def sign_and_put() -> None:
        statuses.append(client.put_part(client.presign_part(1, other), direct).status)

    if is_repeated:
        dying = service.new_services(FaultPlan({("upload_part", 1): Fault.CRASH_BEFORE}))
        swallow_crash(partial(client.send_chunk, 2, dying, OTHER))
        service.clock.advance(TIMEOUT_MS + SECOND_MS)
    plan = FaultPlan({("upload_part", 1): sign_and_put, ("put", 1): sign_and_put})
    plan.steps = {**plan.steps, ("record_chunk", 1): Fault.CRASH_BEFORE}
    if not is_repeated:
        plan.steps = {**plan.steps, ("put_chunk_digest", 1): Fault.SLOW}
    swallow_crash(partial(client.send_chunk, 2, service.new_services(plan), OTHER))
    assert statuses == [200]
    assert isinstance(client.complete(other), File)
    assert service.file_content() == direct


def test_conflict_in_upload_that_has_ended_is_not_answered(service: InMemoryService) -> None:
    """Other bytes for a chunk of an upload that was cancelled meanwhile get that error, not a conflict."""
    client = start_client(service, 1)
    other = service.new_services(log=CallLog())
    client.send_chunk(2, other)
    client.cancel(other)
    with pytest.raises(UploadCancelled):
        client.send_chunk(2, stale(service), OTHER)


def test_chunk_while_known_expiry_passes_is_accepted(service: InMemoryService) -> None:
    """An upload that looks expired once the chunk is stored is read again, because others may have kept it active."""
    client = start_client(service, 1, size=2 * PART_BYTES)
    service.clock.advance(DAY_MS - 30 * SECOND_MS)
    [known] = [service.upload_repository.get_upload(client.upload_id)]
    assert known is not None
    client.send_chunk(2, service.new_services(log=CallLog()))
    service.services.open_upload_cache.put(known, service.clock())
    log = CallLog()
    plan = FaultPlan({("put", 1): lambda: service.clock.advance(30 * SECOND_MS)})
    accepted = client.send_chunk(3, service.new_services(plan, log, warm=service.services))
    assert (accepted.received_bytes, log.count("get_upload")) == (3 * CHUNK_BYTES, 1)


@pytest.mark.parametrize(
    ("index", "body", "error"),
    [
        (2, OTHER[:-1], ChunkSizeMismatch),
        (2, OTHER + b"x", ChunkSizeMismatch),
        (3, OTHER, ChunkSizeMismatch),
        (4, OTHER, ChunkIndexOutOfRange),
        (0, OTHER, ChunkIndexOutOfRange),
        (1, OTHER, ChunkConflict),
    ],
)
def test_chunk_that_does_not_fit_known_upload_stores_nothing(
    service: InMemoryService, index: int, body: bytes, error: type[FerryError]
) -> None:
    """A chunk of a known upload is checked as that of another, before anything is stored."""
    client = start_client(service, 1, size=PART_BYTES + 5)
    log = CallLog()
    with pytest.raises(error):
        client.send_chunk(index, service.new_services(log=log, warm=service.services), body)
    assert [method for method in log.methods if not method.startswith("get")] == []
