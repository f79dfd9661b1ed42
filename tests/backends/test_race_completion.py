"""A completion races every other operation on its upload.

In odd rounds, the other operation starts when the completion is about to make its first call, its second call, and so
on. In even rounds, the completion starts at a call of the other operation. Eighteen rounds cover every call.
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
"""Approximate number of a completion's calls to the backends."""


def upload_all_chunks(
    race_round: RaceRound, name_prefix: str, size: int = 200 * KIB, chunk_size: int = 64 * KIB
) -> RaceClient:
    """Return a client that has uploaded every chunk and has not completed."""
    client = RaceClient.create(f"{name_prefix}-{race_round.number}", size, race_round.number, chunk_size)
    client.start(race_round.services)
    client.send_all(race_round.services)
    return client


def race_completion(
    race_round: RaceRound, race_client: RaceClient, operation_name: str, other: Callable[[Services], object]
) -> tuple[RaceOutcome, RaceOutcome]:
    """Run a completion and another operation, of which one starts at a call of the other.

    Returns:
        The outcome of the completion and that of the other operation.
    """
    start_at_call = (race_round.number - 1) // 2 % CALLS_PER_COMPLETION + 1
    if race_round.number % 2:
        completed, other_outcome = race_round.run_concurrently(
            RaceOperation("complete", race_client.complete), RaceOperation(operation_name, other, start_at_call)
        )
    else:
        other_outcome, completed = race_round.run_concurrently(
            RaceOperation(operation_name, other), RaceOperation("complete", race_client.complete, start_at_call)
        )
    return completed, other_outcome


def test_completion_ten_concurrent_return_same_file(race_round: RaceRound) -> None:
    """Every caller gets the same file."""
    client = upload_all_chunks(race_round, "ten", 9 * MIB + 1, MIB)
    outcomes = race_round.run_concurrently(*[RaceOperation("complete", client.complete)] * 10)
    assert [outcome.summary for outcome in outcomes] == ["File"] * 10
    assert len({outcome.result.uploaded_at for outcome in outcomes}) == 1
    assert_current_file(race_round.services, outcomes[0].result, client.body)


def test_completion_expired_leases_return_same_file(race_round: RaceRound) -> None:
    """Leases that expire at once let several callers complete in S3 together; every caller still gets the same file."""
    client = upload_all_chunks(race_round, "expired-lease", 9 * MIB + 1, MIB)

    def complete_with_expired_lease(services: Services) -> File:
        return client.complete(replace(services, lease_duration_ms=-1))

    outcomes = race_round.run_concurrently(*[RaceOperation("complete", complete_with_expired_lease)] * 4)
    assert [outcome.summary for outcome in outcomes] == ["File"] * 4
    assert len({(outcome.result.upload_id, outcome.result.uploaded_at) for outcome in outcomes}) == 1
    assert_current_file(race_round.services, outcomes[0].result, client.body)


def test_completion_racing_cancel_has_one_winner(race_round: RaceRound) -> None:
    """Either the file exists and the cancellation failed, or no file exists and the completion failed."""
    client = upload_all_chunks(race_round, "cancel")
    completed, cancelled = race_completion(
        race_round, client, "cancel", lambda services: cancel(services, NS, client.name, client.upload_id)
    )
    if completed.summary == "File":
        assert cancelled.summary in {"upload_completing", "upload_complete"}
        assert_current_file(race_round.services, completed.result, client.body)
        return
    assert (completed.summary, cancelled.summary) == ("upload_cancelled", "bool")
    assert_upload_gone(race_round.services, client, UploadStatus.CANCELLED)


def assert_upload_gone(services: Services, race_client: RaceClient, state: UploadStatus) -> None:
    """Assert that the upload ended in this state and that S3 has no data of it."""
    assert race_client.status(services).state is state
    assert services.file_repository.get_file(NS, race_client.name) is None
    assert remaining_in_s3(services, race_client.upload_id or "") == []


