"""Uploads of one name that start at the same time."""

from __future__ import annotations

from functools import partial

from ferry.model.files import File
from ferry.rules.layout import KIB
from ferry.services import Services
from tests.backends.files import NS, RaceClient, assert_current_file, remaining_in_s3
from tests.backends.race_runner import RaceOperation, RaceRound

CLIENT_COUNT = 4


def test_start_two_concurrent_return_same_upload(race_round: RaceRound) -> None:
    """Both responses have the same upload, and S3 has one multipart upload."""
    callers = [RaceClient.create(f"starts-{race_round.number}", 200 * KIB, seed=race_round.number) for _ in range(2)]
    outcomes = race_round.run_concurrently(*(RaceOperation("start", caller.start) for caller in callers))
    assert [outcome.summary for outcome in outcomes] == ["StartResult"] * 2
    assert len({caller.upload_id for caller in callers}) == 1
    assert [outcome.result.created for outcome in outcomes].count(True) == 1
    assert len(remaining_in_s3(race_round.services, callers[0].upload_id or "")) == 1
    for caller, index in zip(callers * 2, callers[0].indexes, strict=True):
        caller.send(race_round.services, index)
    assert_current_file(race_round.services, callers[1].complete(race_round.services), callers[0].body)


def test_start_two_different_files_one_conflicts(race_round: RaceRound) -> None:
    """One client gets the name; the other gets a conflict that names the winner's upload."""
    callers = [RaceClient.create(f"taken-{race_round.number}", (200 + n) * KIB, seed=n) for n in range(2)]
    outcomes = race_round.run_concurrently(*(RaceOperation("start", caller.start) for caller in callers))
    assert sorted(outcome.summary for outcome in outcomes) == ["StartResult", "upload_in_progress"]
    winner, loser = callers if callers[0].upload_id else reversed(callers)
    [error] = [outcome.error for outcome in outcomes if outcome.error]
    assert (error.extra["upload_id"], loser.upload_id) == (winner.upload_id, None)
    winner.send_all(race_round.services)
    assert_current_file(race_round.services, winner.complete(race_round.services), winner.body)


def test_replace_concurrent_has_one_winner(race_round: RaceRound) -> None:
    """Of clients that replace the file and restart the upload, one wins; its file is whole, no other data remains."""
    old = RaceClient.create(f"replace-{race_round.number}", 70 * KIB, seed=race_round.number)
    old.start(race_round.services)
    old.send_all(race_round.services)
    old.complete(race_round.services)
    callers = [
        RaceClient.create(
            old.name, (100 + n) * KIB, seed=race_round.number * 10 + n, replace_existing=True, restart=True
        )
        for n in range(CLIENT_COUNT)
    ]

    def replace_file(caller: RaceClient, services: Services) -> File:
        caller.start(services)
        caller.send_all(services)
        return caller.complete(services)

    outcomes = race_round.run_concurrently(
        *(RaceOperation("replace", partial(replace_file, caller)) for caller in callers)
    )
    losing_summaries = {
        "upload_in_progress",
        "upload_cancelled",
        "upload_superseded",
        "upload_completing",
        "upload_complete",
    }
    assert {outcome.summary for outcome in outcomes} <= {"File", *losing_summaries}
    finishers = {
        outcome.result.upload_id: caller for outcome, caller in zip(outcomes, callers, strict=True) if not outcome.error
    }
    file = race_round.services.file_repository.get_file(NS, old.name)
    assert file is not None
    assert file.upload_id in finishers
    assert_current_file(race_round.services, file, finishers[file.upload_id].body)
    for caller in callers:
        if caller.upload_id is not None and caller.upload_id not in finishers:
            assert remaining_in_s3(race_round.services, caller.upload_id) == []
