"""An upload from start to file, by either path, and every error on the way."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from dev.fakes.faults import CallLog, FaultPlan, FaultStep
from ferry.errors import (
    ChecksumMismatch,
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    FerryError,
    FileExists,
    PartNumberOutOfRange,
    UploadAlreadyComplete,
    UploadCancelled,
    UploadIncomplete,
    UploadInProgress,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.digests import Digest, crc32c
from ferry.rules.durations import DAY_MS
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.presign import PresignedPart
from ferry.uploads.received import compute_received, uploaded_parts
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes
from tests.unit.uploads.situations import complete_after_other_file

PART_BYTES = 2 * CHUNK_BYTES
EDGE_SIZES = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    PART_BYTES - 1,
    PART_BYTES,
    PART_BYTES + 1,
    3 * PART_BYTES + 1,
]


def start_client(service: InMemoryService, size: int = 3 * PART_BYTES + 1, seed: int = 1, **options: Any) -> Client:
    client = Client(service, seeded_bytes(size, seed))
    client.start(**options)
    return client


@pytest.mark.parametrize("size", EDGE_SIZES)
def test_chunks_any_order_produce_file(service: InMemoryService, size: int) -> None:
    """For every size at the edges, shuffled chunks give the client's file and its CRC32C."""
    client = start_client(service, size)
    order = list(range(1, client.chunk_count + 1))
    random.Random(size).shuffle(order)
    for count, index in enumerate(order, 1):
        accepted = client.send_chunk(index)
        assert accepted.received_bytes == sum(len(client.chunk_body(done)) for done in order[:count])
    file = client.complete()
    assert isinstance(file, File)
    assert (service.file_content(), file.size, file.crc32c) == (client.body, size, client.crc)


