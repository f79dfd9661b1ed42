"""A completion against everything else that can happen to its upload at the same moment.

In odd rounds the other begins when the completion is about to make its first call, its second, its third, ...; in even
rounds the completion begins at a call of the other. Eighteen rounds have been everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dev.fakes.object_store import StoreResponse
from ferry.cleanup import CleanupReport, clean_namespace, sweep_due_tasks
from ferry.model.files import File
from ferry.rules.layout import KIB, MIB
from ferry.services import Services
from ferry.status.upload_status import UploadStatus
from ferry.uploads.cancel import cancel
from tests.backends.files import (
    NS,
    OTHER_SEED_OFFSET,
    RaceClient,
    assert_current_file,
    download,
    put_presigned,
    remaining_in_s3,
    sha256,
)
from tests.backends.race_runner import RaceOperation, RaceOutcome, RaceRound

CALLS_PER_COMPLETION = 9
"""About as many as a completion makes."""


def upload_all_chunks(
    race_round: RaceRound, name_prefix: str, size: int = 200 * KIB, chunk_size: int = 64 * KIB
) -> RaceClient:
    """An upload with all its chunks."""
    sending = RaceClient.create(f"{name_prefix}-{race_round.number}", size, race_round.number, chunk_size)
    sending.start(race_round.services)
    sending.send_all(race_round.services)
    return sending


def race_completion(
    race_round: RaceRound, race_client: RaceClient, operation_name: str, other: Callable[[Services], object]
) -> tuple[RaceOutcome, RaceOutcome]:
    """Complete, and the other at one of its calls, or the other way round."""
    held = (race_round.number - 1) // 2 % CALLS_PER_COMPLETION + 1
    if race_round.number % 2:
        completed, answered = race_round.run_concurrently(
            RaceOperation("complete", race_client.complete), RaceOperation(operation_name, other, held)
        )
    else:
        answered, completed = race_round.run_concurrently(
            RaceOperation(operation_name, other), RaceOperation("complete", race_client.complete, held)
        )
    return completed, answered


def test_completion_ten_concurrent_return_same_file(race_round: RaceRound) -> None:
    """One file, and everybody is given it."""
    sending = upload_all_chunks(race_round, "ten", 9 * MIB + 1, MIB)
    outcomes = race_round.run_concurrently(*[RaceOperation("complete", sending.complete)] * 10)
    assert [outcome.summary for outcome in outcomes] == ["File"] * 10
    assert len({outcome.result.uploaded_at for outcome in outcomes}) == 1
    assert_current_file(race_round.services, outcomes[0].result, sending.body)


def test_completion_expired_leases_return_same_file(race_round: RaceRound) -> None:
    """Each takes over from whoever is at it, so that several are inside S3 together: still one file, for everybody."""
    sending = upload_all_chunks(race_round, "lapse", 9 * MIB + 1, MIB)

    def hasty(services: Services) -> File:
        return sending.complete(replace(services, lease_duration_ms=-1))

    outcomes = race_round.run_concurrently(*[RaceOperation("complete", hasty)] * 4)
    assert [outcome.summary for outcome in outcomes] == ["File"] * 4
    assert len({(outcome.result.upload_id, outcome.result.uploaded_at) for outcome in outcomes}) == 1
    assert_current_file(race_round.services, outcomes[0].result, sending.body)


def test_completion_racing_cancel_has_one_winner(race_round: RaceRound) -> None:
    """Either there is a file and the cancel was refused, or there is none and the completion was."""
    sending = upload_all_chunks(race_round, "cancel")
    completed, cancelled = race_completion(
        race_round, sending, "cancel", lambda engine: cancel(engine, NS, sending.name, sending.upload_id)
    )
    if completed.summary == "File":
        assert cancelled.summary in {"upload_completing", "upload_complete"}
        assert_current_file(race_round.services, completed.result, sending.body)
        return
    assert (completed.summary, cancelled.summary) == ("upload_cancelled", "bool")
    assert_upload_gone(race_round.services, sending, UploadStatus.CANCELLED)


def assert_upload_gone(services: Services, race_client: RaceClient, state: UploadStatus) -> None:
    """The upload has ended in that state, and has left nothing in S3."""
    assert race_client.status(services).state is state
    assert services.upload_repository.get_file(NS, race_client.name) is None
    assert remaining_in_s3(services, race_client.upload_id or "") == []


def test_completion_racing_cleanup_has_one_winner(race_round: RaceRound) -> None:
    """Of everything that is open, and of everything that is due: a file, or an upload that has expired whole."""
    sending = upload_all_chunks(race_round, "clean-up")

    def clean(services: Services) -> CleanupReport:
        report = clean_namespace(services, NS, has_time=lambda: True, older_than_seconds=0, filename=sending.name)
        swept = sweep_due_tasks(services, has_time=lambda: True)
        assert (report.errors, swept.errors) == (0, 0)
        return report

    completed, cleaned = race_completion(race_round, sending, "clean up", clean)
    assert cleaned.summary == "CleanupReport"
    if completed.summary == "File":
        assert cleaned.result.expired == 0
        assert_current_file(race_round.services, completed.result, sending.body)
        return
    assert (completed.summary, cleaned.result.expired) == ("upload_expired", 1)
    assert_upload_gone(race_round.services, sending, UploadStatus.EXPIRED)


def test_completion_racing_restart_has_one_winner(race_round: RaceRound) -> None:
    """Whoever restarts the name either cancels the upload, or is told that it is completing or find it complete."""
    sending = upload_all_chunks(race_round, "restart")
    anew = RaceClient.create(
        sending.name, 100 * KIB, seed=OTHER_SEED_OFFSET + race_round.number, replace=True, restart=True
    )
    completed, started = race_completion(race_round, sending, "start anew", anew.start)
    if completed.summary == "File":
        assert started.summary in {"StartResult", "upload_completing"}
        assert_file_readable(race_round.services, completed.result, sending.body)
    else:
        assert completed.summary in {"upload_cancelled", "upload_superseded"}
        assert started.summary == "StartResult"
        assert remaining_in_s3(race_round.services, sending.upload_id or "") == []
    if started.summary == "StartResult":
        anew.send_all(race_round.services)
        assert_current_file(race_round.services, anew.complete(race_round.services), anew.body)


def assert_file_readable(services: Services, file: File, body: bytes) -> None:
    """As `is_the_file`, where a new upload of the name may be what status tells of."""
    assert services.upload_repository.get_file(file.ns, file.name) == file
    assert sha256(download(services, file)) == sha256(body)


def test_replace_during_reads_never_mixes_files(race_round: RaceRound) -> None:
    """A reader gets the old file whole or the new one whole; whoever found the old one reads on after the switch."""
    old = upload_all_chunks(race_round, "readers")
    first = old.complete(race_round.services)
    new = RaceClient.create(old.name, 300 * KIB, seed=OTHER_SEED_OFFSET + race_round.number, replace=True)
    new.start(race_round.services)
    new.send_all(race_round.services)

    def read(services: Services) -> str:
        found = services.upload_repository.get_file(NS, old.name)
        assert found is not None
        return sha256(download(services, found))

    completed, *readers = race_round.run_concurrently(
        RaceOperation("complete", new.complete),
        *(RaceOperation("read", read, held) for held in range(1, CALLS_PER_COMPLETION)),
    )
    assert completed.summary == "File"
    assert {reader.result for reader in readers} <= {sha256(old.body), sha256(new.body)}
    assert_current_file(race_round.services, completed.result, new.body)
    assert sha256(download(race_round.services, first)) == sha256(old.body)


def test_completion_racing_late_presigned_put_keeps_chunks(race_round: RaceRound) -> None:
    """A URL signed before the chunks came is used with other bytes: the acknowledged chunks are the file."""
    sending = RaceClient.create(f"late-{race_round.number}", 200 * KIB, seed=race_round.number)
    sending.start(race_round.services)
    late = sending.sign(race_round.services, 1)
    sending.send_all(race_round.services)
    other = RaceClient.create("", 200 * KIB, seed=OTHER_SEED_OFFSET + race_round.number).body

    def put_late(_: Services) -> StoreResponse:
        return put_presigned(late, other)

    completed, answered = race_completion(race_round, sending, "put a part late", put_late)
    assert completed.summary == "File", completed
    assert answered.result.status in {200, 404}
    assert_current_file(race_round.services, completed.result, sending.body)
    assert put_presigned(late, other).status == 404
    assert_current_file(race_round.services, completed.result, sending.body)
