"""The search for orphans: what S3 has under Ferry's prefixes and no row knows (docs/decisions/0005).

A few pages at each tick, from where the last one came to, once around a day at the most.
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
from ferry.model.uploads import UploadRecord, UploadState, object_key, staged_chunk_prefix
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import DAY_MS, HOUR_MS
from ferry.services import Services
from ferry.uploads.terminate import delete_staged_chunks

logger = logging.getLogger(__name__)

PAGES_PER_RUN = 4
PAGE_SIZE = 1_000
SCAN_INTERVAL_MS = DAY_MS
"""From the beginning of one round to that of the next."""
MIN_MULTIPART_AGE_MS = HOUR_MS
"""A multipart upload younger than this may belong to a start that is just going on."""
MIN_ORPHAN_AGE_MS = 8 * DAY_MS
"""When what belongs to no session can be of no use to anybody: a day beyond the greatest age of an upload."""

_NEXT_PHASE = {
    OrphanScanPhase.MULTIPART_UPLOADS: OrphanScanPhase.STAGED_CHUNKS,
    OrphanScanPhase.STAGED_CHUNKS: OrphanScanPhase.OBJECTS,
    OrphanScanPhase.OBJECTS: OrphanScanPhase.DONE,
}
_UPLOAD_ID_PATTERN = re.compile(r"[0-9a-f]{32}")

HasTime = Callable[[], bool]


def scan_orphans(services: Services, report: CleanupReport, has_time: HasTime) -> None:
    """Go on with the search. Who finds that somebody else has leaves it to them."""
    report.run_step("the search for orphans", lambda: _scan(services, report, has_time))


def _scan(services: Services, report: CleanupReport, has_time: HasTime) -> None:
    search = services.cleanup_repository.get_orphan_scan() or OrphanScan(services.clock(), version=0)
    for _ in range(PAGES_PER_RUN):
        if search.phase is OrphanScanPhase.DONE:
            if services.clock() < search.started_at + SCAN_INTERVAL_MS:
                return
            search = OrphanScan(services.clock(), version=search.version)
        try:
            done, cursor = _scan_by_phase[search.phase](services, search.cursor, report, has_time)
        except InvalidField:
            logger.warning("the %s could not be listed from where the search had come to", search.phase)
            done, cursor = True, None
        if not done:
            report.complete = False
            return
        search = replace(search, cursor=cursor, version=search.version + 1)
        if cursor is None:
            search = replace(search, phase=_NEXT_PHASE[search.phase])
        services.cleanup_repository.save_orphan_scan(search)


def _scan_multiparts(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    now = services.clock()
    page = services.object_store.list_multipart_uploads(cursor, PAGE_SIZE)
    found = [
        (_parse_upload_id(key, object_key), key, multipart_id, now - begun) for key, multipart_id, begun in page.items
    ]
    old = [(upload_id, key, mp, age) for upload_id, key, mp, age in found if upload_id and age >= MIN_MULTIPART_AGE_MS]
    sessions = services.cleanup_repository.get_upload_records(upload_id for upload_id, *_ in old)
    orphans = (
        partial(_abort_multipart, services, key, multipart_id, report)
        for upload_id, key, multipart_id, age in old
        if _is_unreferenced(sessions.get(upload_id), multipart_id, age)
    )
    return _run_all(orphans, report, has_time), page.cursor


def _is_unreferenced(record: UploadRecord | None, multipart_id: str, age_ms: int) -> bool:
    if record is None:
        return age_ms >= MIN_ORPHAN_AGE_MS
    return record.multipart_id != multipart_id or record.purged


def _abort_multipart(services: Services, key: str, multipart_id: str, report: CleanupReport) -> None:
    services.object_store.abort_multipart(key, multipart_id)
    report.orphans.multipart_uploads += 1


def _scan_staged_chunks(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    page = services.object_store.list_prefixes("st/", cursor, PAGE_SIZE)
    ids = [upload_id for folder in page.items if (upload_id := _parse_upload_id(folder, staged_chunk_prefix))]
    known = services.cleanup_repository.get_upload_records(ids)
    orphans = (
        partial(_delete_staged_chunks, services, upload_id, report) for upload_id in ids if upload_id not in known
    )
    return _run_all(orphans, report, has_time), page.cursor


def _delete_staged_chunks(services: Services, upload_id: str, report: CleanupReport) -> None:
    """Those of one upload, if the youngest is old enough. What is too much for now is found by the next round."""
    first = services.object_store.list_objects(staged_chunk_prefix(upload_id), None, PAGE_SIZE)
    youngest = max((stage.modified_at for stage in first.items), default=0)
    if services.clock() - youngest < MIN_ORPHAN_AGE_MS:
        return
    removed = delete_staged_chunks(services, upload_id)
    report.orphans.staged_objects += len(first.items)
    report.bytes_reclaimed += removed.deleted_bytes


def _scan_objects(
    services: Services, cursor: str | None, report: CleanupReport, has_time: HasTime
) -> tuple[bool, str | None]:
    now = services.clock()
    page = services.object_store.list_objects("o/", cursor, PAGE_SIZE)
    found = ((_parse_upload_id(item.key, object_key), now - item.modified_at) for item in page.items)
    ids = [upload_id for upload_id, age in found if upload_id and age >= DAY_MS]
    owned = services.cleanup_repository.get_object_owners(ids)
    rest = [upload_id for upload_id in ids if upload_id not in owned]
    sessions = services.cleanup_repository.get_upload_records(rest)
    unowned = (partial(_schedule_deletion, services, upload_id, sessions.get(upload_id), report) for upload_id in rest)
    return _run_all(unowned, report, has_time), page.cursor


def _schedule_deletion(services: Services, upload_id: str, record: UploadRecord | None, report: CleanupReport) -> None:
    """Give the object a row, from which the sweep takes it when its time is up, and if nobody wants it then."""
    if record is not None and (record.state.in_progress or not (record.purged or record.state is UploadState.COMPLETE)):
        return
    report.orphans.objects += 1
    if services.orphan_retention_ms:
        owner = (record.ns, record.name) if record else None
        with suppress(ConcurrentUpdate):
            services.cleanup_repository.schedule_object(
                upload_id, owner, due_at=services.clock() + services.orphan_retention_ms
            )


def _run_all(steps: Iterable[Callable[[], None]], report: CleanupReport, has_time: HasTime) -> bool:
    """Take each step, for as long as there is time; whether there was."""
    for step in steps:
        if not has_time():
            return False
        report.run_step("an orphan", step)
    return True


def _parse_upload_id(key: str, build_key: Callable[[str], str]) -> str:
    """The upload that a key is of, empty where it is none of ours."""
    upload_id = key.partition("/")[2].removesuffix("/")
    return upload_id if _UPLOAD_ID_PATTERN.fullmatch(upload_id) and build_key(upload_id) == key else ""


_scan_by_phase = {
    OrphanScanPhase.MULTIPART_UPLOADS: _scan_multiparts,
    OrphanScanPhase.STAGED_CHUNKS: _scan_staged_chunks,
    OrphanScanPhase.OBJECTS: _scan_objects,
}