@pytest.mark.parametrize("size", [size for size in EDGE_SIZES if size])
def test_presigned_parts_any_order_produce_file(service: InMemoryService, size: int) -> None:
    """Parts sent by presigned PUT, the last first, give the client's file; no ETag is sent back."""
    client = start_client(service, size)
    for number in reversed(range(1, -(-size // PART_BYTES) + 1)):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_chunks_and_presigned_parts_mixed_produce_file(service: InMemoryService) -> None:
    """A client may send one part as chunks, one straight, and one straight after its first chunk."""
    client = start_client(service)
    client.send_chunks([1, 2, 5])
    for number in (2, 3):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    received = compute_received(upload, uploaded_parts(service.services, upload))
    assert (received.chunks, received.parts, received.total_bytes) == ([(1, 6)], [(1, 3)], 3 * PART_BYTES)
    client.send_chunk(7)
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_presigned_put_after_chunks_keeps_acknowledged_chunks(service: InMemoryService) -> None:
    """If a URL signed earlier overwrites a part that chunks have completed since, the chunks are the file."""
    client = start_client(service, PART_BYTES)
    late = client.presign_part(1)
    client.send_chunks()
    assert client.put_part(late, seeded_bytes(PART_BYTES, seed=9)).status == 200
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_presign_part_complete_from_chunks_requires_its_checksum(service: InMemoryService) -> None:
    """A part that chunks have completed is signed with its checksum; a request with a different one is a conflict."""
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    part = client.presign_part(1)
    assert client.put_part(part, seeded_bytes(PART_BYTES, seed=9)).status == 400
    assert client.put_part(part, client.body).status == 200
    with pytest.raises(ChunkConflict):
        client.presign_part(1, crc=crc32c(b"other"))
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_presign_part_expires_with_credentials(service: InMemoryService) -> None:
    """A part's URL names the lifetime that the store could sign, and works until then."""
    client = start_client(service, PART_BYTES)
    started_at = service.clock()
    assert client.presign_part(1).expires_at == started_at + 900_000
    service.object_store.credentials_expire_at = started_at + 600_000
    part = client.presign_part(1)
    assert part.expires_at == started_at + 600_000
    service.clock.advance(600_000)
    assert client.put_part(part, client.body).status == 403


def test_chunk_part_presigned_during_assembly_is_staged(service: InMemoryService) -> None:
    """If the part is presigned before the chunk is recorded, the chunk is staged, and the URL takes its bytes only."""
    client = start_client(service, PART_BYTES)
    client.send_chunk(1)
    urls: list[PresignedPart] = []
    steps: dict[int | tuple[str, int], FaultStep] = {("record_chunk", 1): lambda: urls.append(client.presign_part(1))}
    log = CallLog()
    client.send_chunk(2, services=service.new_services(FaultPlan(steps), log))
    assert [name for name in log.methods if name in ("put", "record_chunk")] == ["record_chunk", "put", "record_chunk"]
    assert client.put_part(urls[0], seeded_bytes(PART_BYTES, seed=9)).status == 400
    assert client.put_part(urls[0], client.body).status == 200
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_complete_store_without_part_checksums_keeps_chunks(service: InMemoryService) -> None:
    """With a store that lists no checksums, a part assembled before the first URL needs no staged last chunk."""
    service.object_store.lists_part_crc32c = False
    client = start_client(service, 2 * PART_BYTES)
    client.send_chunks([1, 2])
    late = client.presign_part(2)
    client.send_chunks([3, 4])
    assert client.put_part(late, seeded_bytes(PART_BYTES, seed=9)).status == 200
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_chunk_repeated_succeeds_other_bytes_conflict(service: InMemoryService) -> None:
    """Staged or assembled, the first accepted bytes stay."""
    client = start_client(service, PART_BYTES)
    first = client.send_chunk(1)
    assert client.send_chunk(1) == first
    whole = client.send_chunk(2)
    assert client.send_chunk(2) == whole
    for index in (1, 2):
        with pytest.raises(ChunkConflict):
            client.send_chunk(index, body=seeded_bytes(CHUNK_BYTES, seed=9))
    client.complete()
    assert service.file_content() == client.body


def test_chunk_invalid_writes_nothing(service: InMemoryService) -> None:
    """A chunk with a wrong index, length, digest or upload changes nothing."""
    client = start_client(service, PART_BYTES + 1)
    before = (
        service.upload_repository.snapshot(),
        dict(service.object_store.objects),
        dict(service.object_store.multipart_uploads),
    )
    cases: list[tuple[ChunkRequest, type[FerryError]]] = [
        (ChunkRequest(NAME, 0, client.chunk_body(1)), ChunkIndexOutOfRange),
        (ChunkRequest(NAME, 4, client.chunk_body(1)), ChunkIndexOutOfRange),
        (ChunkRequest(NAME, 1, client.chunk_body(1)[:-1]), ChunkSizeMismatch),
        (ChunkRequest(NAME, 3, client.chunk_body(1)), ChunkSizeMismatch),
        (ChunkRequest(NAME, 1, client.chunk_body(1), checksums=(Digest("crc32c", b"\0\0\0\0"),)), ChecksumMismatch),
        (ChunkRequest("other", 1, client.chunk_body(1)), UploadNotFound),
        (ChunkRequest(NAME, 1, client.chunk_body(1), upload_id="f" * 32), UploadSuperseded),
    ]
    for request, error in cases:
        with pytest.raises(error):
            accept_chunk(service.services, NS, request)
    with pytest.raises(UploadNotFound):
        accept_chunk(
            service.services,
            "another namespace",
            ChunkRequest(NAME, 1, client.chunk_body(1), upload_id=client.upload_id),
        )
    with pytest.raises(PartNumberOutOfRange):
        client.presign_part(3)
    assert before == (
        service.upload_repository.snapshot(),
        service.object_store.objects,
        service.object_store.multipart_uploads,
    )


def test_start_open_upload_resumes_only_same_content(service: InMemoryService) -> None:
    """A start resumes an upload of the same size, checksum and fingerprint; restart cancels it first."""
    client = start_client(service, PART_BYTES, fingerprint="a")
    client.send_chunk(1)
    again = client.start(fingerprint="a")
    assert (again.created, again.upload and again.upload.recorded_chunk_bytes) == (False, CHUNK_BYTES)
    first = client.upload_id
    for options in ({}, {"fingerprint": "b"}, {"fingerprint": "a", "crc32c": 7}):
        with pytest.raises(UploadInProgress) as rejected:
            client.start(**options)
        assert rejected.value.extra["upload_id"] == first
    assert client.start(fingerprint="b", restart=True).created
    assert client.upload_id != first
    with pytest.raises(UploadSuperseded):
        accept_chunk(service.services, NS, ChunkRequest(NAME, 1, client.chunk_body(1), upload_id=first))
    assert list(service.object_store.objects) == []


def test_start_same_content_returns_file(service: InMemoryService) -> None:
    """A start for a file that is there returns it; a different one is rejected unless it may replace the file."""
    client = start_client(service, PART_BYTES, crc32c=crc32c(seeded_bytes(PART_BYTES)))
    client.send_chunks()
    file = client.complete()
    assert client.start(crc32c=client.crc).file == file
    for crc in (None, 7):
        with pytest.raises(FileExists):
            client.start(crc32c=crc)
    assert client.start(if_exists=IfExists.REPLACE).created


def test_complete_missing_bytes_lists_missing_chunks(service: InMemoryService) -> None:
    """An incomplete upload stays open, and its error lists the missing chunks."""
    client = start_client(service)
    client.send_chunks([1, 2, 4, 7])
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete()
    assert rejected.value.extra["missing"] == [(3, 3), (5, 6)]
    client.send_chunks([3, 5, 6])
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_complete_part_of_wrong_size_is_missing(service: InMemoryService) -> None:
    """A listed part of a different size is reported as missing."""
    client = start_client(service, PART_BYTES + 5)
    client.put_part(client.presign_part(2), client.part_body(2))
    service.object_store.upload_part(f"o/{client.upload_id}", "mp-1", 1, b"short", crc32c=crc32c(b"short"))
    with pytest.raises(UploadIncomplete) as rejected:
        client.complete()
    assert rejected.value.extra["missing"] == [(1, 2)]


@pytest.mark.parametrize("presigned", [False, True])
def test_complete_wrong_checksum_leaves_upload_open(service: InMemoryService, presigned: bool) -> None:
    """After a wrong checksum the upload stays open; the right one, sent later, overrides that of the start."""
    client = start_client(service, PART_BYTES, crc32c=1)
    if presigned:
        client.put_part(client.presign_part(1), client.body)
    else:
        client.send_chunks()
    for crc in (None, 2):
        with pytest.raises(ChecksumMismatch):
            client.complete(crc32c=crc)
        assert client.state() is UploadState.OPEN
    assert isinstance(client.complete(crc32c=client.crc), File)
    assert service.file_content() == client.body


def test_complete_repeated_returns_same_file(service: InMemoryService) -> None:
    """Completing again returns the same file, even after it was deleted; chunks and cancels are too late."""
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    file = client.complete()
    service.clock.advance(DAY_MS)
    delete_file(service.services, NS, NAME)
    assert client.complete() == file
    with pytest.raises(UploadAlreadyComplete):
        client.send_chunk(1)
    with pytest.raises(UploadAlreadyComplete):
        client.cancel()


def test_complete_upload_id_while_other_is_open_gets_its_file(service: InMemoryService) -> None:
    """While another upload is open, the id of a complete one is superseded: the error has the name's file. Once none is
    open, the id returns its file again. A repeated cancel cannot cancel a newer upload.
    """
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    file = client.complete()
    done = client.upload_id
    client.start(if_exists=IfExists.REPLACE)
    with pytest.raises(UploadSuperseded) as rejected:
        client.complete(upload_id=done)
    assert rejected.value.extra == {"current_file": file}
    with pytest.raises(UploadAlreadyComplete):
        cancel(service.services, NS, NAME, done)
    assert client.state() is UploadState.OPEN
    cancel(service.services, NS, NAME, client.upload_id)
    assert client.complete(upload_id=done) == file
    cancel(service.services, NS, NAME, client.upload_id)
    assert client.state() is UploadState.CANCELLED


def test_complete_file_appeared_meanwhile_not_replaced(service: InMemoryService) -> None:
    """A file that appears just before the commit is not replaced. The upload stays open, takes repeated chunks, and may
    replace it later.
    """
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    other = complete_after_other_file(client)
    assert client.state() is UploadState.OPEN
    assert service.file_repository.get_file(NS, NAME) == other
    with pytest.raises(FileExists):
        client.complete()
    client.send_chunk(1)
    with pytest.raises(ChunkConflict):
        accept_chunk(service.services, NS, ChunkRequest(NAME, 1, bytes(len(client.chunk_body(1)))))
    with pytest.raises(ChecksumMismatch):
        client.complete(if_exists=IfExists.REPLACE, crc32c=3)
    assert isinstance(client.complete(if_exists=IfExists.REPLACE), File)
    assert service.file_content() == client.body


def test_cancel_repeated_is_idempotent(service: InMemoryService) -> None:
    """Cancelling twice succeeds, later requests are rejected, S3 has nothing left, and the finished file stays."""
    client = start_client(service, PART_BYTES)
    client.send_chunks()
    client.complete()
    client.body = seeded_bytes(PART_BYTES, seed=2)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunk(1)
    client.presign_part(1)
    client.cancel()
    client.cancel()
    for late in (lambda: client.send_chunk(2), lambda: client.presign_part(1), client.complete):
        with pytest.raises(UploadCancelled):
            late()
    assert service.file_content() == seeded_bytes(PART_BYTES)
    assert [key for key in service.orphans() if client.upload_id in key] == []
    service.drain_cleanup()
    assert service.orphans() == []


def test_uploads_different_names_stay_separate(service: InMemoryService) -> None:
    """Uploads of different names do not affect each other, with their chunks interleaved."""
    clients = [Client(service, seeded_bytes(PART_BYTES + n, seed=n), name=f"file {n}") for n in range(1, 5)]
    for client in clients:
        client.start()
    for index, client in itertools.product((3, 1, 2), clients):
        client.send_chunk(index)
    for client in clients:
        client.complete()
    assert [service.file_content(client.name) == client.body for client in clients] == [True] * 4
