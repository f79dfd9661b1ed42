"""Which upload a start joins, what it then requires, and whose options hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.errors import (
    ChecksumMismatch,
    ChecksumRequired,
    FileExists,
    InvalidField,
    UploadIdRequired,
    UploadIncomplete,
    UploadInProgress,
)
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS
from ferry.rules.layout import GIB, MIB, ChunkLayout
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.presign import PartsRequest, presign_parts
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes, swallow_crash

PART_BYTES = 2 * CHUNK_BYTES


def start_client(service: InMemoryService, *, seed: int = 1, size: int = PART_BYTES, **options: Any) -> Client:
    client = Client(service, seeded_bytes(size, seed))
    client.start(**options)
    return client


def receive_chunk(client: Client) -> None:
    client.send_chunk(1)


def receive_part(client: Client) -> None:
    assert client.put_part(client.presign_part(1), client.part_body(1)).status == 200


@pytest.mark.parametrize("receive", [receive_chunk, receive_part])
def test_start_without_proof_after_bytes_is_conflict(
    service: InMemoryService, receive: Callable[[Client], None]
) -> None:
    """A second device without checksum and fingerprint cannot join once anything has arrived, by either path."""
    first = start_client(service)
    receive(first)
    second = Client(service, seeded_bytes(PART_BYTES, seed=2))
    with pytest.raises(UploadInProgress) as rejected:
        second.start()
    assert rejected.value.extra == {
        "upload_id": first.upload_id,
        "size": PART_BYTES,
        "expires_at": service.upload_repository.rows.records[first.upload_id].created_at + 24 * 3_600_000,
    }
    assert all(word in rejected.value.detail for word in ("resume: true", "fingerprint", "restart: true"))


@pytest.mark.parametrize("receive", [receive_chunk, receive_part])
def test_start_with_resume_joins_after_bytes(service: InMemoryService, receive: Callable[[Client], None]) -> None:
    """`resume: true` joins an upload without checksum and fingerprint, which then completes as ever."""
    first = start_client(service)
    receive(first)
    again = Client(service, first.body)
    assert not again.start(resume=True).created
    assert again.upload_id == first.upload_id
    again.send_chunks()
    assert isinstance(again.complete(), File)
    assert service.file_content() == first.body


@pytest.mark.parametrize("options", [{"fingerprint": "b"}, {"fingerprint": "a", "crc32c": 1}, {}])
def test_start_with_resume_never_overrides_other_proof(service: InMemoryService, options: dict[str, Any]) -> None:
    """`resume: true` does not join an upload whose checksum or fingerprint differ."""
    start_client(service, fingerprint="a")
    with pytest.raises(UploadInProgress):
        Client(service, seeded_bytes(PART_BYTES)).start(resume=True, **options)


@pytest.mark.parametrize("proof", [{"fingerprint": "a"}, {"crc32c": 7}, {"fingerprint": "a", "crc32c": 7}])
def test_start_with_equal_proof_joins_without_condition(service: InMemoryService, proof: dict[str, Any]) -> None:
    """With an equal checksum or fingerprint a start joins at any time, and the completion requires nothing more."""
    first = start_client(service, **proof)
    first.start(**proof)
    first.send_chunk(1)
    again = first.start(**proof)
    assert again.upload is not None
    assert not again.upload.record.requires_checksum


def test_complete_of_joined_upload_requires_checksum(service: InMemoryService) -> None:
    """An upload joined without proof completes only with the checksum; missing bytes are reported first."""
    first, second = start_client(service), start_client(service, seed=2)
    assert first.upload_id == second.upload_id
    first.send_chunk(1)
    with pytest.raises(UploadIncomplete):
        first.complete()
    second.send_chunk(2)
    for _ in range(2):
        with pytest.raises(ChecksumRequired):
            first.complete()
    with pytest.raises(ChecksumMismatch):
        first.complete(crc32c=first.crc)
    assert service.file_content() is None


@pytest.mark.parametrize("proven_by", ["checksum", "resume"])
def test_complete_of_joined_upload_with_proof_succeeds(service: InMemoryService, proven_by: str) -> None:
    """The checksum of the whole file, or a start with `resume: true`, lets a joined upload complete."""
    client = start_client(service)
    client.start()
    client.send_chunks()
    with pytest.raises(ChecksumRequired):
        client.complete()
    if proven_by == "resume":
        client.start(resume=True)
    assert isinstance(client.complete(crc32c=client.crc if proven_by == "checksum" else None), File)
    assert service.file_content() == client.body


def test_join_after_vouching_requires_checksum_again(service: InMemoryService) -> None:
    """A start without proof that joins after a start with `resume: true` requires the checksum anew."""
    client = start_client(service)
    client.start(resume=True)
    client.start()
    client.send_chunks()
    with pytest.raises(ChecksumRequired):
        client.complete()


def test_join_just_before_lease_requires_checksum(service: InMemoryService) -> None:
    """A start that joins an empty upload just before the lease of its completion is seen by that completion."""
    client = start_client(service, size=0)
    joining = Client(service, b"")
    with pytest.raises(ChecksumRequired):
        client.complete(services=service.new_services(FaultPlan({("acquire_lease", 1): joining.start})))
    assert joining.upload_id == client.upload_id


def test_start_of_completing_upload_without_proof_is_conflict(service: InMemoryService) -> None:
    """A completing upload is not joined without proof, although an empty one has received nothing."""
    client = start_client(service, size=0)
    rejections: list[bool] = []

    def join() -> None:
        with pytest.raises(UploadInProgress):
            Client(service, b"").start()
        rejections.append(True)

    assert isinstance(client.complete(services=service.new_services(FaultPlan({("put", 1): join}))), File)
    assert rejections == [True]


def test_cleanup_completes_no_joined_upload(service: InMemoryService) -> None:
    """Cleanup expires an empty upload that was joined without proof, although a failed completion left its object."""
    client = start_client(service, size=0)
    failing = service.new_services(FaultPlan({("put", 1): Fault.LOST_RESPONSE}))
    assert swallow_crash(lambda: client.complete(services=failing)) is None
    Client(service, b"").start()
    service.clock.advance(2 * DAY_MS)
    service.sweep()
    assert service.upload_repository.rows.records[client.upload_id].state is UploadState.EXPIRED
    assert service.file_content() is None


def test_start_that_created_the_upload_is_no_join(service: InMemoryService) -> None:
    """A start whose upload another start opened meanwhile still reports it as new, and joins nothing."""
    client, other = Client(service, seeded_bytes(PART_BYTES)), Client(service, seeded_bytes(PART_BYTES, seed=2))

    def join_and_send() -> None:
        assert not other.start().created
        other.send_chunk(1)

    plan = FaultPlan({("mark_open", 1): join_and_send})
    assert client.start(services=service.new_services(plan)).created
    assert client.upload_id == other.upload_id


def test_start_resume_and_restart_is_invalid(service: InMemoryService) -> None:
    """A start cannot both resume and restart."""
    with pytest.raises(InvalidField):
        start_client(service, resume=True, restart=True)


def send_by(upload_id: str | None, service: InMemoryService) -> list[Callable[[], object]]:
    """Return a chunk, a signing, a completion and a cancel, each with that upload id."""
    client = Client(service, seeded_bytes(PART_BYTES))
    chunk = ChunkRequest(NAME, 1, client.chunk_body(1), upload_id=upload_id)
    return [
        lambda: accept_chunk(service.services, NS, chunk),
        lambda: presign_parts(service.services, NS, PartsRequest(NAME, [(1, None)], upload_id)),
        lambda: client.complete(upload_id=upload_id),
        lambda: cancel(service.services, NS, NAME, upload_id),
    ]


@pytest.mark.parametrize("receive", [receive_chunk, receive_part])
def test_restart_over_bytes_requires_upload_id(service: InMemoryService, receive: Callable[[Client], None]) -> None:
    """A device whose upload was restarted after it had received something cannot write into the new one by name."""
    receive(start_client(service))
    new = start_client(service, seed=2, restart=True)
    assert service.upload_repository.rows.records[new.upload_id].upload_id_required
    for request in send_by(None, service):
        with pytest.raises(UploadIdRequired):
            request()
    for request in send_by(new.upload_id, service)[:2]:
        request()
    with pytest.raises(UploadIncomplete):
        send_by(new.upload_id, service)[2]()
    send_by(new.upload_id, service)[3]()
    for request in send_by(None, service):
        with pytest.raises(UploadIdRequired):
            request()


def test_restart_over_nothing_takes_requests_by_name(service: InMemoryService) -> None:
    """A restart over an upload that had received nothing, or over none, requires no upload id."""
    for client in (start_client(service, restart=True), start_client(service, restart=True)):
        assert not service.upload_repository.rows.records[client.upload_id].upload_id_required
    client.send_chunks()
    assert isinstance(client.complete(), File)


def test_restart_sees_chunk_recorded_just_before(service: InMemoryService) -> None:
    """A chunk that is recorded between the read and the cancellation counts as received."""
    old = start_client(service)
    new = Client(service, seeded_bytes(PART_BYTES, seed=2))
    new.start(services=service.new_services(FaultPlan({("terminate", 1): lambda: old.send_chunk(1)})), restart=True)
    with pytest.raises(UploadIdRequired):
        old.send_chunk(2)


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.UNAVAILABLE])
def test_restart_repeated_after_crash_requires_upload_id(service: InMemoryService, fault: Fault) -> None:
    """A restart that crashed after the cancellation, and is repeated, still requires the upload id."""
    old = start_client(service)
    old.send_chunk(1)
    new = Client(service, seeded_bytes(PART_BYTES, seed=2))
    swallow_crash(
        lambda: new.start(services=service.new_services(FaultPlan({("create_upload", 1): fault})), restart=True)
    )
    new.start(restart=True)
    with pytest.raises(UploadIdRequired):
        old.send_chunk(2)


def test_restart_repeated_after_lost_response_requires_upload_id(service: InMemoryService) -> None:
    """A restart that is repeated cancels its own first upload, and the next one requires the upload id, too."""
    old = start_client(service)
    old.send_chunk(1)
    for _ in range(2):
        new = start_client(service, seed=2, restart=True)
        assert new.required_id == new.upload_id
    with pytest.raises(UploadIdRequired):
        old.send_chunk(2)


def test_restart_after_cancel_by_client_requires_no_upload_id(service: InMemoryService) -> None:
    """A start with `restart: true` after a cancellation on request begins over nothing."""
    old = start_client(service)
    old.send_chunk(1)
    old.cancel()
    new = start_client(service, seed=2, restart=True)
    new.send_chunks()
    assert isinstance(new.complete(), File)


def store_old_file(service: InMemoryService) -> bytes:
    client = start_client(service, seed=5)
    client.send_chunks()
    client.complete()
    return client.body


@pytest.mark.parametrize("order", [(IfExists.REPLACE, IfExists.FAIL), (IfExists.FAIL, IfExists.REPLACE)])
def test_starts_most_careful_if_exists_holds(service: InMemoryService, order: tuple[IfExists, IfExists]) -> None:
    """Where starts of one upload differ, the file is not replaced, in whatever order they came."""
    old = store_old_file(service) if order[0] is IfExists.REPLACE else None
    client = start_client(service, if_exists=order[0])
    again = client.start(if_exists=order[1])
    assert again.upload is not None
    assert again.upload.record.if_exists is IfExists.FAIL
    client.start(resume=True, if_exists=order[1])
    client.send_chunks()
    if old is None:
        assert isinstance(client.complete(), File)
        return
    with pytest.raises(FileExists):
        client.complete()
    assert (service.file_content(), service.upload_repository.rows.records[client.upload_id].stored_object) == (
        old,
        None,
    )
    assert isinstance(client.complete(if_exists=IfExists.REPLACE), File)


def test_if_exists_most_careful_ordering() -> None:
    """The choices are ordered by care, and each is the most careful of itself and those after it."""
    choices = list(IfExists)
    assert choices[0] is IfExists.FAIL
    assert choices[-1] is IfExists.REPLACE
    for index, choice in enumerate(choices):
        assert IfExists.most_careful(*reversed(choices[index:])) is choice


def test_starts_first_content_type_and_metadata_hold(service: InMemoryService) -> None:
    """Content type and metadata are those of the first start."""
    client = start_client(service, content_type="text/plain", metadata={"a": "1"}, fingerprint="a")
    client.start(content_type="image/png", metadata={"b": "2"}, fingerprint="a")
    client.send_chunks()
    file = client.complete()
    assert isinstance(file, File)
    assert (file.content_type, file.metadata) == ("text/plain", {"a": "1"})


@pytest.mark.parametrize(
    ("proof", "is_same"),
    [
        ({"crc32c": True, "fingerprint": "a"}, True),
        ({"crc32c": True, "fingerprint": "b"}, True),
        ({"crc32c": False, "fingerprint": "a"}, False),
        ({"crc32c": False, "fingerprint": "b"}, False),
        ({"fingerprint": "a"}, True),
        ({"fingerprint": "b"}, False),
        ({}, False),
    ],
)
def test_start_compares_finished_file_by_checksum_first(
    service: InMemoryService, proof: dict[str, Any], is_same: bool
) -> None:
    """The checksum decides where there is one; the fingerprint decides only without one."""
    client = start_client(service, fingerprint="a")
    client.send_chunks()
    client.complete()
    if "crc32c" in proof:
        proof = {**proof, "crc32c": client.crc if proof["crc32c"] else client.crc ^ 1}
    if is_same:
        assert client.start(**proof).file is not None
    else:
        with pytest.raises(FileExists):
            client.start(**proof)


@pytest.mark.parametrize(
    ("size", "chunk_size", "wish", "part_size"),
    [
        (20 * MIB, MIB, 5 * MIB, 5 * MIB),
        (20 * MIB, MIB, 5 * MIB + 1, 6 * MIB),
        (20 * MIB, 4 * MIB, 5 * MIB, 8 * MIB),
        (20 * MIB, 4 * MIB, None, 8 * MIB),
        (1, 4 * MIB, 16 * MIB, 16 * MIB),
        (100 * GIB, 4 * MIB, 5 * MIB, 12 * MIB),
        (GIB, 4 * MIB, 5 * GIB, 5 * GIB),
    ],
)
def test_part_size_wish_is_rounded_up(size: int, chunk_size: int, wish: int | None, part_size: int) -> None:
    """The wish becomes a multiple of the chunk size that gives at most 10,000 parts."""
    layout = ChunkLayout.plan(size, chunk_size, wish)
    assert layout.part_size == part_size
    assert layout.part_count <= 10_000


@pytest.mark.parametrize("wish", [5 * MIB - 1, 5 * GIB + 1, 0, -1])
def test_part_size_outside_limits_is_invalid(service: InMemoryService, wish: int) -> None:
    """A part size that S3 would not take is rejected."""
    with pytest.raises(InvalidField) as rejected:
        start_client(service, part_size=wish)
    assert rejected.value.extra["errors"][0]["loc"] == ["part_size"]
