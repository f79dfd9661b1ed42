"""Sequential uploads: any length and alignment, unknown lengths, the last append, other bytes at an offset."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from ferry.errors import (
    BackendUnavailable,
    ChecksumMismatch,
    ChunkTooLarge,
    FileExists,
    InconsistentLength,
    LengthExceeded,
    OffsetMismatch,
    UploadExpired,
    UploadNotFound,
)
from ferry.model.files import IfExists
from ferry.model.sequential import MAX_PIECES, Protocol
from ferry.model.uploads import UploadState
from ferry.resumable.pieces import first_to_join
from ferry.rules.digests import Digest, crc32c
from ferry.rules.durations import DAY_MS
from tests.support.in_memory_service import CHUNK_BYTES, LEASE_MS, NAME, NS, InMemoryService, seeded_bytes
from tests.support.sequential_client import SequentialClient
from tests.unit.resumable.conftest import PART_BYTES

SIZES = [0, 1, 5, CHUNK_BYTES, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 77]


@pytest.mark.parametrize("append_size", [CHUNK_BYTES, CHUNK_BYTES - 3, 1_000, PART_BYTES // 4 + 1])
@pytest.mark.parametrize("size", SIZES)
def test_append_any_length_and_alignment_makes_the_file(service: InMemoryService, size: int, append_size: int) -> None:
    """Whatever the appends are, the file has the bytes in their order, and nothing else is left."""
    client = SequentialClient(service, seeded_bytes(size))
    client.create()
    result = client.send(append_size)
    assert result.file is not None
    assert (service.file_content(), result.file.crc32c) == (client.body, crc32c(client.body))
    assert (client.offset(), client.state()) == (size, UploadState.COMPLETE)
    service.drain_cleanup()
    assert service.orphans() == []
    service.assert_events_published()


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES, 5 * PART_BYTES + 3])
def test_append_deferred_length_makes_the_file(service: InMemoryService, size: int) -> None:
    """An upload without a length ends with the request that declares it, which may be empty."""
    client = SequentialClient(service, seeded_bytes(size))
    client.create(length=None)
    for offset in range(0, size, CHUNK_BYTES - 1):
        client.append(offset, CHUNK_BYTES - 1)
    assert client.offset() == size
    assert client.append(size, 0, length=size).file is not None
    assert service.file_content() == client.body


def test_append_one_byte_at_a_time_rewrites_each_byte_few_times(service: InMemoryService) -> None:
    """A client of tiny appends does not rewrite the bytes of a chunk with each of them."""
    client = SequentialClient(service, seeded_bytes(400))
    client.create(length=None)
    log = CallLog()
    services = service.new_services(log=log)
    for offset in range(400):
        client.append(offset, 1, services)
        assert len(client.upload().record.sequential.pieces) < MAX_PIECES  # type: ignore[union-attr]
    written = sum(len(call.args[1]) for call in log.calls if call.method == "put")
    assert written < 400 * 6
    assert len(service.object_store.objects) < MAX_PIECES
    client.append(400, 0, length=400)
    assert service.file_content() == client.body


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([1] * 16, 0), ([16] + [1] * 15, 0), ([100] + [1] * 15, 1), ([3**n for n in range(15, -1, -1)], 14)],
)
def test_first_to_join_stops_at_larger_pieces(sizes: list[int], expected: int) -> None:
    """The run that is joined ends at a piece with more than twice the bytes behind it."""
    assert first_to_join(sizes) == expected


def test_append_aligned_stays_within_call_budget(service: InMemoryService) -> None:
    """An append on the boundaries of chunks takes at most 1.5 S3 calls, one read and 1.5 writes; it joins nothing."""
    client = SequentialClient(service, seeded_bytes(20 * CHUNK_BYTES))
    client.create()
    for offset in range(0, 4 * CHUNK_BYTES, CHUNK_BYTES):
        client.append(offset, CHUNK_BYTES)
    log = CallLog()
    services = service.new_services(log=log)
    for offset in range(4 * CHUNK_BYTES, 16 * CHUNK_BYTES, CHUNK_BYTES):
        client.append(offset, CHUNK_BYTES, services)
    s3 = sum(call.port == "MemoryObjectStore" for call in log.calls)
    writes = log.count("change_sequential")
    assert (s3, writes, log.count("get_upload")) == (12 * 1.5, 12 * 1.5, 12)


def test_append_wrong_offset_changes_nothing(service: InMemoryService) -> None:
    """Bytes that begin elsewhere are rejected with the present offset."""
    client = SequentialClient(service, seeded_bytes(1_000))
    client.create()
    client.append(0, 100)
    for offset in (0, 99, 101, 1_000):
        with pytest.raises(OffsetMismatch) as rejected:
            client.append(offset, 10)
        assert rejected.value.extra == {"expected_offset": 100, "provided_offset": offset}
    assert client.offset() == 100


def test_append_beyond_length_is_rejected(service: InMemoryService) -> None:
    """No byte goes beyond the declared length, which does not change."""
    client = SequentialClient(service, seeded_bytes(100))
    client.create()
    with pytest.raises(LengthExceeded):
        client.append(0, 0, body=bytes(101))
    with pytest.raises(InconsistentLength):
        client.append(0, 10, length=99)
    with pytest.raises(InconsistentLength):
        client.append(0, 10, is_last=True)
    assert client.offset() == 0


def test_append_wrong_checksum_stores_nothing(service: InMemoryService) -> None:
    """A checksum is verified before anything is stored."""
    client = SequentialClient(service, seeded_bytes(100))
    client.create()
    with pytest.raises(ChecksumMismatch):
        client.append(0, 10, checksums=(Digest("crc32c", bytes(4)),))
    assert (client.offset(), service.object_store.objects) == (0, {})


def test_append_over_4_mib_is_rejected(service: InMemoryService) -> None:
    """A request has at most 4 MiB."""
    client = SequentialClient(service, b"")
    client.create(length=None)
    with pytest.raises(ChunkTooLarge):
        client.append(0, 0, body=bytes(4 * 1024 * 1024 + 1))


def test_last_append_repeated_with_same_bytes_succeeds(service: InMemoryService) -> None:
    """The last request, repeated with the same bytes, gets the same file; with others it is a conflict."""
    client = SequentialClient(service, seeded_bytes(100))
    client.create()
    client.append(0, 60)
    first = client.append(60, 40)
    assert client.append(60, 40).file == first.file
    with pytest.raises(OffsetMismatch):
        client.append(60, 40, body=bytes(40))
    with pytest.raises(OffsetMismatch):
        client.append(0, 60)
    assert client.append(100, 0).file == first.file


def test_last_append_file_exists_keeps_the_offset_below_the_length(service: InMemoryService) -> None:
    """Where a file came meanwhile, `fail` rejects the end, and tus does not take the upload as complete."""
    client = SequentialClient(service, seeded_bytes(100))
    client.create(if_exists=IfExists.FAIL)
    other = SequentialClient(service, b"other")
    other.create(if_exists=IfExists.FAIL)
    client.append(0, 60)
    other.send(5)
    for _ in range(2):
        with pytest.raises(FileExists):
            client.append(60, 40)
        assert (client.offset(), client.state()) == (60, UploadState.OPEN)
    assert service.file_content() == b"other"


def test_create_fail_taken_name_is_rejected(service: InMemoryService) -> None:
    """Under `fail` a file makes the name taken; an open upload does not."""
    SequentialClient(service, b"1").create(if_exists=IfExists.FAIL)
    first = SequentialClient(service, b"first")
    first.create(if_exists=IfExists.FAIL)
    first.send(5)
    with pytest.raises(FileExists):
        SequentialClient(service, b"2").create(if_exists=IfExists.FAIL)


def test_rename_gives_each_upload_a_name_of_its_own(service: InMemoryService) -> None:
    """Under `rename` files and open uploads make a name taken, and each upload becomes a file."""
    clients = [SequentialClient(service, f"file {number}".encode()) for number in range(3)]
    names = [client.create().record.name for client in clients]
    assert names == [NAME, "a file (2).bin", "a file (3).bin"]
    for client in reversed(clients):
        client.send(6)
    assert [service.file_content(name) for name in names] == [client.body for client in clients]


def test_rename_name_taken_at_the_end_uses_the_next_free_one(service: InMemoryService) -> None:
    """A name is not reserved: where it is taken when the file is committed, the file gets the next free one."""
    client = SequentialClient(service, b"mine")
    client.create()
    other = SequentialClient(service, b"other")
    other.create(if_exists=IfExists.REPLACE)
    other.send(5)
    result = client.send(4)
    assert result.file is not None
    assert result.file.name == "a file (2).bin"
    assert (service.file_content(), service.file_content("a file (2).bin")) == (b"other", b"mine")


def test_upload_without_name_has_its_id_as_name(service: InMemoryService) -> None:
    """Without a name the upload id is the name."""
    client = SequentialClient(service, b"x")
    assert client.create(name=None).record.name == client.upload_id


def test_draft_shows_durable_offset_before_the_end(service: InMemoryService) -> None:
    """All bytes without an end wait for it, and count; an empty last request ends the upload."""
    client = SequentialClient(service, seeded_bytes(100), Protocol.DRAFT)
    client.create()
    client.append(0, 100, is_last=False)
    assert (client.offset(), client.state()) == (100, UploadState.OPEN)
    assert client.append(100, 0, is_last=True).file is not None
    assert client.append(100, 0, is_last=True).file is not None


def test_upload_of_other_protocol_or_namespace_is_not_found(service: InMemoryService) -> None:
    """An upload speaks the protocol that created it."""
    client = SequentialClient(service, b"xx")
    client.create()
    client.protocol = Protocol.DRAFT
    with pytest.raises(UploadNotFound):
        client.append(0, 1)


def test_idle_upload_expires_and_leaves_nothing(service: InMemoryService) -> None:
    """An append is activity; without one the upload expires, and its pieces and parts are deleted."""
    client = SequentialClient(service, seeded_bytes(3 * PART_BYTES))
    client.create()
    for offset in range(0, 2 * PART_BYTES, CHUNK_BYTES):
        service.clock.advance(DAY_MS - 1)
        client.append(offset, CHUNK_BYTES)
    service.clock.advance(DAY_MS)
    with pytest.raises(UploadExpired):
        client.append(2 * PART_BYTES, 1)
    service.drain_cleanup()
    assert service.orphans() == []
    service.assert_events_published()


def test_delete_open_upload_removes_it(service: InMemoryService) -> None:
    """A deleted upload is not found, and what it stored is gone."""
    client = SequentialClient(service, seeded_bytes(3 * PART_BYTES))
    client.create()
    client.append(0, CHUNK_BYTES)
    assert client.delete() is None
    for call in (client.delete, lambda: client.append(CHUNK_BYTES, 1), client.offset):
        with pytest.raises(UploadNotFound):
            call()
    service.drain_cleanup()
    assert service.orphans() == []


def test_delete_complete_upload_keeps_the_file(service: InMemoryService) -> None:
    """The upload is forgotten; its file stays."""
    client = SequentialClient(service, b"abc")
    client.create()
    client.send(3)
    assert client.delete() == NAME
    with pytest.raises(UploadNotFound):
        client.delete()
    assert service.file_content() == b"abc"


def test_two_appends_at_one_offset_one_wins(service: InMemoryService) -> None:
    """Of two appends at one offset, whatever they complete, one is stored; the other one is a conflict."""
    for size in (10, CHUNK_BYTES):
        client = SequentialClient(service, seeded_bytes(4 * PART_BYTES))
        client.create()
        client.append(0, CHUNK_BYTES)
        other = seeded_bytes(size, seed=7)
        for method in ("put", "change_sequential", "upload_part"):
            start = client.offset()
            plan = FaultPlan({(method, 1): partial(append_quietly, client, start, other)})
            try:
                client.append(start, size, service.new_services(plan))
                stored = client.body[start : start + size]
            except OffsetMismatch:
                stored = other
            assert client.offset() == start + size
            client.body = client.body[:start] + stored + client.body[start + size :]
        client.send(CHUNK_BYTES, client.offset())
        assert service.file_content(client.upload().record.name) == client.body


@pytest.mark.parametrize("suspended_before", ["get", "upload_part"])
def test_part_of_a_process_that_was_suspended_is_in_no_file(service: InMemoryService, suspended_before: str) -> None:
    """A process that goes on after its claim has ended uploads no part. If its part was on the way to S3 and comes
    late, over the one of an acknowledged append, the upload ends: no file has bytes that were not acknowledged.
    """
    client = SequentialClient(service, seeded_bytes(2 * PART_BYTES))
    client.create()
    client.append(0, CHUNK_BYTES)

    def resume_after_another_append() -> None:
        service.clock.advance(LEASE_MS + 1)
        client.append(CHUNK_BYTES, CHUNK_BYTES)

    suspended = service.new_services(FaultPlan({(suspended_before, 1): resume_after_another_append}))
    with pytest.raises(OffsetMismatch):
        client.append(CHUNK_BYTES, 0, suspended, seeded_bytes(CHUNK_BYTES, seed=9))
    if suspended_before == "get":
        client.send(CHUNK_BYTES, PART_BYTES)
        assert service.file_content() == client.body
        return
    with pytest.raises(UploadExpired, match="bytes of this upload are gone"):
        client.send(CHUNK_BYTES, PART_BYTES)
    assert service.file_content() is None
    service.drain_cleanup()
    assert service.orphans() == []


def append_quietly(client: SequentialClient, offset: int, body: bytes) -> None:
    with suppress(OffsetMismatch, BackendUnavailable):
        client.append(offset, 0, body=body)


def test_lists_show_open_sequential_uploads(service: InMemoryService) -> None:
    """An open sequential upload is in the namespace's list, and an ended one is not."""
    client = SequentialClient(service, b"abc")
    client.create()
    page = service.upload_repository.list_open_uploads(NS, None, 10)
    assert [(each.name, each.upload_id, each.is_sequential) for each in page.items] == [(NAME, client.upload_id, True)]
    client.send(3)
    assert service.upload_repository.list_open_uploads(NS, None, 10).items == []
