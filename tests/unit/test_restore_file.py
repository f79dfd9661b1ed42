"""Restores of deleted and replaced files: which succeed, what they leave, and what a repeated one gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from ferry.errors import FerryError, FileExists, FileNotFound, PreconditionFailed, QuotaExceeded
from ferry.files.move import MoveRequest, move_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.events import EventKind
from ferry.model.files import CompletionEvent, IfExists
from ferry.model.quotas import Quota
from ferry.rules.conditions import Conditions
from ferry.rules.durations import DAY_MS, SECOND_MS
from tests.support.deleted_files import delete, put_and_delete, restore
from tests.support.files import file_at, put_file, rows_of
from tests.support.in_memory_service import NS, Client, InMemoryService, seeded_bytes


@pytest.fixture
def service() -> InMemoryService:
    """A service with events on."""
    return InMemoryService(publish_events=True)


def test_restore_gives_deleted_file_its_name(service: InMemoryService) -> None:
    """The file is back with all it had, the next revision and a date that does not go back."""
    file = put_and_delete(service, metadata={"k": "v"})
    service.clock.advance(DAY_MS // 2)
    restored = restore(service)
    expected = replace(
        file, last_modified_seconds=service.clock() // SECOND_MS, revision=2, restored_by=RestoreRequest("a").key
    )
    assert (restored, file_at(service, "a")) == (expected, expected)
    assert rows_of(service).deleted_files == {}
    assert (CleanupTaskKind.OBJECT, file.upload_id) not in rows_of(service).task_due_times
    service.drain_cleanup()
    assert service.file_content("a") == b"bytes"


def test_restore_publishes_event_with_both_names(service: InMemoryService) -> None:
    """The event names the file as it is, and the name that had lost it."""
    file = put_and_delete(service)
    restored = restore(service, new_name="b")
    event = service.event_publisher.published[-1]
    assert (event.kind, event.file, event.previous_name) == (EventKind.RESTORED, restored, "a")
    assert event.id == f"{file.upload_id}.2.restored"
    assert rows_of(service).file_events == {}


def test_restore_without_upload_id_takes_the_last_deleted(service: InMemoryService) -> None:
    """Of several files that one name lost, the last one is restored; others are had by their upload id."""
    first, second, third = (put_and_delete(service, body=body) for body in (b"1", b"2", b"3"))
    assert restore(service).upload_id == third.upload_id
    assert restore(service, upload_id=first.upload_id, new_name="b").upload_id == first.upload_id
    assert [each.file.upload_id for each in rows_of(service).deleted_files.values()] == [second.upload_id]


def test_restore_replacing_makes_the_other_restorable(service: InMemoryService) -> None:
    """A restore over a file replaces it; that one can then be restored itself."""
    first = put_and_delete(service, body=b"1")
    second = put_file(service, "a", b"2", last_modified_seconds=service.clock() // SECOND_MS + 9)
    restored = restore(service, if_exists=IfExists.REPLACE)
    assert restored.upload_id == first.upload_id
    assert restored.last_modified_seconds == second.last_modified_seconds + 1
    assert service.event_publisher.published[-1].replaced_upload_id == second.upload_id
    [other] = rows_of(service).deleted_files.values()
    assert other.file == second
    service.clock.advance(1)
    again = restore(service, upload_id=second.upload_id, if_exists=IfExists.REPLACE)
    assert (again.upload_id, service.file_content("a")) == (second.upload_id, b"2")


def test_restore_replaced_upload_of_committed_file(service: InMemoryService) -> None:
    """A file that an upload replaced can be restored under another name."""
    for seed in (1, 2):
        client = Client(service, seeded_bytes(9, seed=seed), name="a")
        client.start(if_exists=IfExists.REPLACE)
        client.send_chunks()
        client.complete()
    restored = restore(service, new_name="old")
    assert service.file_content("old") == seeded_bytes(9, seed=1)
    service.drain_cleanup()
    assert service.file_content("old") == seeded_bytes(9, seed=1)
    assert service.file_content("a") == seeded_bytes(9, seed=2)
    assert restored.upload_id != client_id(service, "a")


def client_id(service: InMemoryService, name: str) -> str:
    file = file_at(service, name)
    assert file is not None
    return file.upload_id


REJECTED: list[tuple[dict[str, Any], type[FerryError], str | None]] = [
    ({"name": "never"}, FileNotFound, None),
    ({"upload_id": "f" * 32}, FileNotFound, None),
    ({"name": "b"}, FileNotFound, None),
    ({"new_name": "b"}, FileExists, None),
    ({"new_name": "b", "if_exists": IfExists.REPLACE, "conditions": Conditions(if_none_match="*")}, FileExists, None),
    ({"new_name": "b", "if_exists": IfExists.RENAME, "conditions": Conditions(if_none_match="*")}, FileExists, None),
    (
        {"new_name": "b", "if_exists": IfExists.REPLACE, "conditions": Conditions(if_match='"x"')},
        PreconditionFailed,
        "b",
    ),
    ({"conditions": Conditions(if_match="*")}, PreconditionFailed, None),
]


@pytest.mark.parametrize(("options", "error", "current"), REJECTED, ids=range(len(REJECTED)))
def test_restore_rejected_changes_nothing(
    service: InMemoryService, options: dict[str, Any], error: type[FerryError], current: str | None
) -> None:
    """A rejected restore changes nothing; a failed condition says which file it is about."""
    put_and_delete(service)
    files = {"b": put_file(service, "b")}
    before, published = service.upload_repository.snapshot(), len(service.event_publisher.published)
    with pytest.raises(error) as rejected:
        restore(service, **options)
    assert type(rejected.value) is error
    assert rejected.value.extra.get("current_file") == (files[current] if current else None)
    assert service.upload_repository.rows == before
    assert len(service.event_publisher.published) == published


def test_restore_under_right_condition_replaces(service: InMemoryService) -> None:
    """Conditions are about what has the name: a matching `If-Match` allows to replace that file."""
    put_and_delete(service)
    other = put_file(service, "b")
    conditions = Conditions(if_match=other.etag)
    assert restore(service, new_name="b", if_exists=IfExists.REPLACE, conditions=conditions) == file_at(service, "b")


def test_restore_repeated_returns_same_file(service: InMemoryService) -> None:
    """After a lost response the same request gets the same file, whatever older ones are left."""
    for body in (b"1", b"2"):
        put_and_delete(service, body=body)
    restored = restore(service)
    assert [restore(service), restore(service, upload_id=restored.upload_id)] == [restored, restored]
    assert len(rows_of(service).deleted_files) == 1
    assert restore(service, new_name="b").upload_id != restored.upload_id


def test_restore_after_move_of_restored_file_is_not_found(service: InMemoryService) -> None:
    """A restored file that was moved on is no longer what the request put there."""
    put_and_delete(service)
    restored = restore(service)
    move_file(service.services, NS, MoveRequest("a", "b"))
    with pytest.raises(FileNotFound):
        restore(service)
    with pytest.raises(FileNotFound):
        restore(service, new_name="b", upload_id=restored.upload_id)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "a.txt"),
        (["a.txt"], "a (2).txt"),
        (["a.txt", "a (2).txt", "a (4).txt"], "a (3).txt"),
    ],
)
def test_restore_renaming_takes_first_free_name(service: InMemoryService, taken: list[str], expected: str) -> None:
    """Under `rename` the first free name is used; a taken name stays as it is."""
    put_and_delete(service, "a.txt")
    for name in taken:
        put_file(service, name)
    restored = restore(service, "a.txt", if_exists=IfExists.RENAME)
    assert (restored.name, file_at(service, expected)) == (expected, restored)


def test_restore_renaming_steps_over_uploads_and_then_uses_random_characters(service: InMemoryService) -> None:
    """An upload in progress makes a name taken, too; after twenty names come random characters."""
    put_and_delete(service)
    for number in ["", *(f" ({number})" for number in range(2, 20))]:
        put_file(service, f"a{number}")
    Client(service, b"x", name="a (20)").start()
    restored = restore(service, if_exists=IfExists.RENAME)
    assert restored.name.startswith("a (")
    assert len(restored.name) == len("a (12345678)")
    assert file_at(service, restored.name) == restored


def test_restore_renaming_steps_over_upload_of_the_name(service: InMemoryService) -> None:
    """An upload in progress of the name itself makes it taken under `rename`, and only then."""
    put_and_delete(service)
    put_and_delete(service)
    Client(service, b"x", name="a").start()
    assert restore(service, if_exists=IfExists.RENAME).name == "a (2)"
    assert restore(service).name == "a"


def test_restore_renamed_repeated_takes_next_older(service: InMemoryService) -> None:
    """A repetition after `rename` restores the next older file, and is a 404 when there is none."""
    files = [put_and_delete(service, body=body) for body in (b"1", b"2")]
    put_file(service, "a")
    found = [restore(service, if_exists=IfExists.RENAME) for _ in files]
    assert [file.upload_id for file in found] == [file.upload_id for file in reversed(files)]
    with pytest.raises(FileNotFound):
        restore(service, if_exists=IfExists.RENAME)


def test_restore_counts_toward_quota_and_may_be_rejected() -> None:
    """A restored file is counted; without room the restore is rejected and changes nothing."""
    service = InMemoryService(quota=Quota(max_bytes=10, max_file_bytes=8))
    file = put_and_delete(service, body=b"x" * 6, counted_in_quota=True)
    put_file(service, "b", b"x" * 5, counted_in_quota=True)
    before = service.upload_repository.snapshot()
    with pytest.raises(QuotaExceeded) as rejected:
        restore(service)
    assert {name: rejected.value.extra[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "bytes",
        "limit": 10,
        "used": 5,
        "requested": 6,
    }
    assert service.upload_repository.rows == before
    # What it replaces makes room.
    restored = restore(service, new_name="b", if_exists=IfExists.REPLACE)
    assert (restored.upload_id, restored.counted_in_quota) == (file.upload_id, True)
    assert rows_of(service).quotas[NS].used_bytes == 6
    service.assert_quota_usage()


def test_restore_of_too_large_file_is_rejected() -> None:
    """The limit of the size of one file holds for a restore, too."""
    service = InMemoryService(quota=Quota(max_file_bytes=2))
    put_and_delete(service)
    with pytest.raises(QuotaExceeded) as rejected:
        restore(service)
    assert rejected.value.extra["quota"] == "file"


def test_restore_quota_filled_meanwhile_is_rejected() -> None:
    """The transaction checks the usage: what came between read and write leaves no room."""
    service = InMemoryService(quota=Quota(max_bytes=10))
    put_and_delete(service, body=b"x" * 6, counted_in_quota=True)
    plan = FaultPlan({("restore_file", 1): lambda: put_file(service, "b", b"x" * 5, counted_in_quota=True)})
    with pytest.raises(QuotaExceeded):
        restore_file(service.new_services(plan), NS, RestoreRequest("a"))
    assert file_at(service, "a") is None
    service.assert_quota_usage()


def test_restore_ends_with_retention(service: InMemoryService) -> None:
    """A file can be restored until the end of its retention, and not from then on, cleanup or not."""
    put_and_delete(service)
    service.clock.advance(DAY_MS - 2)
    snapshot = service.upload_repository.snapshot()
    assert restore(service) == file_at(service, "a")
    service.restore_metadata(snapshot)
    service.clock.advance(1)
    with pytest.raises(FileNotFound):
        restore(service)
    service.drain_cleanup()
    assert (rows_of(service).deleted_files, rows_of(service).object_owners, service.orphans()) == ({}, {}, [])


def test_restore_delete_restore_counts_revisions(service: InMemoryService) -> None:
    """One file may be deleted and restored many times; every change has an event of its own."""
    put_file(service, "a")
    for _ in range(3):
        delete(service)
        restore(service)
    assert len({event.id for event in service.event_publisher.published}) == 6
    file = file_at(service, "a")
    assert file is not None
    assert file.revision == 4
    service.drain_cleanup()
    assert service.file_content("a") == b"x"


def test_restore_takes_four_calls_and_one_to_rename() -> None:
    """The calls of a restore, without events."""
    service = InMemoryService()
    for _ in range(3):
        put_and_delete(service)
    log = CallLog()
    restore_file(service.new_services(log=log), NS, RestoreRequest("a"))
    assert log.methods == ["find_deleted_file", "get_name", "get_object", "restore_file"]
    log = CallLog()
    restore_file(service.new_services(log=log), NS, RestoreRequest("a"))
    assert log.methods == ["find_deleted_file", "get_name"]
    put_file(service, "b")
    log = CallLog()
    restore_file(service.new_services(log=log), NS, RestoreRequest("a", new_name="b", if_exists=IfExists.RENAME))
    assert log.methods == ["find_deleted_file", "get_name", "get_name_states", "get_object", "restore_file"]


def test_pending_completion_survives_delete_and_restore(service: InMemoryService) -> None:
    """A completion whose event is still pending stays due when its file is deleted and restored."""
    file = put_file(service, "a")
    rows, due_at = rows_of(service), service.clock() + 60 * SECOND_MS
    rows.completion_events[file.upload_id] = CompletionEvent(file, None)
    rows.task_due_times[CleanupTaskKind.OBJECT, file.upload_id] = due_at
    delete(service)
    restore(service)
    assert rows.task_due_times == {(CleanupTaskKind.OBJECT, file.upload_id): due_at}
    assert rows.completion_events[file.upload_id].file == file


def test_restore_that_differs_is_no_repetition(service: InMemoryService) -> None:
    """A repetition gets the restored file; a request with another `if_exists` or upload id restores another one."""
    first, second, third = (put_and_delete(service, body=body) for body in (b"1", b"22", b"333"))
    assert restore(service).upload_id == restore(service).upload_id == third.upload_id
    renamed = restore(service, if_exists=IfExists.RENAME)
    assert (renamed.name, renamed.upload_id) == ("a (2)", second.upload_id)
    replaced = restore(service, if_exists=IfExists.REPLACE)
    assert (replaced.name, replaced.upload_id) == ("a", first.upload_id)
    assert restore(service, if_exists=IfExists.REPLACE).upload_id == first.upload_id
    last = restore(service, upload_id=third.upload_id, if_exists=IfExists.REPLACE)
    assert last.upload_id == third.upload_id
    assert restore(service, if_exists=IfExists.REPLACE).upload_id == first.upload_id


def test_restore_repeated_under_another_condition_is_no_repetition(service: InMemoryService) -> None:
    """Conditions belong to the request: one that does not hold is an error, also after the same restore without it."""
    put_and_delete(service)
    restore(service)
    with pytest.raises(FileNotFound):
        restore(service, conditions=Conditions(if_match='"x"'))
