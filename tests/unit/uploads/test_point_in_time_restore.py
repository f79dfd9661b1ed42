"""A metadata store that was restored to an earlier time, and only cleanup runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from dev.fakes.faults import Fault, FaultPlan
from dev.fakes.metadata_rows import Rows
from ferry.errors import ChecksumMismatch, ChecksumRequired, UploadExpired
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.model.uploads import UploadState
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes, swallow_crash
from tests.unit.uploads.blocks import blocks
from tests.unit.uploads.situations import complete_after_other_file

PART_BYTES = 2 * CHUNK_BYTES


def no_chunks(client: Client) -> None:
    client.start()


def some_chunks(client: Client) -> None:
    client.start()
    client.send_chunks([1, 3])


def mixed_paths(client: Client) -> None:
    client.start()
    client.send_chunk(1)
    client.put_part(client.presign_part(1), client.part_body(1))


def all_chunks(client: Client) -> None:
    client.start()
    client.send_chunks()


def leased(client: Client) -> None:
    all_chunks(client)
    swallow_crash(
        lambda: client.complete(client.service.new_services(FaultPlan({("complete_multipart", 1): Fault.CRASH_BEFORE})))
    )


def creating(client: Client) -> None:
    swallow_crash(
        lambda: client.start(client.service.new_services(FaultPlan({("create_multipart", 1): Fault.CRASH_BEFORE})))
    )


@pytest.mark.parametrize("prepare_backup", [no_chunks, some_chunks, mixed_paths, all_chunks, leased, creating])
@pytest.mark.parametrize("wait_ms", [MINUTE_MS, 5 * DAY_MS])
def test_restore_before_completion_completes_again(
    service: InMemoryService, prepare_backup: Callable[[Client], None], wait_ms: int
) -> None:
    """Cleanup completes the upload again from its object, before it expires."""
    client = Client(service, seeded_bytes(PART_BYTES + CHUNK_BYTES))
    prepare_backup(client)
    backup = service.upload_repository.snapshot()
    if prepare_backup is not leased:
        client.start(resume=True)
        client.send_chunks()
    service.clock.advance(HOUR_MS)
    file = client.complete_with_retries()
    service.clock.advance(wait_ms)
    service.restore_metadata(backup)
    service.drain_cleanup()
    assert service.file_content() == client.body
    found = service.file_repository.get_file(NS, NAME)
    assert found is not None
    assert (found.upload_id, found.crc32c, found.etag) == (file.upload_id, file.crc32c, file.etag)
    assert service.orphans() == []


def test_sweep_after_restore_reports_recovered(service: InMemoryService) -> None:
    """An upload completed from its object is reported as recovered, not as expired."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    backup = service.upload_repository.snapshot()
    client.send_chunks()
    client.complete()
    service.restore_metadata(backup)
    service.clock.advance(DAY_MS)
    report = service.sweep()
    assert (report.recovered_uploads, report.expired, report.lost_uploads) == (1, 0, 0)


def complete_and_restore(service: InMemoryService) -> Client:
    """Return a client whose upload was completed, and is open without bytes in the restored metadata store."""
    client = Client(service, seeded_bytes(PART_BYTES + CHUNK_BYTES))
    client.start()
    backup = service.upload_repository.snapshot()
    client.send_chunks()
    client.complete()
    service.restore_metadata(backup)
    return client


@pytest.mark.parametrize("indexes", [[1], [3], [1, 3], [1, 2, 3]])
def test_chunk_with_other_bytes_after_restore_is_no_part_of_earlier_file(
    service: InMemoryService, indexes: list[int]
) -> None:
    """An object without the bytes of a chunk that was accepted after the restore does not become its upload's file."""
    client = complete_and_restore(service)
    other = Client(service, seeded_bytes(PART_BYTES + CHUNK_BYTES, seed=2))
    other.start(resume=True)
    for index in indexes:
        with suppress(UploadExpired):  # S3 no longer has the multipart upload that a whole part goes to.
            other.send_chunk(index)
    assert service.upload_repository.rows.records[client.upload_id].state is UploadState.OPEN
    service.clock.advance(DAY_MS)
    report = service.sweep()
    assert (report.recovered_uploads, report.expired) == (0, 1)
    assert client.state() is UploadState.EXPIRED
    assert service.file_content() is None
    assert f"o/{client.upload_id}" in service.object_store.objects


def test_chunk_with_same_bytes_after_restore_recovers_file(service: InMemoryService) -> None:
    """An object that contains every chunk that was accepted after the restore becomes its upload's file again."""
    client = complete_and_restore(service)
    client.start(resume=True)
    client.send_chunk(1)
    service.clock.advance(DAY_MS)
    assert service.sweep().recovered_uploads == 1
    assert service.file_content() == client.body


