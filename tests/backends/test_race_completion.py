"""A completion against everything else that can happen to its upload at the same moment.

In odd rounds the other begins when the completion is about to make its first call, its second, its third, ...; in even
rounds the completion begins at a call of the other. Eighteen rounds have been everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ferry.cleanup import Report, clean_namespace, sweep_due
from ferry.engine import Engine
from ferry.grid import KIB, MIB
from ferry.model import File
from ferry.progress import Phase
from ferry.uploads.cancel import cancel
from tests.backends.files import NS, OTHER, Sending, downloaded, is_the_file, left_in_s3, put, sha256
from tests.backends.rounds import Operation, Outcome, Round
from tests.fakes.objects import Answer

CALLS = 9
"""About as many as a completion makes."""


def sent(round_: Round, what: str, size: int = 200 * KIB, chunk_size: int = 64 * KIB) -> Sending:
    """An upload with all its chunks."""
    sending = Sending.of(f"{what}-{round_.number}", size, round_.number, chunk_size)
    sending.start(round_.engine)
    sending.send_all(round_.engine)
    return sending


def against(round_: Round, sending: Sending, to: str, other: Callable[[Engine], object]) -> tuple[Outcome, Outcome]:
    """Complete, and the other at one of its calls, or the other way round."""
    held = (round_.number - 1) // 2 % CALLS + 1
    if round_.number % 2:
        completed, answered = round_.at_once(Operation("complete", sending.complete), Operation(to, other, held))
    else:
        answered, completed = round_.at_once(Operation(to, other), Operation("complete", sending.complete, held))
    return completed, answered


def test_ten_completions(round_: Round) -> None:
    """One file, and everybody is given it."""
    sending = sent(round_, "ten", 9 * MIB + 1, MIB)
    outcomes = round_.at_once(*[Operation("complete", sending.complete)] * 10)
    assert [outcome.told for outcome in outcomes] == ["File"] * 10
    assert len({outcome.result.uploaded_at for outcome in outcomes}) == 1
    is_the_file(round_.engine, outcomes[0].result, sending.body)


def test_completions_whose_leases_lapse_at_once(round_: Round) -> None:
    """Each takes over from whoever is at it, so that several are inside S3 together: still one file, for everybody."""
    sending = sent(round_, "lapse", 9 * MIB + 1, MIB)

    def hasty(engine: Engine) -> File:
        return sending.complete(replace(engine, lease=-1))

    outcomes = round_.at_once(*[Operation("complete", hasty)] * 4)
    assert [outcome.told for outcome in outcomes] == ["File"] * 4
    assert len({(outcome.result.upload_id, outcome.result.uploaded_at) for outcome in outcomes}) == 1
    is_the_file(round_.engine, outcomes[0].result, sending.body)


def test_against_cancel(round_: Round) -> None:
    """Either there is a file and the cancel was refused, or there is none and the completion was."""
    sending = sent(round_, "cancel")
    completed, cancelled = against(
        round_, sending, "cancel", lambda engine: cancel(engine, NS, sending.name, sending.upload_id)
    )
    if completed.told == "File":
        assert cancelled.told in {"upload_completing", "upload_complete"}
        is_the_file(round_.engine, completed.result, sending.body)
        return
    assert (completed.told, cancelled.told) == ("upload_cancelled", "NoneType")
    is_gone(round_.engine, sending, Phase.CANCELLED)


def is_gone(engine: Engine, sending: Sending, state: Phase) -> None:
    """The upload has ended in that state, and has left nothing in S3."""
    assert sending.status(engine).state is state
    assert engine.ledger.file(NS, sending.name) is None
    assert left_in_s3(engine, sending.upload_id or "") == []


def test_against_a_clean_up(round_: Round) -> None:
    """Of everything that is open, and of everything that is due: a file, or an upload that has expired whole."""
    sending = sent(round_, "clean-up")

    def clean(engine: Engine) -> Report:
        report = clean_namespace(engine, NS, has_time=lambda: True, older_than=0, filename=sending.name)
        swept = sweep_due(engine, has_time=lambda: True)
        assert (report.errors, swept.errors) == (0, 0)
        return report

    completed, cleaned = against(round_, sending, "clean up", clean)
    assert cleaned.told == "Report"
    if completed.told == "File":
        assert cleaned.result.expired == 0
        is_the_file(round_.engine, completed.result, sending.body)
        return
    assert (completed.told, cleaned.result.expired) == ("upload_expired", 1)
    is_gone(round_.engine, sending, Phase.EXPIRED)


def test_against_a_replacement_that_starts_anew(round_: Round) -> None:
    """Whoever restarts the name either cancels the upload, or is told that it is completing or find it complete."""
    sending = sent(round_, "restart")
    anew = Sending.of(sending.name, 100 * KIB, seed=OTHER + round_.number, replace=True, restart=True)
    completed, started = against(round_, sending, "start anew", anew.start)
    if completed.told == "File":
        assert started.told in {"Started", "upload_completing"}
        is_the_file_beside(round_.engine, completed.result, sending.body)
    else:
        assert completed.told in {"upload_cancelled", "upload_superseded"}
        assert started.told == "Started"
        assert left_in_s3(round_.engine, sending.upload_id or "") == []
    if started.told == "Started":
        anew.send_all(round_.engine)
        is_the_file(round_.engine, anew.complete(round_.engine), anew.body)


def is_the_file_beside(engine: Engine, file: File, body: bytes) -> None:
    """As `is_the_file`, where a new upload of the name may be what status tells of."""
    assert engine.ledger.file(file.ns, file.name) == file
    assert sha256(downloaded(engine, file)) == sha256(body)


def test_replacing_a_file_that_is_read(round_: Round) -> None:
    """A reader gets the old file whole or the new one whole; whoever found the old one reads on after the switch."""
    old = sent(round_, "readers")
    first = old.complete(round_.engine)
    new = Sending.of(old.name, 300 * KIB, seed=OTHER + round_.number, replace=True)
    new.start(round_.engine)
    new.send_all(round_.engine)

    def read(engine: Engine) -> str:
        found = engine.ledger.file(NS, old.name)
        assert found is not None
        return sha256(downloaded(engine, found))

    completed, *readers = round_.at_once(
        Operation("complete", new.complete), *(Operation("read", read, held) for held in range(1, CALLS))
    )
    assert completed.told == "File"
    assert {reader.result for reader in readers} <= {sha256(old.body), sha256(new.body)}
    is_the_file(round_.engine, completed.result, new.body)
    assert sha256(downloaded(round_.engine, first)) == sha256(old.body)


def test_against_a_late_part(round_: Round) -> None:
    """A URL signed before the chunks came is used with other bytes: the acknowledged chunks are the file."""
    sending = Sending.of(f"late-{round_.number}", 200 * KIB, seed=round_.number)
    sending.start(round_.engine)
    late = sending.sign(round_.engine, 1)
    sending.send_all(round_.engine)
    other = Sending.of("", 200 * KIB, seed=OTHER + round_.number).body

    def put_late(_: Engine) -> Answer:
        return put(late, other)

    completed, answered = against(round_, sending, "put a part late", put_late)
    assert completed.told == "File", completed
    assert answered.result.status in {200, 404}
    is_the_file(round_.engine, completed.result, sending.body)
    assert put(late, other).status == 404
    is_the_file(round_.engine, completed.result, sending.body)
