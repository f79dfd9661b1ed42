"""Moves of finished files: which succeed, what they leave, and what a repeated one gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from ferry.errors import FerryError, FileExists, FileNotFound, InvalidField, PreconditionFailed
from ferry.files.delete import delete_file
from ferry.files.move import MoveRequest, move_file
from ferry.model.events import EventKind
from ferry.model.files import DeletedFile, File
from ferry.model.quotas import Quota
from ferry.rules.conditions import Conditions, format_http_date
from ferry.rules.durations import DAY_MS, SECOND_MS
from tests.support.files import file_at, put_file, rows_of
from tests.support.in_memory_service import NS, InMemoryService


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


def move(service: InMemoryService, name: str = "a", new_name: str = "b", **options: Any) -> File:
    return move_file(service.services, NS, MoveRequest(name, new_name, **options))


def test_move_gives_file_its_new_name(service: InMemoryService) -> None:
    """The file has its new name, the date of the move and the next revision; everything else stays."""
    file = put_file(service, "a", b"bytes", metadata={"k": "v"})
    service.clock.advance(DAY_MS)
    moved = move(service)
    expected = replace(file, name="b", last_modified_seconds=service.clock() // SECOND_MS, revision=2, moved_from="a")
    assert (moved, file_at(service, "b"), file_at(service, "a")) == (expected, expected, None)
    assert service.file_content("b") == b"bytes"
    assert service.upload_repository.rows.object_owners[file.upload_id] == (NS, "b")


def test_move_publishes_event_with_both_names(service: InMemoryService) -> None:
    """The event names the file as it is, and the name that it had."""
    file = put_file(service, "a")
    moved = move(service)
    [event] = service.event_publisher.published
    assert (event.kind, event.file, event.previous_name, event.replaced_upload_id) == (
        EventKind.MOVED,
        moved,
        "a",
        None,
    )
    assert event.id == f"{file.upload_id}.2.moved"
    assert (rows_of(service).file_events, rows_of(service).task_due_times) == ({}, {})


def test_move_over_file_makes_it_restorable(service: InMemoryService) -> None:
    """A replaced file can be restored, its event names it, and the new date is later than its own."""
    put_file(service, "a")
    old = put_file(service, "b", last_modified_seconds=service.clock() // SECOND_MS + 9)
    moved = move(service, replace_existing=True)
    assert moved.last_modified_seconds == old.last_modified_seconds + 1
    now = service.clock()
    assert list(rows_of(service).deleted_files.values()) == [DeletedFile(old, now, now + DAY_MS)]
    assert service.event_publisher.published[0].replaced_upload_id == old.upload_id
    service.drain_cleanup()
    assert service.orphans() == []
    assert service.file_content("b") is not None


def test_move_takes_two_calls_and_two_for_the_event() -> None:
    """One read of both names, one transaction; with events one more call of each kind."""
    for publish_events, expected in (
        (False, ["get_files", "move_file"]),
        (True, ["get_files", "move_file", "publish", "delete_task"]),
    ):
        service, log = InMemoryService(publish_events=publish_events), CallLog()
        put_file(service, "a")
        move_file(service.new_services(log=log), NS, MoveRequest("a", "b"))
        assert log.methods == expected


def test_move_over_counted_file_frees_its_bytes() -> None:
    """The replaced file leaves the usage; the moved one stays in it."""
    service = InMemoryService(quota=Quota(max_bytes=100))
    for name in "ab":
        put_file(service, name, b"12345", counted_in_quota=True)
    move(service, replace_existing=True)
    assert rows_of(service).quotas[NS].used_bytes == 5
    service.assert_quota_usage()


REJECTED: list[tuple[dict[str, Any], type[FerryError], str | None]] = [
    ({"name": "x"}, FileNotFound, None),
    ({"new_name": "a"}, InvalidField, None),
    ({}, FileExists, None),
    ({"etag": '"other"'}, PreconditionFailed, "a"),
    ({"etag": '"other"', "replace_existing": True}, PreconditionFailed, "a"),
    ({"existing_etag": '"other"'}, PreconditionFailed, "b"),
    ({"new_name": "free", "existing_etag": '"other"'}, PreconditionFailed, None),
    ({"replace_existing": True, "conditions": Conditions(if_match='"other"')}, PreconditionFailed, "a"),
    ({"replace_existing": True, "conditions": Conditions(if_none_match="*")}, FileExists, None),
    (
        {
            "replace_existing": True,
            "conditions": Conditions(if_unmodified_since=format_http_date(1)),
        },
        PreconditionFailed,
        "a",
    ),
    ({"name": "x", "conditions": Conditions(if_match="*")}, FileNotFound, None),
]


@pytest.mark.parametrize(("options", "error", "current"), REJECTED, ids=range(len(REJECTED)))
def test_move_rejected_changes_nothing(
    service: InMemoryService, options: dict[str, Any], error: type[FerryError], current: str | None
) -> None:
    """A rejected move changes nothing; a failed condition says which file it is about."""
    files = {name: put_file(service, name, name.encode()) for name in "ab"}
    before = service.upload_repository.snapshot()
    with pytest.raises(error) as rejected:
        move(service, **options)
    assert type(rejected.value) is error
    assert rejected.value.extra.get("current_file") == (files[current] if current else None)
    assert service.upload_repository.rows == before
    assert service.event_publisher.published == []


@pytest.mark.parametrize("of_record", [False, True])
def test_move_with_right_etags_succeeds(service: InMemoryService, of_record: bool) -> None:
    """The entity tags of the content and of the record both count, for the file and for the one it replaces."""
    file, old = put_file(service, "a", b"1"), put_file(service, "b", b"2")
    etag, existing_etag = (file.record_etag, old.record_etag) if of_record else (file.etag, old.etag)
    conditions = Conditions(if_match=etag, if_unmodified_since=format_http_date(file.last_modified_seconds))
    moved = move(service, etag=etag, existing_etag=existing_etag, conditions=conditions)
    assert file_at(service, "b") == moved


def test_move_if_none_match_any_to_free_name_succeeds(service: InMemoryService) -> None:
    """`If-None-Match: *` allows a name without a file."""
    put_file(service, "a")
    assert move(service, conditions=Conditions(if_none_match="*")) == file_at(service, "b")


@pytest.mark.parametrize("of_record", [False, True])
def test_move_repeated_with_etag_returns_same_file(service: InMemoryService, of_record: bool) -> None:
    """After a lost response the same request, with the file's entity tag, gets the same success."""
    file = put_file(service, "a")
    old = put_file(service, "b", b"2")
    request = MoveRequest("a", "b", etag=file.record_etag if of_record else file.etag, existing_etag=old.etag)
    moved = move_file(service.services, NS, request)
    before = service.upload_repository.snapshot()
    assert move_file(service.services, NS, request) == moved
    assert service.upload_repository.rows == before
    assert len(service.event_publisher.published) == 1


