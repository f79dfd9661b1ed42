"""`if_exists: rename` at start and completion: which name an upload and its file get, and what a repetition finds."""

from __future__ import annotations

from typing import Any

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import InvalidFilename, UploadInProgress
from ferry.files.delete import delete_file
from ferry.files.move import MoveRequest, move_file
from ferry.model.files import IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS
from ferry.uploads.start import MAX_RENAME_ATTEMPTS, StartResult, start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, Client, InMemoryService, swallow_crash
from tests.support.renames import BODY, CRC, NAME, finish, id_of, name_of, put, rename
from tests.support.scheduler import run_interleaved


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


# Start


def test_start_of_free_name_uses_it(service: InMemoryService) -> None:
    """A free name is used as it is."""
    result = rename(service)
    assert (name_of(result), result.created) == (NAME, True)
    assert finish(service, NAME).name == NAME


@pytest.mark.parametrize(
    ("files", "uploads", "expected"),
    [
        ([NAME], [], "a (2).txt"),
        ([], [NAME], "a (2).txt"),
        ([NAME, "a (2).txt"], ["a (3).txt"], "a (4).txt"),
        ([NAME, "a (3).txt"], [], "a (2).txt"),
    ],
)
def test_start_of_taken_name_uses_first_free(
    service: InMemoryService, files: list[str], uploads: list[str], expected: str
) -> None:
    """The first name without a file and an open upload is used; what has the others stays."""
    for name in files:
        put(service, name)
    for name in uploads:
        Client(service, b"open", name=name).start()
    result = rename(service)
    assert (name_of(result), result.created) == (expected, True)
    assert finish(service, expected).name == expected
    for name in files:
        assert service.file_content(name) == b"other"


def test_start_beyond_twenty_names_uses_random_characters(service: InMemoryService) -> None:
    """When all numbers are taken, the name has eight random characters."""
    for name in (NAME, *(f"a ({number}).txt" for number in range(2, 21))):
        put(service, name)
    name = name_of(rename(service))
    assert name.startswith("a (")
    assert len(name) == len("a (12345678).txt")


def test_start_of_taken_name_reads_twice(service: InMemoryService) -> None:
    """A free name costs two reads, whether or not the start can be repeated."""
    for options in ({}, {"crc32c": CRC}):
        put(service)
        log = CallLog()
        rename(service, service.new_services(log=log), **options)
        before_write = log.methods[: log.methods.index("create_upload")]
        assert before_write == ["get_renamed_start" if options else "get_name", "get_name_states"]


def test_start_without_room_for_a_number_is_rejected(service: InMemoryService) -> None:
    """A name whose extension leaves no room is a 422, and nothing is started."""
    name = "a." + "x" * 253
    put(service, name)
    with pytest.raises(InvalidFilename):
        start(service.services, NS, StartRequest(name, 9, if_exists=IfExists.RENAME))
    assert service.upload_repository.rows.records == {}


def test_start_name_of_ended_upload_is_free(service: InMemoryService) -> None:
    """A name whose upload was cancelled, or whose file was deleted, is free."""
    put(service)
    cancelled = Client(service, b"x", name="a (2).txt")
    cancelled.start()
    cancelled.cancel()
    assert name_of(rename(service)) == "a (2).txt"
    finish(service, "a (2).txt")
    delete_file(service.services, NS, "a (2).txt")
    assert name_of(rename(service)) == "a (2).txt"


@pytest.mark.parametrize("proof", [{}, {"crc32c": CRC}])
def test_start_name_of_upload_past_its_expiry_is_free(service: InMemoryService, proof: dict[str, Any]) -> None:
    """An upload that has expired makes no name taken, even if no cleanup has run."""
    old = Client(service, b"x", name=NAME)
    old.start()
    service.clock.advance(DAY_MS)
    assert name_of(rename(service, **proof)) == NAME
    assert service.upload_repository.rows.records[old.upload_id].state is UploadState.EXPIRED


@pytest.mark.parametrize("proof", [{"crc32c": CRC}, {"fingerprint": "inode 7"}, {"crc32c": CRC, "fingerprint": "f"}])
def test_start_repeated_with_proof_resumes_its_upload(service: InMemoryService, proof: dict[str, Any]) -> None:
    """With a checksum or a fingerprint, the same start finds the upload that it began, also after a lost response."""
    put(service)
    first = rename(service, **proof)
    second = rename(service, **proof)
    assert (id_of(second), name_of(second), second.created) == (id_of(first), "a (2).txt", False)
    finish(service, "a (2).txt")
    again = rename(service, **proof)
    assert again.file is not None
    assert (again.file.name, again.file.upload_id) == ("a (2).txt", id_of(first))


def test_start_repeated_without_proof_is_new(service: InMemoryService) -> None:
    """Without a checksum and a fingerprint every start is a new upload, also with `resume`."""
    assert [name_of(rename(service, resume=bool(n % 2))) for n in range(3)] == [NAME, "a (2).txt", "a (3).txt"]


def test_start_with_other_proof_or_size_is_new(service: InMemoryService) -> None:
    """Another checksum, another fingerprint or another size is another start."""
    first = rename(service, crc32c=CRC)
    others = [rename(service, crc32c=CRC ^ 1), rename(service, fingerprint="f")]
    larger = StartRequest(NAME, len(BODY) + 1, if_exists=IfExists.RENAME, crc32c=CRC)
    others.append(start(service.services, NS, larger))
    assert name_of(first) == NAME
    assert [name_of(other) for other in others] == ["a (2).txt", "a (3).txt", "a (4).txt"]


