"""The schedule's run over all namespaces: everything whose time has come, then some pages of the search for orphans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ferry.cleanup.report import Report
from ferry.cleanup.search import search_orphans
from ferry.cleanup.settling import settle
from ferry.engine import MINUTE, Engine
from ferry.errors import BackendUnavailable
from ferry.model import Due, DueKind
from ferry.ports import Moved

PAGE = 100
RETRY = 30 * MINUTE
"""When an entry that failed is due again: those that always fail must not take the time of the others."""


def sweep_due(engine: Engine, *, has_time: Callable[[], bool]) -> Report:
    """One tick. What it does not get to stays due, and is found by the next, the oldest first."""
    report = Report()
    cursor = None
    while True:
        page = engine.ledger.due(engine.clock(), cursor, PAGE)
        for entry in page.items:
            if not has_time():
                report.complete = False
                _note_waiting(engine, entry, report)
                return report
            report.examined += 1
            if not report.guarded(entry.subject, partial(settle, engine, entry, report)):
                _put_off(engine, entry)
        cursor = page.cursor
        if cursor is None:
            break
    search_orphans(engine, report, has_time)
    return report


def _note_waiting(engine: Engine, entry: Due, report: Report) -> None:
    if entry.kind is DueKind.SESSION:
        report.note_stale(engine.clock() - entry.due)


def _put_off(engine: Engine, entry: Due) -> None:
    with suppress(Moved, BackendUnavailable):
        engine.ledger.reschedule(entry, engine.clock() + RETRY)
