"""The clean-up of one namespace, on request."""

from __future__ import annotations

from collections.abc import Callable

from ferry.cleanup.decision import apply, decide
from ferry.cleanup.report import CleanupReport
from ferry.model.uploads import UploadState
from ferry.rules.durations import SECOND_MS
from ferry.services import Services

PAGE_SIZE = 100
"""Names looked at in one query."""


def clean_namespace(
    services: Services,
    ns: str,
    *,
    has_time: Callable[[], bool],
    older_than_seconds: int | None = None,
    filename: str | None = None,
    dry_run: bool = False,
    cursor: str | None = None,
) -> CleanupReport:
    """End the stale uploads of a namespace: past their expiry, or idle for `older_than` seconds. Completing ones stay.

    What no row knows has no namespace: orphans are the schedule's.

    Raises:
        InvalidField: the cursor is not one of this route's.
    """
    report = CleanupReport(dry_run=dry_run)
    if filename is not None:
        slot = services.upload_repository.get_current_upload(ns, filename)
        if slot is not None and slot.in_progress:
            _clean_upload(services, slot.upload_id, older_than_seconds, report, has_time)
        return report
    while True:
        page = services.upload_repository.list_open_uploads(ns, cursor, PAGE_SIZE)
        for slot in page.items:
            if report.examined and not has_time():
                report.complete, report.cursor = False, cursor
                return report
            _clean_upload(services, slot.upload_id, older_than_seconds, report, has_time)
            cursor = services.upload_repository.cursor_after(slot)
        cursor = page.cursor
        if cursor is None:
            return report
        if not has_time():
            report.complete, report.cursor = False, cursor
            return report


def _clean_upload(
    services: Services,
    upload_id: str,
    older_than_seconds: int | None,
    report: CleanupReport,
    has_time: Callable[[], bool],
) -> None:
    """End one upload if it is stale. When time is short its bytes are left to the schedule's next run."""

    def look() -> None:
        upload = services.upload_repository.get_upload(upload_id)
        if upload is None or upload.record.state not in (UploadState.CREATING, UploadState.OPEN):
            return
        now = services.clock()
        if (
            now >= upload.expires_at
            if older_than_seconds is None
            else now - upload.last_activity_at >= older_than_seconds * SECOND_MS
        ):
            verdict = decide(services, upload, is_stale=True)
            apply(services, upload, verdict, report, purge_now=has_time())

    report.examined += 1
    report.run_step(upload_id, look)
