"""The clean-up function: on request for one namespace, by the schedule for all; and completions that are handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferry import wiring
from ferry.cleanup import clean_namespace, continue_completion, sweep_due_tasks
from ferry.http import log, metrics, serializers
from ferry.http.bearer import ADMIN_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.router import LambdaContext, create_app
from ferry.http.tracing import with_tracing

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)

SWEEP_EVENT = {"ferry": "sweep"}
CONTINUE_COMPLETION = "continue_completion"
AUDIT_EVENT = "cleanup.run"
QUERY_PARAMETERS = frozenset({"older_than", "filename", "dry_run", "cursor"})
SHUTDOWN_RESERVE_MS = 180_000
"""Milliseconds kept back, beside those for mending, for the rest of the last entry that was begun."""
REQUEST_BUDGET_MS = 10_000
"""Milliseconds after which no further upload is begun: the gateway hangs up after 30 s, and S3 may take 18 to fail."""


def _handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    if event == SWEEP_EVENT:
        engine = wiring.services()
        has_time = _has_time_left(context.get_remaining_time_in_millis, engine.assembly_budget_ms + SHUTDOWN_RESERVE_MS)
        report = sweep_due_tasks(engine, has_time=has_time)
        metrics.emit_service(serializers.scheduled_cleanup_metrics(report))
        told = serializers.scheduled_cleanup(report)
        log.log_sweep(told)
        if report.examined:
            who = {"actor": "schedule", **serializers.cleanup_counts(report)}
            log.audit(AUDIT_EVENT, outcome=log.SUCCESS, request_id=context.aws_request_id, details=who)
        return told
    if event.get("ferry") == CONTINUE_COMPLETION:
        continue_completion(wiring.services(), event["upload_id"], event["lease_id"])
        return {}
    return app.handle(event, context)


lambda_handler = with_tracing(_handle, wiring.tracing_enabled)


@app.protected("DELETE /cleanup", scope=ADMIN_SCOPE, audit_event=AUDIT_EVENT)
def clean_up(request: Request, ns: str) -> Response:
    request.reject_unknown_parameters(QUERY_PARAMETERS)
    engine = wiring.services()
    give_up = engine.clock() + REQUEST_BUDGET_MS
    report = clean_namespace(
        engine,
        ns,
        has_time=lambda: engine.clock() < give_up,
        older_than_seconds=request.integer("older_than", minimum=0),
        filename=request.optional_filename(),
        dry_run=request.boolean("dry_run", default=False),
        cursor=request.query.get("cursor"),
    )
    if report.expired and not report.dry_run:
        metrics.emit_service(serializers.cleanup_metrics(report))
    return json_response(200, serializers.cleanup(report)).with_audit(**serializers.cleanup_counts(report))


def _has_time_left(remaining_ms: Callable[[], int], reserve_ms: int) -> Callable[[], bool]:
    return lambda: remaining_ms() > reserve_ms