def test_start_with_checksum_decides_whatever_the_fingerprint(service: InMemoryService) -> None:
    """Where both have a checksum the fingerprint decides nothing."""
    first = rename(service, crc32c=CRC, fingerprint="before")
    assert id_of(rename(service, crc32c=CRC, fingerprint="after")) == id_of(first)


def test_start_joins_equal_upload_of_the_name(service: InMemoryService) -> None:
    """An upload of the same name, size and checksum is resumed; of starts that differ the most careful holds."""
    plain = start(service.services, NS, StartRequest(NAME, len(BODY), crc32c=CRC))
    joined = rename(service, crc32c=CRC)
    assert id_of(joined) == id_of(plain)
    assert joined.upload is not None
    assert joined.upload.record.if_exists is IfExists.FAIL
    replacing = start(service.services, NS, StartRequest("b.txt", len(BODY), crc32c=CRC, if_exists=IfExists.REPLACE))
    careful = start(service.services, NS, StartRequest("b.txt", len(BODY), crc32c=CRC, if_exists=IfExists.RENAME))
    assert careful.upload is not None
    assert (id_of(careful), careful.upload.record.if_exists) == (id_of(replacing), IfExists.RENAME)


def test_plain_start_meets_upload_under_rename(service: InMemoryService) -> None:
    """A start without `rename` finds the open upload of its name, as ever."""
    rename(service)
    with pytest.raises(UploadInProgress):
        start(service.services, NS, StartRequest(NAME, len(BODY) + 1))


def test_start_of_same_file_returns_it(service: InMemoryService) -> None:
    """The finished file of the name with this very content is returned; nothing is started."""
    file = put(service, body=BODY)
    assert rename(service, crc32c=CRC) == StartResult(file=file)
    assert service.upload_repository.rows.records == {}


@pytest.mark.parametrize("ending", ["cancelled", "expired", "moved", "deleted"])
def test_start_repeated_after_its_upload_ended_is_new(service: InMemoryService, ending: str) -> None:
    """An upload that has ended, or whose file has gone, is not found; the repetition begins anew."""
    put(service)
    first = rename(service, crc32c=CRC)
    if ending == "cancelled":
        Client(service, BODY, name="a (2).txt").cancel()
    elif ending == "expired":
        service.clock.advance(8 * DAY_MS)
    else:
        finish(service, "a (2).txt")
        if ending == "moved":
            move_file(service.services, NS, MoveRequest("a (2).txt", "elsewhere"))
        else:
            delete_file(service.services, NS, "a (2).txt")
    second = rename(service, crc32c=CRC)
    assert (name_of(second), second.created) == ("a (2).txt", True)
    assert id_of(second) != id_of(first)
    assert id_of(rename(service, crc32c=CRC)) == id_of(second)


def test_restart_cancels_only_its_own_upload(service: InMemoryService) -> None:
    """`restart` cancels the upload that the same start began; another open upload only makes the name taken."""
    other = Client(service, b"other", name=NAME)
    other.start()
    first = rename(service, crc32c=CRC)
    second = rename(service, crc32c=CRC, restart=True)
    assert (name_of(second), second.created) == ("a (2).txt", True)
    assert service.upload_repository.rows.records[id_of(first)].state is UploadState.CANCELLED
    assert other.state() is UploadState.OPEN


@pytest.mark.parametrize("fault", [Fault.LOST_RESPONSE, Fault.CRASH_AFTER, Fault.CRASH_BEFORE, Fault.UNAVAILABLE])
def test_start_whose_write_fails_is_repeated_once(service: InMemoryService, fault: Fault) -> None:
    """A repetition after a failure at the write has one upload in the end."""
    put(service)
    services = service.new_services(FaultPlan({("create_upload", 1): fault}))
    swallow_crash(lambda: rename(service, services, crc32c=CRC))
    result = rename(service, crc32c=CRC)
    assert name_of(result) == "a (2).txt"
    assert len(service.upload_repository.rows.records) == 1


# Races


@pytest.mark.parametrize("order", [[0], [0, 1, 2, 3, 4, 5, 6, 7], [7, 3, 5, 1], [2, 2, 5, 0, 1, 6, 6, 3]])
def test_eight_starts_without_proof_get_names_of_their_own(service: InMemoryService, order: list[int]) -> None:
    """Of eight starts at once each gets a name and an upload of its own: the first eight free ones."""
    put(service)
    results: list[StartResult] = []

    def operation(plan: FaultPlan) -> None:
        results.append(rename(service, service.new_services(plan, CallLog())))

    run_interleaved([operation] * 8, iter(order * 200))
    assert sorted(map(name_of, results)) == [f"a ({number}).txt" for number in range(2, 10)]
    assert all(result.created for result in results)


@pytest.mark.parametrize("order", [[0], [0, 1, 2, 3, 4, 5, 6, 7], [7, 3, 5, 1], [2, 2, 5, 0, 1, 6, 6, 3]])
def test_eight_equal_starts_share_one_upload(service: InMemoryService, order: list[int]) -> None:
    """Of eight equal starts at once exactly one creates the upload, and all get it."""
    put(service)
    results: list[StartResult] = []

    def operation(plan: FaultPlan) -> None:
        results.append(rename(service, service.new_services(plan, CallLog()), crc32c=CRC))

    run_interleaved([operation] * 8, iter(order * 200))
    assert len({id_of(result) for result in results}) == 1
    assert [name_of(result) for result in results] == ["a (2).txt"] * 8
    assert sum(result.created for result in results) == 1
    assert MAX_RENAME_ATTEMPTS > 8
