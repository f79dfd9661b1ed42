"""Completions: the name that a file gets under `if_exists: rename`, and the only file that `if_match` replaces."""

from __future__ import annotations

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.errors import FileExists, InvalidFilename, PreconditionFailed
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.uploads.complete import CompleteRequest, complete
from tests.support.in_memory_service import NS, Client, InMemoryService, swallow_crash
from tests.support.renames import BODY, NAME, finish, name_of, put, rename


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


def test_complete_name_taken_meanwhile_uses_next_free(service: InMemoryService) -> None:
    """The name is not reserved: a file that took it stays, and the upload's file gets the next free name."""
    put(service)
    assert name_of(rename(service)) == "a (2).txt"
    taken = put(service, "a (2).txt")
    put(service, "a (4).txt")
    file = finish(service, "a (2).txt")
    assert file.name == "a (3).txt"
    assert service.file_content("a (3).txt") == BODY
    assert service.file_repository.get_file(NS, "a (2).txt") == taken
    repeated = complete(service.services, NS, CompleteRequest("a (2).txt"))
    assert repeated == file
    [event] = [each for each in service.event_publisher.published if each.upload_id == file.upload_id][-1:]
    assert (event.name, event.file) == ("a (3).txt", file)
    service.drain_cleanup()
    assert service.file_content("a (3).txt") == BODY
    assert service.orphans() == []


def test_complete_with_rename_of_other_start(service: InMemoryService) -> None:
    """Completion may ask for `rename`, whatever the start said; what it says counts."""
    client = Client(service, BODY, name=NAME)
    client.start()
    client.send_chunks()
    put(service)
    with pytest.raises(FileExists):
        complete(service.services, NS, CompleteRequest(NAME))
    file = complete(service.services, NS, CompleteRequest(NAME, if_exists=IfExists.RENAME))
    assert isinstance(file, File)
    assert file.name == "a (2).txt"


def test_complete_name_taken_at_the_commit_takes_next(service: InMemoryService) -> None:
    """A file that takes the name, or the chosen one, just before the commit is stepped over."""
    rename(service)
    plan = FaultPlan({("commit_file", 1): lambda: put(service), ("commit_file", 2): lambda: put(service, "a (2).txt")})
    file = finish(service, NAME, service.new_services(plan))
    assert file.name == "a (3).txt"
    assert [service.file_content(name) for name in (NAME, "a (2).txt")] == [b"other", b"other"]


@pytest.mark.parametrize("fault", [Fault.LOST_RESPONSE, Fault.CRASH_AFTER])
def test_complete_with_lost_commit_returns_its_file(service: InMemoryService, fault: Fault) -> None:
    """After a lost response of the commit the same file is returned, under the name that it got."""
    rename(service)
    put(service)
    client = Client(service, BODY, name=NAME)
    client.send_chunks()
    services = service.new_services(FaultPlan({("commit_file", 2): fault}))
    swallow_crash(lambda: complete(services, NS, CompleteRequest(NAME)))
    file = complete(service.services, NS, CompleteRequest(NAME))
    assert isinstance(file, File)
    assert file.name == "a (2).txt"
    assert service.file_repository.get_file(NS, "a (3).txt") is None
    service.drain_cleanup()
    assert service.file_content("a (2).txt") == BODY


def test_complete_taken_over_by_cleanup_keeps_rename(service: InMemoryService) -> None:
    """A completion that crashed is resumed by cleanup with what it was asked for."""
    client = Client(service, BODY, name=NAME)
    client.start()
    client.send_chunks()
    put(service)
    services = service.new_services(FaultPlan({("commit_file", 1): Fault.CRASH_BEFORE}))
    swallow_crash(lambda: complete(services, NS, CompleteRequest(NAME, if_exists=IfExists.RENAME)))
    service.clock.advance(service.services.lease_duration_ms + 1)
    service.sweep()
    assert service.file_content("a (2).txt") == BODY


def test_complete_without_room_for_a_number_stays_open(service: InMemoryService) -> None:
    """If no name is left, the upload stays open, and may be completed by replacing."""
    name = "a." + "x" * 253
    client = Client(service, BODY, name=name)
    client.start(if_exists=IfExists.RENAME)
    client.send_chunks()
    put(service, name)
    with pytest.raises(InvalidFilename):
        complete(service.services, NS, CompleteRequest(name))
    assert client.state() is UploadState.OPEN
    assert isinstance(complete(service.services, NS, CompleteRequest(name, if_exists=IfExists.REPLACE)), File)


# if_match


@pytest.mark.parametrize("of_record", [False, True])
def test_complete_if_match_replaces_that_file(service: InMemoryService, of_record: bool) -> None:
    """The entity tag of the content or the record allows to replace that file, without `if_exists`."""
    old = put(service)
    client = Client(service, BODY, name=NAME)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    request = CompleteRequest(NAME, if_match=old.record_etag if of_record else old.etag)
    file = complete(service.services, NS, request)
    assert service.file_content(NAME) == BODY
    assert complete(service.services, NS, request) == file


@pytest.mark.parametrize("has_file", [False, True])
def test_complete_if_match_of_other_file_is_rejected(service: InMemoryService, has_file: bool) -> None:
    """Another file, or none, is a failed precondition; the upload stays open and nothing is replaced."""
    other = put(service) if has_file else None
    client = Client(service, BODY, name=NAME)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    with pytest.raises(PreconditionFailed) as rejected:
        complete(service.services, NS, CompleteRequest(NAME, if_match='"other"'))
    assert rejected.value.extra.get("current_file") == other
    assert client.state() is UploadState.OPEN
    assert service.file_repository.get_file(NS, NAME) == other


def test_complete_if_match_replaced_at_the_commit_is_rejected(service: InMemoryService) -> None:
    """A file that is replaced just before the commit no longer matches."""
    old = put(service)
    client = Client(service, BODY, name=NAME)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    services = service.new_services(FaultPlan({("commit_file", 1): lambda: put(service, body=b"newer")}))
    with pytest.raises(PreconditionFailed):
        complete(services, NS, CompleteRequest(NAME, if_match=old.etag))
    assert service.file_content(NAME) == b"newer"
    assert client.state() is UploadState.OPEN
