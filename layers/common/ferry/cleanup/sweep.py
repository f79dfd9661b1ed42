"""The schedule's run over all namespaces: everything whose time has come, then some pages of the search for orphans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ferry.cleanup.orphan_scan import scan_orphans
from ferry.cleanup.reconcile import reconcile
from ferry.cleanup.report import CleanupReport
from ferry.errors import BackendUnavailable
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import MINUTE_MS
from ferry.services import Services

PAGE_SIZE = 100
FAILURE_BACKOFF_MS = 30 * MINUTE_MS
"""When an entry that failed is due again: those that always fail must not take the time of the others."""


def sweep_due_tasks(services: Services, *, has_time: Callable[[], bool]) -> CleanupReport:
    """One tick. What it does not get to stays due, and is found by the next, the oldest first."""
    report = CleanupReport()
    cursor = None
    while True:
        page = services.cleanup_repository.list_due_tasks(services.clock(), cursor, PAGE_SIZE)
        for entry in page.items:
            if not has_time():
                report.complete = False
                _record_backlog(services, entry, report)
                return report
            report.examined += 1
            if not report.run_step(entry.subject, partial(reconcile, services, entry, report)):
                _reschedule_failed(services, entry)
        cursor = page.cursor
        if cursor is None:
            break
    scan_orphans(services, report, has_time)
    return report


def _record_backlog(services: Services, task: CleanupTask, report: CleanupReport) -> None:
    if task.kind is CleanupTaskKind.UPLOAD:
        report.observe_staleness(services.clock() - task.due_at)


def _reschedule_failed(services: Services, task: CleanupTask) -> None:
    with suppress(ConcurrentUpdate, BackendUnavailable):
        services.cleanup_repository.reschedule_task(task, services.clock() + FAILURE_BACKOFF_MS)
