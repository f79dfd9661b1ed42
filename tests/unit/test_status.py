"""The status of a name through the uploads that it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from ferry.errors import NotFound
from ferry.files.delete import delete_file
from ferry.model.files import IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS
from ferry.rules.layout import MIB, ChunkLayout
from ferry.status.snapshot import StatusReport, get_status, list_uploads
from ferry.status.upload_status import UploadStatus
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

PART_BYTES = 8 * MIB
CHUNKS_PER_PART = PART_BYTES // CHUNK_BYTES


@pytest.fixture
def service() -> InMemoryService:
    """A service without files."""
    return InMemoryService()


def read_status(service: InMemoryService, name: str = NAME) -> StatusReport:
    return get_status(service.services, NS, name)


def completed_client(service: InMemoryService, body: bytes) -> Client:
    client = Client(service, body)
    client.start()
    client.send_chunks()
    client.complete_with_retries()
    return client


def test_status_unknown_name_not_found(service: InMemoryService) -> None:
    """A name without upload and file is not found, also where another namespace has an upload of it."""
    Client(service, b"x", ns="other").start()
    with pytest.raises(NotFound) as missing:
        read_status(service)
    assert missing.value.code == "not_found"


def test_status_nothing_received_pending(service: InMemoryService) -> None:
    """A new upload is pending, and every chunk is missing."""
    client = Client(service, seeded_bytes(3 * CHUNK_BYTES + 1))
    client.start()
    found = read_status(service)
    assert (found.filename, found.upload_id, found.state) == (NAME, client.upload_id, UploadStatus.PENDING)
    assert (found.size, found.chunk_size, found.chunk_count) == (3 * CHUNK_BYTES + 1, CHUNK_BYTES, 4)
    assert (found.received_bytes, found.percent, found.next_offset, found.missing) == (0, 0.0, 0, ((1, 4),))
    assert (found.created_at, found.updated_at, found.expires_at) == (
        service.clock.now,
        service.clock.now,
        service.clock.now + DAY_MS,
    )
    assert (found.etag, found.crc32c, found.current_file) == (None, None, None)


# chunks sent of four (the last has one byte) → bytes, percent, missing, next offset
SENT_CASES = [
    ([2], (CHUNK_BYTES, 33.3, ((1, 1), (3, 4)), 0)),
    ([1], (CHUNK_BYTES, 33.3, ((2, 4),), CHUNK_BYTES)),
    ([4], (1, 0.0, ((1, 3),), 0)),
    ([3, 1], (2 * CHUNK_BYTES, 66.6, ((2, 2), (4, 4)), CHUNK_BYTES)),
    ([1, 2, 3], (3 * CHUNK_BYTES, 99.9, ((4, 4),), 3 * CHUNK_BYTES)),
    ([1, 2, 3, 4], (3 * CHUNK_BYTES + 1, 100.0, (), 3 * CHUNK_BYTES + 1)),
]


@pytest.mark.parametrize(("indexes", "arrived"), SENT_CASES)
def test_status_received_chunks_counted(
    service: InMemoryService, indexes: list[int], arrived: tuple[object, ...]
) -> None:
    """Chunks count in any order; 100 percent means that no byte is missing, and the state stays partial until
    completion.
    """
    client = Client(service, seeded_bytes(3 * CHUNK_BYTES + 1))
    client.start(crc32c=7)
    service.clock.advance(1000)
    client.send_chunks(indexes)
    found = read_status(service)
    assert found.state is UploadStatus.PARTIAL
    assert (found.received_bytes, found.percent, found.missing, found.next_offset) == arrived
    assert found.updated_at == found.created_at + 1000
    assert found.expires_at == service.clock.now + DAY_MS
    assert found.crc32c == 7


def test_status_presigned_parts_counted(service: InMemoryService) -> None:
    """The chunks of an uploaded part are not missing any more, and the version grows."""
    client = Client(service, seeded_bytes(2 * PART_BYTES + CHUNK_BYTES))
    client.start()
    client.send_chunk(1)
    signed = client.presign_part(2)
    before = read_status(service)
    assert (before.state, before.received_bytes) == (UploadStatus.PARTIAL, CHUNK_BYTES)
    assert client.put_part(signed, client.part_body(2)).status == 200
    after = read_status(service)
    assert (after.received_bytes, after.missing) == (
        PART_BYTES + CHUNK_BYTES,
        ((2, CHUNKS_PER_PART), (2 * CHUNKS_PER_PART + 1, 2 * CHUNKS_PER_PART + 1)),
    )
    assert after.next_offset == CHUNK_BYTES
    assert after.version > before.version
    assert after.etag_value != before.etag_value


def test_status_without_presigned_parts_skips_listing(service: InMemoryService) -> None:
    """Without presigned parts a status takes two reads of the metadata store."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    client.send_chunk(1)
    log = CallLog()
    get_status(service.new_services(log=log), NS, NAME)
    assert log.methods == ["get_name_uploads", "get_upload"]


