"""The clean-up function: on request for one namespace, by the schedule for all; and completions that are handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferry import wiring
from ferry.cleanup import clean_namespace, finish, sweep_due
from ferry.http import log, metrics, views
from ferry.http.answer import Answer, json_answer
from ferry.http.app import Context, create_app
from ferry.http.bearer import ADMIN, bearer
from ferry.http.request import Request
from ferry.http.tracing import traced

app = create_app(bearer(wiring.verifier), wiring.log_file_names)

SWEEP = {"ferry": "sweep"}
FINISH = "finish"
CLEAN_UP = "cleanup.run"
PARAMETERS = frozenset({"older_than", "filename", "dry_run", "cursor"})
RESERVE = 180_000
"""Milliseconds kept back, beside those for mending, for the rest of the last entry that was begun."""
REQUEST_BUDGET = 10_000
"""Milliseconds after which no further upload is begun: the gateway hangs up after 30 s, and S3 may take 18 to fail."""


def _handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    if event == SWEEP:
        engine = wiring.engine()
        has_time = _until(context.get_remaining_time_in_millis, engine.mending + RESERVE)
        report = sweep_due(engine, has_time=has_time)
        metrics.of_service(views.sweep_metrics(report))
        told = views.sweep(report)
        log.swept(told)
        if report.examined:
            who = {"actor": "schedule", **views.cleaned(report)}
            log.audit(CLEAN_UP, outcome=log.SUCCESS, request_id=context.aws_request_id, details=who)
        return told
    if event.get("ferry") == FINISH:
        finish(wiring.engine(), event["upload_id"], event["attempt"])
        return {}
    return app.handle(event, context)


lambda_handler = traced(_handle, wiring.tracing)


@app.protected("DELETE /cleanup", scope=ADMIN, audit=CLEAN_UP)
def clean_up(request: Request, ns: str) -> Answer:
    request.refuse_other_parameters(PARAMETERS)
    engine = wiring.engine()
    give_up = engine.clock() + REQUEST_BUDGET
    report = clean_namespace(
        engine,
        ns,
        has_time=lambda: engine.clock() < give_up,
        older_than=request.integer("older_than", least=0),
        filename=request.optional_filename(),
        dry_run=request.flag("dry_run", default=False),
        cursor=request.query.get("cursor"),
    )
    if report.expired and not report.dry_run:
        metrics.of_service(views.cleanup_metrics(report))
    return json_answer(200, views.cleanup(report)).noting(**views.cleaned(report))


def _until(remaining: Callable[[], int], reserve: int) -> Callable[[], bool]:
    return lambda: remaining() > reserve
