"""Moves, restores, deletions and starts under `rename` at the same time, on real servers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ferry.cleanup import sweep_due_tasks
from ferry.errors import FerryError
from ferry.files.delete import delete_file
from ferry.files.delete_many import DeleteEntry, delete_files
from ferry.files.move import MoveRequest, move_file
from ferry.files.put import PutRequest, put_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.files import File, IfExists
from ferry.services import Services
from ferry.uploads.start import StartResult, start
from ferry.uploads.start_request import StartRequest
from tests.backends.files import NS
from tests.backends.race_runner import RaceOperation, RaceOutcome, RaceRound

STARTERS = 8


def put(services: Services, name: str, body: bytes = b"first") -> File:
    return put_file(services, NS, PutRequest(name, body)).file


def content(services: Services, name: str) -> bytes | None:
    """Return the bytes of a file; None if the name has none."""
    file = services.file_repository.get_file(NS, name)
    return None if file is None else services.object_store.get(f"o/{file.upload_id}")


def run_all(race_round: RaceRound, *operations: RaceOperation) -> list[RaceOutcome]:
    """Run the first operation, with the others at its call of this round's number."""
    first, *others = operations
    calls = 1 + race_round.number % 5
    late = [RaceOperation(other.name, other.run, calls) for other in others]
    return race_round.run_concurrently(first, *late)


def test_move_and_delete_have_one_winner(race_round: RaceRound) -> None:
    """The file is moved or deleted, or first moved and then not found; it is never under both names."""
    name, services = f"race/move-{race_round.number}", race_round.services
    put(services, name)
    outcomes = run_all(
        race_round,
        RaceOperation("move", partial(move_file, ns=NS, request=MoveRequest(name, f"{name}-b"))),
        RaceOperation("delete", partial(delete_file, ns=NS, name=name)),
    )
    assert sorted(outcome.summary for outcome in outcomes) in (["File", "not_found"], ["NoneType", "not_found"])
    was_moved = outcomes[0].error is None
    assert (content(services, name), content(services, f"{name}-b")) == (None, b"first" if was_moved else None)


def test_moves_to_one_name_keep_both_files(race_round: RaceRound) -> None:
    """Of two moves to one name exactly one succeeds; the other's file stays under its name."""
    base, services = f"race/to-{race_round.number}", race_round.services
    for letter in "ab":
        put(services, f"{base}-{letter}", letter.encode())
    outcomes = race_round.run_concurrently(
        *(
            RaceOperation("move", partial(move_file, ns=NS, request=MoveRequest(f"{base}-{letter}", base)))
            for letter in "ab"
        )
    )
    assert sorted(outcome.summary for outcome in outcomes) == ["File", "file_exists"]
    moved, kept = "ab" if outcomes[0].error is None else "ba"
    assert content(services, base) == moved.encode()
    assert content(services, f"{base}-{kept}") == kept.encode()
    assert content(services, f"{base}-{moved}") is None


def test_reads_of_moving_file_never_miss_it(race_round: RaceRound) -> None:
    """A reader of the old name and then of the new one always finds the file."""
    name, services = f"race/read-{race_round.number}", race_round.services
    put(services, name)

    def read(reader: Services) -> None:
        for _ in range(20):
            assert content(reader, name) is not None or content(reader, f"{name}-b") is not None

    outcomes = race_round.run_concurrently(
        RaceOperation("move", partial(move_file, ns=NS, request=MoveRequest(name, f"{name}-b"))),
        RaceOperation("read", read),
    )
    assert [outcome.summary for outcome in outcomes] == ["File", "NoneType"]


def test_restores_of_one_file_restore_it_once(race_round: RaceRound) -> None:
    """Two restores of one file return the same file."""
    name, services = f"race/restore-{race_round.number}", race_round.services
    put(services, name)
    delete_file(services, NS, name)
    outcomes = race_round.run_concurrently(
        *(RaceOperation("restore", partial(restore_file, ns=NS, request=RestoreRequest(name))) for _ in range(2))
    )
    assert [outcome.summary for outcome in outcomes] == ["File", "File"]
    assert outcomes[0].result == outcomes[1].result
    assert content(services, name) == b"first"


