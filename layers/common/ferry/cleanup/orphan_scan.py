"""Scan S3 for orphans: what is stored under Ferry's prefixes without a row (docs/decisions/0005).

Each sweep scans a few pages from where the last one ended. One full scan starts at most once a day.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ferry.cleanup.report import CleanupReport
from ferry.errors import InvalidField
from ferry.model.cleanup import OrphanScan, OrphanScanPhase
from ferry.model.uploads import (
    OBJECT_PREFIX,
    STAGED_CHUNK_PREFIX,
    UploadRecord,
    UploadState,
    object_key,
    staged_chunk_prefix,
)
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import DAY_MS, HOUR_MS
from ferry.services import Services
from ferry.uploads.terminate import delete_staged_chunks

logger = logging.getLogger(__name__)

PAGES_PER_RUN = 4
"""How many pages one sweep scans."""

PAGE_SIZE = 1_000
"""How many keys one page lists."""

SCAN_INTERVAL_MS = DAY_MS
"""Milliseconds from the start of one full scan to the start of the next."""

MIN_MULTIPART_AGE_MS = HOUR_MS
"""A younger multipart upload may belong to a start that is still running."""

MIN_ORPHAN_AGE_MS = 8 * DAY_MS
"""Least age at which an entry without a record is deleted: a day beyond the greatest age of an upload."""

_NEXT_PHASE = {
    OrphanScanPhase.MULTIPART_UPLOADS: OrphanScanPhase.STAGED_CHUNKS,
    OrphanScanPhase.STAGED_CHUNKS: OrphanScanPhase.OBJECTS,
    OrphanScanPhase.OBJECTS: OrphanScanPhase.DONE,
}
_UPLOAD_ID_PATTERN = re.compile(r"[0-9a-f]{32}")

HasTime = Callable[[], bool]


def scan_orphans(services: Services, report: CleanupReport, has_time: HasTime) -> None:
    """Continue the scan. If another sweep continues it at the same time, one of the two stops."""
    report.run_step("the orphan scan", lambda: _scan(services, report, has_time))


def _scan(services: Services, report: CleanupReport, has_time: HasTime) -> None:
    """Scan up to `PAGES_PER_RUN` pages, and save after each how far the scan has come.

    Raises:
        ConcurrentUpdate: another sweep has saved a later page.
    """
    scan = services.cleanup_repository.get_orphan_scan() or OrphanScan(services.clock(), version=0)
    for _ in range(PAGES_PER_RUN):
        if scan.phase is OrphanScanPhase.DONE:
            if services.clock() < scan.started_at + SCAN_INTERVAL_MS:
                return
            scan = OrphanScan(services.clock(), version=scan.version)
        try:
            is_done, cursor = _scan_by_phase[scan.phase](services, scan.cursor, report, has_time)
        except InvalidField:
            logger.warning("%s: the saved cursor is not valid; the next phase begins", scan.phase)
            is_done, cursor = True, None
        if not is_done:
            report.complete = False
            return
        scan = replace(scan, cursor=cursor, version=scan.version + 1)
        if cursor is None:
            scan = replace(scan, phase=_NEXT_PHASE[scan.phase])
        services.cleanup_repository.save_orphan_scan(scan)


def _scan_multiparts(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    """Scan one page of multipart uploads. Return whether there was time for all of it, and the next page's cursor."""
    now = services.clock()
    page = services.object_store.list_multipart_uploads(cursor, PAGE_SIZE)
    found = [
        (upload_id, key, multipart_id, now - initiated_at)
        for key, multipart_id, initiated_at in page.items
        if (upload_id := _parse_upload_id(key, object_key)) and now - initiated_at >= MIN_MULTIPART_AGE_MS
    ]
    records = services.cleanup_repository.get_upload_records(upload_id for upload_id, *_ in found)
    steps = (
        partial(_abort_multipart, services, key, multipart_id, report)
        for upload_id, key, multipart_id, age_ms in found
        if _is_unreferenced(records.get(upload_id), multipart_id, age_ms)
    )
    return _run_all(steps, report, has_time), page.cursor


