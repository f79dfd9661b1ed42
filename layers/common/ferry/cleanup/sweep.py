"""The scheduled run over all namespaces: every task that is due, then some pages of the orphan scan."""

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
"""How many due tasks one query reads."""

FAILURE_BACKOFF_MS = 30 * MINUTE_MS
"""Milliseconds until a failed task is tried again. Meanwhile the others run."""


def sweep_due_tasks(services: Services, *, has_time: Callable[[], bool]) -> CleanupReport:
    """Reconcile every due task, the oldest first, then scan for orphans.

    Args:
        services: the backends.
        has_time: whether there is time for one more step. What remains stays due, and the next run finds it.
    """
    report = CleanupReport()
    cursor = None
    while True:
        page = services.cleanup_repository.list_due_tasks(services.clock(), cursor, PAGE_SIZE)
        for task in page.items:
            if not has_time():
                report.complete = False
                _record_backlog(services, task, report)
                return report
            report.examined += 1
            if not report.run_step(task.subject, partial(reconcile, services, task, report)):
                _reschedule_failed(services, task)
        cursor = page.cursor
        if cursor is None:
            break
    scan_orphans(services, report, has_time)
    return report


def _record_backlog(services: Services, task: CleanupTask, report: CleanupReport) -> None:
    """Report how long the oldest upload that is left has been due."""
    if task.kind is CleanupTaskKind.UPLOAD:
        report.observe_staleness(services.clock() - task.due_at)


def _reschedule_failed(services: Services, task: CleanupTask) -> None:
    """Postpone a failed task. If that fails too, the task stays due."""
    with suppress(ConcurrentUpdate, BackendUnavailable):
        services.cleanup_repository.reschedule_task(task, services.clock() + FAILURE_BACKOFF_MS)
