"""Whole files that are stored under one name at the same time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from ferry.errors import PreconditionFailed
from ferry.files.delete import delete_file
from ferry.files.put import PutRequest, PutResult, put_file
from ferry.model.files import File
from ferry.model.uploads import object_key
from ferry.rules.conditions import Conditions
from ferry.services import Services
from tests.backends.files import NS
from tests.backends.race_runner import RaceOperation, RaceRound

CALLER_COUNT = 8
CALL_COUNT = 5
"""Calls of one request to its backends, over an existing file."""


def put(name: str, body: bytes, conditions: Conditions | None = None) -> Callable[[Services], PutResult]:
    """Return the request to store a file."""
    request = PutRequest(name, body, conditions=conditions or Conditions())
    return lambda services: put_file(services, NS, request)


def current_file(race_round: RaceRound, name: str) -> File:
    """Return the name's file, whose bytes are there."""
    file = race_round.services.file_repository.get_file(NS, name)
    assert file is not None
    return file


def stored_body(race_round: RaceRound, file: File) -> bytes | None:
    return race_round.services.object_store.get(object_key(file.upload_id))


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("same_bytes", [False, True])
def test_put_under_one_condition_has_one_winner(race_round: RaceRound, exists: bool, same_bytes: bool) -> None:
    """Of requests under the same condition exactly one succeeds, also with the same bytes; the others get its file."""
    name = f"put-{exists}-{same_bytes}-{race_round.number}"
    conditions = Conditions(if_none_match="*")
    if exists:
        conditions = Conditions(if_match=put(name, b"old")(race_round.services).file.etag)
    bodies = [b"new" if same_bytes else b"new %d" % number for number in range(CALLER_COUNT)]
    outcomes = race_round.run_concurrently(*(RaceOperation("put", put(name, body, conditions)) for body in bodies))
    [winner] = [number for number, outcome in enumerate(outcomes) if outcome.error is None]
    file = current_file(race_round, name)
    assert outcomes[winner].result.file == file
    assert stored_body(race_round, file) == bodies[winner]
    for outcome in outcomes:
        if outcome.error is not None:
            assert isinstance(outcome.error, PreconditionFailed)
            assert outcome.error.extra["current_file"].upload_id == file.upload_id


def test_put_without_condition_all_succeed(race_round: RaceRound) -> None:
    """All requests succeed one after another: each has a date of its own, and the last one's bytes are there."""
    name = f"put-all-{race_round.number}"
    bodies = [b"body %d" % number for number in range(CALLER_COUNT)]
    outcomes = race_round.run_concurrently(*(RaceOperation("put", put(name, body)) for body in bodies))
    results = [outcome.result for outcome in outcomes if outcome.error is None]
    assert {outcome.summary for outcome in outcomes} <= {"PutResult", "backend_unavailable"}
    assert [result.created for result in results].count(True) == 1
    assert len({result.file.last_modified_seconds for result in results}) == len(results)
    file = current_file(race_round, name)
    assert file.last_modified_seconds == max(result.file.last_modified_seconds for result in results)
    assert stored_body(race_round, file) in bodies


def test_put_meets_deletion(race_round: RaceRound) -> None:
    """A deletion at any call of a request takes away the old file or the new one, whole."""
    name = f"put-delete-{race_round.number}"
    old = put(name, b"old")(race_round.services).file
    outcomes = race_round.run_concurrently(
        RaceOperation("put", put(name, b"new")),
        RaceOperation(
            "delete", partial(delete_file, ns=NS, name=name), start_at_call=race_round.number % CALL_COUNT + 1
        ),
    )
    assert [outcome.summary for outcome in outcomes] == ["PutResult", "NoneType"]
    file = race_round.services.file_repository.get_file(NS, name)
    new = outcomes[0].result.file
    assert file in (None, new)
    for each in (old, new):
        assert stored_body(race_round, each) in (b"old", b"new"), "a file that can be restored has its bytes"
