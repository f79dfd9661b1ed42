"""The orphan scan: what has no row is found page by page and deleted in its time; nothing in use is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from ferry.cleanup import sweep_due_tasks
from ferry.cleanup.orphan_scan import MIN_ORPHAN_AGE_MS
from ferry.files.delete import delete_file
from ferry.model.cleanup import CleanupTaskKind, OrphanScanPhase
from ferry.model.files import File
from ferry.model.uploads import UploadState
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes, swallow_crash

PART_BYTES = 2 * CHUNK_BYTES
UNKNOWN_UPLOAD_ID = "f" * 32


def start_client(service: InMemoryService, name: str = NAME, size: int = PART_BYTES + 5) -> Client:
    client = Client(service, seeded_bytes(size), name=name)
    client.start()
    return client


def completed_client(service: InMemoryService, name: str = NAME, size: int = PART_BYTES + 5) -> Client:
    client = start_client(service, name, size)
    client.send_chunks()
    assert isinstance(client.complete(), File)
    return client


def put_object(service: InMemoryService, key: str) -> None:
    service.object_store.put(key, b"x", crc32c=crc32c(b"x"))


def sweep_for_days(service: InMemoryService, count: int) -> list[tuple[int, int, int]]:
    """Sweep twice a day for `count` days. Return how many orphans of each kind each sweep found."""
    found = []
    for _ in range(2 * count):
        service.clock.advance(DAY_MS // 2)
        orphans = service.sweep().orphans
        found.append((orphans.multipart_uploads, orphans.staged_objects, orphans.objects))
    return found


def test_orphan_scan_multipart_without_record_aborted_after_min_age(service: InMemoryService) -> None:
    """A multipart upload without a record is aborted once no upload can be that old."""
    service.object_store.create_multipart(f"o/{UNKNOWN_UPLOAD_ID}", content_type="text/plain")
    early = sweep_for_days(service, MIN_ORPHAN_AGE_MS // DAY_MS - 1)
    assert (len(service.object_store.multipart_uploads), {count for count, _, _ in early}) == (1, {0})
    late = sweep_for_days(service, 2)
    assert (len(service.object_store.multipart_uploads), sum(count for count, _, _ in late)) == (0, 1)


def test_orphan_scan_staged_chunks_without_record_deleted_together(service: InMemoryService) -> None:
    """Staged chunks without a record are deleted together, once the newest is old enough."""
    put_object(service, f"st/{UNKNOWN_UPLOAD_ID}/1/1-ab")
    sweep_for_days(service, 5)
    put_object(service, f"st/{UNKNOWN_UPLOAD_ID}/1/2-cd")
    early = sweep_for_days(service, MIN_ORPHAN_AGE_MS // DAY_MS - 1)
    assert (len(service.object_store.objects), {count for _, count, _ in early}) == (2, {0})
    late = sweep_for_days(service, 2)
    assert (service.object_store.objects, sum(count for _, count, _ in late)) == ({}, 2)


def test_orphan_scan_object_without_row_retained_then_deleted(service: InMemoryService) -> None:
    """An object without a row is counted once, and deleted a retention period after it was found."""
    put_object(service, f"o/{UNKNOWN_UPLOAD_ID}")
    service.clock.advance(1_000 * DAY_MS)
    found = sweep_for_days(service, 34)
    assert [count for _, _, count in found] == [1] + 67 * [0]
    assert f"o/{UNKNOWN_UPLOAD_ID}" in service.object_store.objects
    sweep_for_days(service, 2)
    assert service.object_store.objects == {}
    assert (service.upload_repository.rows.object_owners, service.upload_repository.rows.task_due_times) == ({}, {})


def test_orphan_scan_zero_retention_only_counts(service: InMemoryService) -> None:
    """With a retention of 0, orphans are counted by every round and never deleted."""
    service.services = replace(service.services, orphan_retention_ms=0)
    put_object(service, f"o/{UNKNOWN_UPLOAD_ID}")
    found = sweep_for_days(service, 90)
    assert sum(count for _, _, count in found) >= 80
    assert f"o/{UNKNOWN_UPLOAD_ID}" in service.object_store.objects


def test_orphan_scan_foreign_keys_untouched(service: InMemoryService) -> None:
    """Keys that Ferry cannot have written are left alone, even under its prefixes."""
    others = [
        "o/photo.jpg",
        f"o/{UNKNOWN_UPLOAD_ID}/x",
        "o/" + "F" * 32,
        f"o/{'a' * 33}",
        "st/x/1",
        f"st/{'a' * 31}/1/1-a",
        "x",
    ]
    for key in others:
        put_object(service, key)
    for key in ("o/photo.jpg", f"o/{UNKNOWN_UPLOAD_ID}0", f"p/{UNKNOWN_UPLOAD_ID}"):
        service.object_store.create_multipart(key, content_type="text/plain")
    assert set(sweep_for_days(service, 100)) == {(0, 0, 0)}
    assert (len(service.object_store.objects), len(service.object_store.multipart_uploads)) == (len(others), 3)


def test_orphan_scan_files_and_open_uploads_kept(service: InMemoryService) -> None:
    """Files stay long after their records are deleted, and so do active uploads up to their maximum age."""
    kept = completed_client(service)
    service.upload_repository.rows.records.clear()  # As DynamoDB's TTL does, a week later.
    service.upload_repository.rows.current_uploads.clear()
    sweep_for_days(service, 60)
    active = start_client(service, "active")
    for index in (1, 2, 3):
        service.clock.advance(23 * HOUR_MS)
        service.sweep()
        active.send_chunk(index)
        active.presign_part(1)
    assert isinstance(active.complete(), File)
    sweep_for_days(service, 60)
    assert (service.file_content(), service.file_content("active")) == (kept.body, active.body)
    delete_file(service.services, NS, NAME)
    sweep_for_days(service, 2)
    assert service.file_content() is None
    assert set(service.object_store.objects) == {f"o/{active.upload_id}"}


def test_start_crashed_sweep_aborts_multipart(service: InMemoryService) -> None:
    """The multipart upload of a crashed start is aborted an hour after the upload has expired, without any scan."""
    client = Client(service, seeded_bytes(PART_BYTES))
    with pytest.raises(ProcessCrashed):
        client.start(services=service.new_services(FaultPlan({("create_multipart", 1): Fault.CRASH_AFTER})))
    service.clock.advance(15 * MINUTE_MS + 1)
    report = service.sweep()
    assert (report.expired, len(service.object_store.multipart_uploads)) == (1, 1)
    service.clock.advance(HOUR_MS)
    assert service.sweep().orphans.multipart_uploads == 1
    assert service.object_store.multipart_uploads == {}


def test_orphan_scan_second_multipart_aborted_after_an_hour(service: InMemoryService) -> None:
    """A second multipart upload of a key is aborted; the one that the record names becomes the file."""
    client = start_client(service)
    service.object_store.create_multipart(f"o/{client.upload_id}", content_type="text/plain")
    service.sweep()
    assert len(service.object_store.multipart_uploads) == 2
    service.clock.advance(23 * HOUR_MS)
    client.send_chunks()
    service.clock.advance(2 * HOUR_MS)
    assert service.sweep().orphans.multipart_uploads == 1
    assert isinstance(client.complete(), File)
    assert service.file_content() == client.body


def test_orphan_scan_multipart_of_purged_upload_aborted(service: InMemoryService) -> None:
    """A multipart upload that S3 lists again after its upload was purged is aborted, although the record names it."""
    client = start_client(service)
    kept_by_s3 = dict(service.object_store.multipart_uploads)
    client.cancel()
    service.clock.advance(2 * HOUR_MS)
    service.sweep()
    service.object_store.multipart_uploads.update(kept_by_s3)
    service.clock.advance(DAY_MS)
    assert service.sweep().orphans.multipart_uploads == 1
    assert service.object_store.multipart_uploads == {}


def test_sweep_storage_missing_expires_upload(service: InMemoryService) -> None:
    """An upload whose multipart upload is gone expires, so that its client starts again at once."""
    client = start_client(service)
    client.send_chunk(1)
    service.clock.advance(23 * HOUR_MS)
    client.send_chunk(2)
    service.object_store.multipart_uploads.clear()  # An operator aborted it.
    service.clock.advance(2 * HOUR_MS)
    report = service.sweep()
    assert (report.lost_uploads, report.expired, client.state()) == (1, 1, UploadState.EXPIRED)
    service.drain_cleanup()
    assert service.orphans() == []


def test_sweep_completion_pending_in_s3_waits(service: InMemoryService) -> None:
    """If S3 may still be building the object, the upload is left alone and examined again later."""
    client = start_client(service)
    client.send_chunks()
    swallow_crash(
        lambda: client.complete(service.new_services(FaultPlan({("complete_multipart", 1): Fault.UNAVAILABLE})))
    )
    assert client.state() is UploadState.OPEN
    hidden = dict(service.object_store.multipart_uploads)
    service.object_store.multipart_uploads.clear()
    service.upload_repository.rows.task_due_times[CleanupTaskKind.UPLOAD, client.upload_id] = service.clock.now
    report = service.sweep()
    assert (report.expired, report.lost_uploads, client.state()) == (0, 0, UploadState.OPEN)
    service.object_store.multipart_uploads.update(hidden)
    assert isinstance(client.complete(), File)


def test_orphan_scan_each_run_calls_bounded(service: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much S3 has, each run makes few calls, and the runs of a round examine everything once."""
    monkeypatch.setattr("ferry.cleanup.orphan_scan.PAGE_SIZE", 5)
    ids = [f"{number:032x}" for number in range(10**6, 10**6 + 100)]
    for upload_id in ids:
        put_object(service, f"o/{upload_id}")
    service.clock.advance(2 * DAY_MS)
    found = []
    for _ in range(20):
        log = CallLog()
        report = sweep_due_tasks(service.new_services(log=log), has_time=lambda: True)
        found.append(report.orphans.objects)
        assert log.count("list_objects") <= 4
        assert len(log.calls) <= 1 + 1 + 4 * (1 + 2 + 1 + 5)
    assert sum(found) == 100
    assert max(found) == 20
    scan = service.cleanup_repository.get_orphan_scan()
    assert scan is not None
    assert scan.phase is OrphanScanPhase.DONE
    log = CallLog()
    sweep_due_tasks(service.new_services(log=log), has_time=lambda: True)
    assert log.methods == ["list_due_tasks", "get_orphan_scan"]


def test_orphan_scan_concurrent_runs_skip_nothing(service: InMemoryService) -> None:
    """Of two scans at once, one stops; nothing is skipped."""
    for number in range(8):
        put_object(service, f"o/{number:032x}")
    service.clock.advance(2 * DAY_MS)
    plan = FaultPlan({("save_orphan_scan", 1): service.sweep})
    sweep_due_tasks(service.new_services(plan), has_time=lambda: True)
    assert len(service.upload_repository.rows.object_owners) == 8
    service.sweep()
    scan = service.cleanup_repository.get_orphan_scan()
    assert scan is not None
    assert scan.phase is OrphanScanPhase.DONE