def test_completion_racing_cleanup_has_one_winner(race_round: RaceRound) -> None:
    """Either the file exists, or the cleanup expired the upload and deleted all its data."""
    client = upload_all_chunks(race_round, "cleanup")

    def clean(services: Services) -> CleanupReport:
        report = clean_namespace(services, NS, has_time=lambda: True, older_than_seconds=0, filename=client.name)
        swept = sweep_due_tasks(services, has_time=lambda: True)
        assert (report.errors, swept.errors) == (0, 0)
        return report

    completed, cleaned = race_completion(race_round, client, "cleanup", clean)
    assert cleaned.summary == "CleanupReport"
    if completed.summary == "File":
        assert cleaned.result.expired == 0
        assert_current_file(race_round.services, completed.result, client.body)
        return
    assert (completed.summary, cleaned.result.expired) == ("upload_expired", 1)
    assert_upload_gone(race_round.services, client, UploadStatus.EXPIRED)


def test_completion_racing_restart_has_one_winner(race_round: RaceRound) -> None:
    """A restart either cancels the upload, or fails because it completes, or finds it complete."""
    client = upload_all_chunks(race_round, "restart")
    restarted = RaceClient.create(
        client.name, 100 * KIB, seed=OTHER_SEED_OFFSET + race_round.number, replace_existing=True, restart=True
    )
    completed, started = race_completion(race_round, client, "restart", restarted.start)
    if completed.summary == "File":
        assert started.summary in {"StartResult", "upload_completing"}
        assert_file_readable(race_round.services, completed.result, client.body)
    else:
        assert completed.summary in {"upload_cancelled", "upload_superseded"}
        assert started.summary == "StartResult"
        assert remaining_in_s3(race_round.services, client.upload_id or "") == []
    if started.summary == "StartResult":
        restarted.send_all(race_round.services)
        assert_current_file(race_round.services, restarted.complete(race_round.services), restarted.body)


def assert_file_readable(services: Services, file: File, body: bytes) -> None:
    """Assert the file like `assert_current_file`, but not the status, which may report a new upload of the name."""
    assert services.file_repository.get_file(file.ns, file.name) == file
    assert sha256(download(services, file)) == sha256(body)


def test_replace_during_reads_never_mixes_files(race_round: RaceRound) -> None:
    """Each reader gets the whole old file or the whole new file, and the old file stays readable after the commit."""
    old = upload_all_chunks(race_round, "readers")
    first = old.complete(race_round.services)
    new = RaceClient.create(old.name, 300 * KIB, seed=OTHER_SEED_OFFSET + race_round.number, replace_existing=True)
    new.start(race_round.services)
    new.send_all(race_round.services)

    def read(services: Services) -> str:
        file = services.file_repository.get_file(NS, old.name)
        assert file is not None
        return sha256(download(services, file))

    completed, *readers = race_round.run_concurrently(
        RaceOperation("complete", new.complete),
        *(RaceOperation("read", read, call) for call in range(1, CALLS_PER_COMPLETION)),
    )
    assert completed.summary == "File"
    assert {reader.result for reader in readers} <= {sha256(old.body), sha256(new.body)}
    assert_current_file(race_round.services, completed.result, new.body)
    assert sha256(download(race_round.services, first)) == sha256(old.body)


def test_completion_racing_late_presigned_put_keeps_chunks(race_round: RaceRound) -> None:
    """A URL signed before the chunks arrived is used with other bytes; the file has the acknowledged chunks."""
    client = RaceClient.create(f"late-{race_round.number}", 200 * KIB, seed=race_round.number)
    client.start(race_round.services)
    late = client.sign(race_round.services, 1)
    client.send_all(race_round.services)
    other = RaceClient.create("", 200 * KIB, seed=OTHER_SEED_OFFSET + race_round.number).body

    def put_late(_: Services) -> StoreResponse:
        return put_presigned(late, other)

    completed, put_outcome = race_completion(race_round, client, "late PUT of a part", put_late)
    assert completed.summary == "File", completed
    assert put_outcome.result.status in {200, 404}
    assert_current_file(race_round.services, completed.result, client.body)
    assert put_presigned(late, other).status == 404
    assert_current_file(race_round.services, completed.result, client.body)