def test_status_complete_upload_describes_file(service: InMemoryService) -> None:
    """A complete upload has the file's ETag and checksum, no missing chunk and no expiry."""
    client = Client(service, seeded_bytes(2 * CHUNK_BYTES + 5))
    client.start()
    started_at = service.clock.now
    service.clock.advance(5000)
    client.send_chunks()
    file = client.complete_with_retries()
    found = read_status(service)
    assert (found.state, found.upload_id) == (UploadStatus.COMPLETE, client.upload_id)
    assert (found.received_bytes, found.percent, found.next_offset, found.missing) == (file.size, 100.0, file.size, ())
    assert (found.chunk_size, found.chunk_count, found.expires_at) == (CHUNK_BYTES, 3, None)
    assert (found.etag, found.crc32c, found.current_file) == (file.etag, client.crc, None)
    assert (found.created_at, found.updated_at) == (started_at, file.uploaded_at)


@pytest.mark.parametrize("deleted", ["record", "current upload and record"])
def test_status_records_deleted_describes_file(service: InMemoryService, deleted: str) -> None:
    """After the upload's records are deleted, the file's status has no layout; without a file it is not found."""
    client = completed_client(service, seeded_bytes(CHUNK_BYTES + 1))
    service.upload_repository.rows.records.clear()
    service.upload_repository.rows.shards.clear()
    if deleted != "record":
        service.upload_repository.rows.current_uploads.clear()
    found = read_status(service)
    assert (found.state, found.upload_id, found.size) == (UploadStatus.COMPLETE, client.upload_id, CHUNK_BYTES + 1)
    assert (found.chunk_size, found.chunk_count, found.next_offset) == (None, None, CHUNK_BYTES + 1)
    service.upload_repository.rows.files.clear()
    with pytest.raises(NotFound):
        read_status(service)


def test_status_deleted_file_not_found(service: InMemoryService) -> None:
    """A deleted file is not found, although its upload is still on record as complete."""
    completed_client(service, seeded_bytes(10))
    delete_file(service.services, NS, NAME)
    with pytest.raises(NotFound):
        read_status(service)


def test_status_empty_file_pending_until_complete(service: InMemoryService) -> None:
    """An empty file has no missing chunk, but is at 0 percent and pending until its completion."""
    client = Client(service, b"")
    client.start()
    found = read_status(service)
    assert (found.state, found.percent, found.missing, found.next_offset, found.chunk_count) == (
        UploadStatus.PENDING,
        0.0,
        (),
        0,
        0,
    )
    client.complete_with_retries()
    found = read_status(service)
    assert (found.state, found.percent, found.missing, found.next_offset) == (UploadStatus.COMPLETE, 100.0, (), 0)


def test_status_new_upload_of_complete_name_shows_both(service: InMemoryService) -> None:
    """A new upload is shown with the finished file beside it, until it is complete itself."""
    completed_client(service, seeded_bytes(CHUNK_BYTES))
    old = service.file_repository.get_file(NS, NAME)
    first = read_status(service)
    service.clock.advance(1000)
    client = Client(service, seeded_bytes(2 * CHUNK_BYTES, seed=2))
    client.start(if_exists=IfExists.REPLACE)
    found = read_status(service)
    assert (found.state, found.upload_id, found.size) == (UploadStatus.PENDING, client.upload_id, 2 * CHUNK_BYTES)
    assert (found.current_file, found.etag) == (old, None)
    assert found.version > first.version
    client.send_chunks()
    client.complete_with_retries()
    found = read_status(service)
    assert (found.state, found.upload_id, found.current_file) == (UploadStatus.COMPLETE, client.upload_id, None)


def test_status_cancelled_upload_nothing_received(service: InMemoryService) -> None:
    """A cancelled upload counts nothing as received, before and after its rows are deleted; the file is shown beside
    it.
    """
    completed_client(service, seeded_bytes(CHUNK_BYTES))
    file = service.file_repository.get_file(NS, NAME)
    client = Client(service, seeded_bytes(2 * CHUNK_BYTES, seed=2))
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunk(1)
    service.clock.advance(1000)
    client.cancel()
    found = read_status(service)
    assert (found.state, found.upload_id, found.current_file) == (UploadStatus.CANCELLED, client.upload_id, file)
    assert (found.received_bytes, found.percent, found.missing, found.next_offset) == (0, 0.0, ((1, 2),), 0)
    assert (found.updated_at, found.expires_at) == (service.clock.now, None)
    service.cleanup_repository.delete_upload_rows(client.upload_id, deadline=service.clock() + 1)
    assert read_status(service) == found


def test_status_past_expiry_expired(service: InMemoryService) -> None:
    """An upload is expired from the millisecond of its expiry, before and after a sweep."""
    client = Client(service, seeded_bytes(2 * CHUNK_BYTES))
    client.start()
    client.send_chunk(1)
    before = read_status(service)
    service.clock.advance(DAY_MS - 1)
    assert read_status(service) == before
    service.clock.advance(1)
    found = read_status(service)
    assert (found.state, found.received_bytes, found.expires_at) == (UploadStatus.EXPIRED, 0, service.clock.now)
    assert found.version > before.version
    service.clock.advance(1000)
    service.sweep()
    swept = read_status(service)
    assert client.state() is UploadState.EXPIRED
    assert (swept.state, swept.missing) == (UploadStatus.EXPIRED, ((1, 2),))


