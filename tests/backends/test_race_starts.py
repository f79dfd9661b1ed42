"""Uploads of one name that begin at once."""

from __future__ import annotations

from functools import partial

from ferry.engine import Engine
from ferry.grid import KIB
from ferry.model import File
from tests.backends.files import NS, Sending, is_the_file, left_in_s3
from tests.backends.rounds import Operation, Round

MANY = 4


def test_two_starts_of_one_file(round_: Round) -> None:
    """Both are given the same upload, of which S3 knows one."""
    callers = [Sending.of(f"starts-{round_.number}", 200 * KIB, seed=round_.number) for _ in range(2)]
    outcomes = round_.at_once(*(Operation("start", caller.start) for caller in callers))
    assert [outcome.told for outcome in outcomes] == ["Started"] * 2
    assert len({caller.upload_id for caller in callers}) == 1
    assert [outcome.result.created for outcome in outcomes].count(True) <= 1
    assert len(left_in_s3(round_.engine, callers[0].upload_id or "")) == 1
    for caller, index in zip(callers * 2, callers[0].indexes, strict=True):
        caller.send(round_.engine, index)
    is_the_file(round_.engine, callers[1].complete(round_.engine), callers[0].body)


def test_two_starts_of_different_files(round_: Round) -> None:
    """One has the name; the other is told that it is taken, and by which upload."""
    callers = [Sending.of(f"taken-{round_.number}", (200 + n) * KIB, seed=n) for n in range(2)]
    outcomes = round_.at_once(*(Operation("start", caller.start) for caller in callers))
    assert sorted(outcome.told for outcome in outcomes) == ["Started", "upload_in_progress"]
    winner, loser = callers if callers[0].upload_id else reversed(callers)
    [refused] = [outcome.error for outcome in outcomes if outcome.error]
    assert (refused.extra["upload_id"], loser.upload_id) == (winner.upload_id, None)
    winner.send_all(round_.engine)
    is_the_file(round_.engine, winner.complete(round_.engine), winner.body)


def test_two_replacements(round_: Round) -> None:
    """Two clients, each of which cancels whatever is in its way: the file is one's, whole, and no other's remains."""
    old = Sending.of(f"replace-{round_.number}", 70 * KIB, seed=round_.number)
    old.start(round_.engine)
    old.send_all(round_.engine)
    old.complete(round_.engine)
    callers = [
        Sending.of(old.name, (100 + n) * KIB, seed=round_.number * 10 + n, replace=True, restart=True)
        for n in range(MANY)
    ]

    def replace_it(caller: Sending, engine: Engine) -> File:
        caller.start(engine)
        caller.send_all(engine)
        return caller.complete(engine)

    outcomes = round_.at_once(*(Operation("replace", partial(replace_it, caller)) for caller in callers))
    lost = {"upload_in_progress", "upload_cancelled", "upload_superseded", "upload_completing", "upload_complete"}
    assert {outcome.told for outcome in outcomes} <= {"File", *lost}
    finished = {
        outcome.result.upload_id: caller for outcome, caller in zip(outcomes, callers, strict=True) if not outcome.error
    }
    file = round_.engine.ledger.file(NS, old.name)
    assert file is not None
    assert file.upload_id in finished
    is_the_file(round_.engine, file, finished[file.upload_id].body)
    for caller in callers:
        if caller.upload_id is not None and caller.upload_id not in finished:
            assert left_in_s3(round_.engine, caller.upload_id) == []