def test_move_repeated_without_etag_is_not_found(service: InMemoryService) -> None:
    """Without an entity tag nothing shows that it is the same request."""
    put_file(service, "a")
    move(service)
    with pytest.raises(FileNotFound):
        move(service)
    with pytest.raises(FileNotFound):
        move(service, etag='"other"')


def test_move_repeated_under_condition_names_moved_file(service: InMemoryService) -> None:
    """A condition about the old name fails once it has no file; the error has the moved file."""
    file = put_file(service, "a")
    moved = move(service, conditions=Conditions(if_match=file.etag))
    for etag in (None, file.etag):
        with pytest.raises(PreconditionFailed) as rejected:
            move(service, etag=etag, conditions=Conditions(if_match=file.etag))
        assert rejected.value.extra["current_file"] == moved


def test_move_repeated_after_name_was_taken_anew_fails(service: InMemoryService) -> None:
    """If the old name has another file meanwhile, the entity tag does not match it."""
    file = put_file(service, "a")
    move(service)
    anew = put_file(service, "a", b"anew")
    with pytest.raises(PreconditionFailed) as rejected:
        move(service, etag=file.etag)
    assert rejected.value.extra["current_file"] == anew


def test_move_back_and_forth_counts_revisions(service: InMemoryService) -> None:
    """Each move has an event of its own, and the date never goes back."""
    put_file(service, "a")
    moves = [move(service, *("ab" if number % 2 == 0 else "ba")) for number in range(6)]
    dates = [moved.last_modified_seconds for moved in moves]
    assert file_at(service, "a") == moves[-1]
    assert moves[-1].revision == 7
    assert dates == sorted(dates)
    assert len({event.id for event in service.event_publisher.published}) == 6


def test_move_file_deleted_meanwhile_is_not_found(service: InMemoryService) -> None:
    """Of a move and a deletion at once, the deletion wins if its transaction comes first."""
    put_file(service, "a")
    plan = FaultPlan({("move_file", 1): lambda: delete_file(service.services, NS, "a")})
    with pytest.raises(FileNotFound):
        move_file(service.new_services(plan), NS, MoveRequest("a", "b"))
    assert (file_at(service, "a"), file_at(service, "b")) == (None, None)


def test_moves_of_two_files_to_one_name_keep_both(service: InMemoryService) -> None:
    """Of two moves to one name, the second is rejected, and its file stays."""
    first, second = put_file(service, "a", b"1"), put_file(service, "c", b"2")
    plan = FaultPlan({("move_file", 1): lambda: move(service, "c", "b")})
    with pytest.raises(FileExists):
        move_file(service.new_services(plan), NS, MoveRequest("a", "b"))
    assert file_at(service, "a") == first
    found = file_at(service, "b")
    assert found is not None
    assert found.upload_id == second.upload_id


def test_moves_of_one_file_at_once_move_it_once(service: InMemoryService) -> None:
    """Of two moves of one file, the second finds no file; with the entity tag and the same names it is the same."""
    file = put_file(service, "a")
    plan = FaultPlan({("move_file", 1): lambda: move(service, "a", "c")})
    with pytest.raises(FileNotFound):
        move_file(service.new_services(plan), NS, MoveRequest("a", "b", etag=file.etag))
    put_file(service, "a")
    plan = FaultPlan({("move_file", 1): lambda: move(service, "a", "b")})
    moved = move_file(service.new_services(plan), NS, MoveRequest("a", "b", etag=file.etag))
    assert file_at(service, "b") == moved


def test_move_of_file_in_other_namespace_is_not_found(service: InMemoryService) -> None:
    """A file of another namespace is not there."""
    put_file(service, "a", ns="other")
    with pytest.raises(FileNotFound):
        move(service)