def _is_unreferenced(record: UploadRecord | None, multipart_id: str, age_ms: int) -> bool:
    """Return whether a multipart upload can be aborted: no record names it, and none can appear any more."""
    if record is None:
        return age_ms >= MIN_ORPHAN_AGE_MS
    return record.multipart_id != multipart_id or record.purged


def _abort_multipart(services: Services, key: str, multipart_id: str, report: CleanupReport) -> None:
    services.object_store.abort_multipart(key, multipart_id)
    report.orphans.multipart_uploads += 1


def _scan_staged_chunks(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    """Scan one page of prefixes of staged chunks, one prefix for each upload. Return as `_scan_multiparts`."""
    page = services.object_store.list_prefixes(STAGED_CHUNK_PREFIX, cursor, PAGE_SIZE)
    ids = [upload_id for prefix in page.items if (upload_id := _parse_upload_id(prefix, staged_chunk_prefix))]
    records = services.cleanup_repository.get_upload_records(ids)
    steps = (
        partial(_delete_staged_chunks, services, upload_id, report) for upload_id in ids if upload_id not in records
    )
    return _run_all(steps, report, has_time), page.cursor


def _delete_staged_chunks(services: Services, upload_id: str, report: CleanupReport) -> None:
    """Delete the staged chunks of one upload if all are old enough. The next full scan finds the rest."""
    page = services.object_store.list_objects(staged_chunk_prefix(upload_id), None, PAGE_SIZE)
    newest_at = max((chunk.modified_at for chunk in page.items), default=0)
    if services.clock() - newest_at < MIN_ORPHAN_AGE_MS:
        return
    deleted = delete_staged_chunks(services, upload_id)
    report.orphans.staged_objects += len(page.items)
    report.bytes_reclaimed += deleted.deleted_bytes


def _scan_objects(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    """Scan one page of objects that are at least a day old. Return as `_scan_multiparts`."""
    now = services.clock()
    page = services.object_store.list_objects(OBJECT_PREFIX, cursor, PAGE_SIZE)
    ids = [
        upload_id
        for item in page.items
        if (upload_id := _parse_upload_id(item.key, object_key)) and now - item.modified_at >= DAY_MS
    ]
    owners = services.cleanup_repository.get_object_owners(ids)
    without_row = [upload_id for upload_id in ids if upload_id not in owners]
    records = services.cleanup_repository.get_upload_records(without_row)
    steps = (
        partial(_schedule_deletion, services, upload_id, records.get(upload_id), report) for upload_id in without_row
    )
    return _run_all(steps, report, has_time), page.cursor


def _schedule_deletion(services: Services, upload_id: str, record: UploadRecord | None, report: CleanupReport) -> None:
    """Give the object a row with a due time. The sweep deletes it then, unless it is in use by that time.

    An object is left alone while its upload may still become a file, or is still being purged.
    """
    if record is not None and (record.state.in_progress or not (record.purged or record.state is UploadState.COMPLETE)):
        return
    report.orphans.objects += 1
    if services.orphan_retention_ms:
        owner = record.owner if record else None
        with suppress(ConcurrentUpdate):
            services.cleanup_repository.schedule_object(
                upload_id, owner, due_at=services.clock() + services.orphan_retention_ms
            )


def _run_all(steps: Iterable[Callable[[], None]], report: CleanupReport, has_time: HasTime) -> bool:
    """Run each step while there is time. Return False if time ran out."""
    for step in steps:
        if not has_time():
            return False
        report.run_step("an orphan", step)
    return True


def _parse_upload_id(key: str, build_key: Callable[[str], str]) -> str:
    """Return the upload id in a key; empty if `build_key` does not build that key from it."""
    upload_id = key.partition("/")[2].removesuffix("/")
    return upload_id if _UPLOAD_ID_PATTERN.fullmatch(upload_id) and build_key(upload_id) == key else ""


_scan_by_phase = {
    OrphanScanPhase.MULTIPART_UPLOADS: _scan_multiparts,
    OrphanScanPhase.STAGED_CHUNKS: _scan_staged_chunks,
    OrphanScanPhase.OBJECTS: _scan_objects,
}