@pytest.mark.parametrize("presigned", [False, True])
def test_status_completing_nothing_missing(service: InMemoryService, presigned: bool) -> None:
    """A completing upload does not expire, and its parts are not listed: S3 may have joined them already."""
    client = Client(service, seeded_bytes(PART_BYTES + CHUNK_BYTES))
    client.start()
    client.send_chunks(range(1, CHUNKS_PER_PART + 1))
    if presigned:
        client.put_part(client.presign_part(2), client.part_body(2))
    else:
        client.send_chunk(CHUNKS_PER_PART + 1)
    before = read_status(service)
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    now = service.clock.now
    service.upload_repository.acquire_lease(
        upload, lease_id="a", expires_at=now + 1, now=now, if_exists=IfExists.FAIL, crc32c=None
    )
    service.clock.advance(8 * DAY_MS)
    log = CallLog()
    found = get_status(service.new_services(log=log), NS, NAME)
    assert (found.state, found.percent, found.missing, found.expires_at) == (UploadStatus.COMPLETING, 100.0, (), None)
    assert found.version > before.version
    assert log.methods == ["get_name_uploads", "get_upload"]


def test_status_completed_between_reads_describes_file(service: InMemoryService) -> None:
    """An upload that is completed between the two reads is described by its own file, not by the previous one."""
    completed_client(service, seeded_bytes(5))
    client = Client(service, seeded_bytes(CHUNK_BYTES))
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunk(1)
    services = service.new_services(FaultPlan({("get_upload", 1): client.complete}))
    found = get_status(services, NS, NAME)
    assert (found.upload_id, found.size, found.crc32c) == (client.upload_id, CHUNK_BYTES, client.crc)
    assert (found.state, found.current_file) == (UploadStatus.COMPLETE, None)


def test_status_many_missing_ranges_bounded(service: InMemoryService) -> None:
    """`missing` has the first 100,000 ranges, which keeps a response below Lambda's limit."""
    client = Client(service, b"")
    client.start()
    upload = service.upload_repository.get_upload(client.upload_id)
    assert upload is not None
    layout = ChunkLayout(300_000 * CHUNK_BYTES, CHUNK_BYTES, CHUNKS_PER_PART)
    bits = dict.fromkeys(range(layout.shard_count), 0)
    for index in range(1, layout.chunk_count, 2):
        bits[layout.shard_for_part(layout.part_for_chunk(index))] |= 1 << layout.bit_for_chunk(index)
    shards = {
        number: replace(upload.shards[0], index=number, bits=held, received_bytes=CHUNK_BYTES * held.bit_count())
        for number, held in bits.items()
    }
    service.upload_repository.rows.records[client.upload_id] = replace(upload.record, layout=layout)
    service.upload_repository.rows.shards[client.upload_id] = shards
    found = read_status(service)
    assert found.percent == 50.0
    assert len(found.missing) == 100_000
    assert found.missing[:2] == ((2, 2), (4, 4))


def test_status_version_only_grows(service: InMemoryService) -> None:
    """Each change makes a newer version, through two uploads of one name."""
    seen = []
    for seed in (1, 2):
        client = Client(service, seeded_bytes(3 * CHUNK_BYTES, seed=seed))
        service.clock.advance(1000)
        client.start(if_exists=IfExists.REPLACE)
        seen.append(read_status(service).version)
        for index in (3, 1, 2):
            client.send_chunk(index)
            seen.append(read_status(service).version)
        client.complete_with_retries()
        seen.append(read_status(service).version)
    assert seen == sorted(set(seen))


def test_list_uploads_only_open_by_pages(service: InMemoryService) -> None:
    """The list has the uploads in progress by pages: no finished, cancelled or expired one, and none of another
    namespace.
    """
    for name in ("old", "a", "b", "c", "d"):
        if name == "a":
            service.clock.advance(DAY_MS)
        Client(service, seeded_bytes(2 * CHUNK_BYTES), name=name).start()
    Client(service, seeded_bytes(CHUNK_BYTES), name="other", ns="other").start()
    done = Client(service, seeded_bytes(CHUNK_BYTES), name="b2")
    done.start()
    done.send_chunks()
    done.complete_with_retries()
    Client(service, b"", name="c").cancel()
    replacing = Client(service, seeded_bytes(2 * CHUNK_BYTES, seed=2), name="b2")
    replacing.start(if_exists=IfExists.REPLACE)
    replacing.send_chunk(2)
    found: list[StatusReport] = []
    cursor = None
    for _ in range(10):
        page = list_uploads(service.services, NS, cursor, 2)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert [item.filename for item in found] == ["a", "b", "b2", "d"]
    assert [item.state for item in found] == [
        UploadStatus.PENDING,
        UploadStatus.PENDING,
        UploadStatus.PARTIAL,
        UploadStatus.PENDING,
    ]
    assert found[2].current_file == service.file_repository.get_file(NS, "b2")
    assert found[2] == read_status(service, "b2")
