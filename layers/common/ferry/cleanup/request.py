"""The clean-up of one namespace, on request."""

from __future__ import annotations

from collections.abc import Callable

from ferry.cleanup.fate import carry_out, judge
from ferry.cleanup.report import Report
from ferry.engine import SECOND, Engine
from ferry.model import State

PAGE = 100
"""Names looked at in one query."""


def clean_namespace(
    engine: Engine,
    ns: str,
    *,
    has_time: Callable[[], bool],
    older_than: int | None = None,
    filename: str | None = None,
    dry_run: bool = False,
    cursor: str | None = None,
) -> Report:
    """End the stale uploads of a namespace: past their expiry, or idle for `older_than` seconds. Completing ones stay.

    What no row knows has no namespace: orphans are the schedule's.

    Raises:
        InvalidField: the cursor is not one of this route's.
    """
    report = Report(dry_run=dry_run)
    if filename is not None:
        slot = engine.ledger.slot(ns, filename)
        if slot is not None and slot.open:
            _clean(engine, slot.upload_id, older_than, report, has_time)
        return report
    while True:
        page = engine.ledger.open_slots(ns, cursor, PAGE)
        for slot in page.items:
            if report.examined and not has_time():
                report.complete, report.cursor = False, cursor
                return report
            _clean(engine, slot.upload_id, older_than, report, has_time)
            cursor = engine.ledger.after(slot)
        cursor = page.cursor
        if cursor is None:
            return report
        if not has_time():
            report.complete, report.cursor = False, cursor
            return report


def _clean(
    engine: Engine, upload_id: str, older_than: int | None, report: Report, has_time: Callable[[], bool]
) -> None:
    """End one upload if it is stale. When time is short its bytes are left to the schedule's next run."""

    def look() -> None:
        upload = engine.ledger.upload(upload_id)
        if upload is None or upload.session.state not in (State.CREATING, State.OPEN):
            return
        now = engine.clock()
        if now >= upload.expires_at if older_than is None else now - upload.touched >= older_than * SECOND:
            verdict = judge(engine, upload, stale=True)
            carry_out(engine, upload, verdict, report, thorough=has_time())

    report.examined += 1
    report.guarded(upload_id, look)