def test_complete_after_restore_and_join_needs_checksum(service: InMemoryService) -> None:
    """A device that joined without proof gets a file that cleanup recovered only with that file's checksum."""
    client = complete_and_restore(service)
    other = Client(service, seeded_bytes(PART_BYTES + CHUNK_BYTES, seed=2))
    other.start()
    service.clock.advance(DAY_MS)
    assert service.sweep().recovered_uploads == 1
    assert service.file_content() == client.body
    with pytest.raises(ChecksumRequired):
        other.complete()
    with pytest.raises(ChecksumMismatch):
        other.complete(crc32c=other.crc)
    assert isinstance(client.complete(crc32c=client.crc), File)


def test_restore_before_start_retains_object(service: InMemoryService) -> None:
    """An object whose rows are lost is reported and kept for 35 days, so that an operator can restore its rows."""
    backup = service.upload_repository.snapshot()
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    client.send_chunks()
    client.complete()
    known = service.upload_repository.snapshot()
    service.clock.advance(100 * DAY_MS)
    service.restore_metadata(backup)
    reports = []
    for _ in range(34):
        service.clock.advance(DAY_MS)
        reports.append(service.sweep())
    assert sum(report.orphans.objects for report in reports) == 1
    assert f"o/{client.upload_id}" in service.object_store.objects
    current = service.upload_repository.snapshot()
    known.task_due_times, known.object_owners = (
        known.task_due_times | current.task_due_times,
        current.object_owners | known.object_owners,
    )
    service.restore_metadata(known)  # The operator adds the rows of a later backup.
    service.drain_cleanup()
    assert service.file_content() == client.body


def test_complete_file_exists_retains_object(service: InMemoryService) -> None:
    """The object of a rejected completion is kept for weeks after its upload has expired."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    client.send_chunks()
    complete_after_other_file(client)
    service.clock.advance(DAY_MS)
    assert service.sweep().bytes_reclaimed == 0
    assert client.state() is UploadState.EXPIRED
    with pytest.raises(UploadExpired):
        client.complete()
    service.clock.advance(34 * DAY_MS)
    service.sweep()
    assert f"o/{client.upload_id}" in service.object_store.objects
    service.clock.advance(2 * DAY_MS)
    service.sweep()
    assert service.object_store.objects == {}


def test_restore_of_deleted_file_keeps_object(service: InMemoryService) -> None:
    """If a deleted file is restored, its object is kept, and no longer scheduled for deletion."""
    client = Client(service, seeded_bytes(PART_BYTES))
    client.start()
    client.send_chunks()
    file = client.complete()
    assert isinstance(file, File)
    service.clock.advance(30 * DAY_MS)
    service.upload_repository.rows.records.clear()
    delete_file(service.services, NS, NAME)
    service.upload_repository.rows.files[NS, NAME] = file  # A restore that splits a transaction.
    service.drain_cleanup()
    assert service.file_content() == client.body
    assert service.upload_repository.rows.task_due_times == {}


def perform_random_action(service: InMemoryService, rng: random.Random, number: int) -> None:
    """Do what a client may do."""
    client = Client(service, seeded_bytes(rng.randrange(1, 5 * CHUNK_BYTES), seed=number), name=f"{rng.randrange(4)}")
    if rng.random() < 0.15 and service.file_repository.get_file(NS, client.name) is not None:
        delete_file(service.services, NS, client.name)
        return
    client.start(if_exists=IfExists.REPLACE, restart=True)
    if rng.random() < 0.8:
        client.send_chunks()
        if rng.random() < 0.8:
            client.complete(if_exists=rng.choice([None, IfExists.REPLACE]))
    elif rng.random() < 0.5:
        client.cancel()
    service.clock.advance(rng.choice([1, HOUR_MS, 13 * HOUR_MS]))
    if rng.random() < 0.5:
        service.sweep()


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(quick=3, stress=57))
def test_restore_random_history_keeps_file_bytes(service: InMemoryService, block: int) -> None:
    """A month of sweeps after a restore deletes no file's object, and completes the uploads that were in progress."""
    for seed in range(block * 20, block * 20 + 20):
        one, rng = InMemoryService(), random.Random(seed)
        backups: list[Rows] = [one.upload_repository.snapshot()]
        for number in range(12):
            perform_random_action(one, rng, number)
            backups.append(one.upload_repository.snapshot())
        objects_of_files = {f"o/{file.upload_id}": name for name, file in one.upload_repository.rows.files.items()}
        bodies = {key: one.object_store.objects[key].body for key in objects_of_files}
        backup = rng.choice(backups)
        one.restore_metadata(backup)
        for _ in range(60):
            one.clock.advance(DAY_MS // 2)
            one.sweep()
        for key, (_, name) in objects_of_files.items():
            assert one.object_store.objects[key].body == bodies[key], seed
            record = backup.records.get(key.removeprefix("o/"))
            if record is not None and record.state.in_progress:
                assert one.file_content(name) == bodies[key], seed
        one.drain_cleanup()
        assert one.orphans() == []
        assert one.upload_repository.rows.task_due_times == {}