def test_restore_and_put_keep_whole_files(race_round: RaceRound) -> None:
    """A restore and a new file of the name: the name has one of them, whole, and the other can be restored."""
    name, services = f"race/put-{race_round.number}", race_round.services
    put(services, name)
    delete_file(services, NS, name)
    outcomes = run_all(
        race_round,
        RaceOperation("put", lambda process: put(process, name, b"second")),
        RaceOperation("restore", partial(restore_file, ns=NS, request=RestoreRequest(name))),
    )
    assert outcomes[0].summary == "File"
    assert outcomes[1].summary in ("File", "file_exists")
    # The PUT always wins in the end: it replaces what was restored before it.
    assert content(services, name) == b"second"
    left = services.file_repository.list_deleted_files(NS, name, start=name, limit=9).items
    assert [services.object_store.get(f"o/{each.file.upload_id}") for each in left] == [b"first"]


def test_restore_and_cleanup_leave_the_file_or_nothing(race_round: RaceRound) -> None:
    """A restore while cleanup ends the file: it has its bytes, or it is not found and nothing is left."""
    name, services = f"race/cleanup-{race_round.number}", race_round.services
    put(services, name)
    short = replace(services, deleted_file_retention_ms=0)
    delete_file(short, NS, name)

    def restore_late(process: Services) -> File:
        # This process' clock is behind, so that the file is still restorable for it.
        behind = replace(process, clock=lambda: services.clock() - 60_000)
        return restore_file(behind, NS, RestoreRequest(name))

    outcomes = run_all(
        race_round,
        RaceOperation("sweep", lambda process: sweep_due_tasks(process, has_time=lambda: True)),
        RaceOperation("restore", restore_late),
    )
    restored = outcomes[1].error is None
    assert restored or outcomes[1].summary == "not_found"
    sweep_due_tasks(services, has_time=lambda: True)
    assert content(services, name) == (b"first" if restored else None)


def test_deletions_of_several_files_delete_each_once(race_round: RaceRound) -> None:
    """Two requests for the same names: each name is deleted by exactly one of them."""
    base, services = f"race/many-{race_round.number}", race_round.services
    names = [f"{base}-{number}" for number in range(8)]
    for name in names:
        put(services, name)
    entries = [DeleteEntry(name) for name in names]
    outcomes = race_round.run_concurrently(
        *(RaceOperation("delete", partial(delete_files, ns=NS, entries=entries)) for _ in range(2))
    )
    deleted = [name for outcome in outcomes for name in outcome.result.deleted]
    missing = [name for outcome in outcomes for name in outcome.result.missing]
    assert (sorted(deleted), sorted(missing)) == (names, names)


def test_eight_starts_under_rename_get_names_of_their_own(race_round: RaceRound) -> None:
    """Of eight starts without proof each gets the next free name."""
    name, services = f"race/rename-{race_round.number}.txt", race_round.services
    put(services, name)
    request = StartRequest(name, 9, if_exists=IfExists.RENAME)
    outcomes = race_round.run_concurrently(
        *(RaceOperation("start", partial(start, ns=NS, request=request)) for _ in range(STARTERS))
    )
    names = sorted(name_of(outcome) for outcome in outcomes)
    assert names == sorted(f"race/rename-{race_round.number} ({number}).txt" for number in range(2, 2 + STARTERS))


def test_eight_equal_starts_under_rename_share_one_upload(race_round: RaceRound) -> None:
    """Of eight starts with the same checksum one creates the upload, and all get it."""
    name, services = f"race/equal-{race_round.number}.txt", race_round.services
    put(services, name)
    request = StartRequest(name, 9, if_exists=IfExists.RENAME, crc32c=race_round.number)
    outcomes = race_round.run_concurrently(
        *(RaceOperation("start", partial(start, ns=NS, request=request)) for _ in range(STARTERS))
    )
    assert {name_of(outcome) for outcome in outcomes} == {f"race/equal-{race_round.number} (2).txt"}
    assert [outcome.result.created for outcome in outcomes].count(True) == 1


def name_of(outcome: RaceOutcome) -> str:
    """Return the name of the upload that a start returned. Raises its error."""
    if isinstance(outcome.error, FerryError):
        raise outcome.error
    result: StartResult = outcome.result
    assert result.upload is not None
    return result.upload.record.name
