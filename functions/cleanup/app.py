"""The cleanup function: cleanup of one namespace on request, scheduled sweeps of all, and asynchronous completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferry import wiring
from ferry.cleanup import clean_namespace, continue_completion, sweep_due_tasks
from ferry.http import cleanup, log, metrics
from ferry.http.bearer import ADMIN_SCOPE, bearer_authenticator
from ferry.http.json_values import to_json
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.responses.cleanup import CleanupBody, SweepBody
from ferry.http.router import LambdaContext, create_app
from ferry.http.tracing import with_tracing

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)

SWEEP_EVENT = {"ferry": "sweep"}
CONTINUE_COMPLETION = "continue_completion"
AUDIT_EVENT = "cleanup.run"
SHUTDOWN_RESERVE_MS = 180_000
"""Milliseconds that a sweep reserves, beside the assembly budget, to finish the task that it began last: enough for ten
calls to S3 that fail (`REQUEST_BUDGET_MS`). tests/unit/uploads/test_cleanup_budget.py measures that it suffices."""
REQUEST_BUDGET_MS = 10_000
"""Milliseconds after which a request begins no further upload. The gateway stops waiting after 30 s, and a call to S3
may take 18 s to fail: 2 attempts of 1 s to connect and 8 s of silence (`ferry.aws.session`)."""


def _handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    if event == SWEEP_EVENT:
        return _sweep(context)
    if event.get("ferry") == CONTINUE_COMPLETION:
        continue_completion(wiring.services(), event["upload_id"], event["lease_id"])
        return {}
    return app.handle(event, context)


lambda_handler = with_tracing(_handle, wiring.tracing_enabled)
wiring.load_before_snapshot(
    wiring.services, wiring.token_verifier, clients=("s3_completion", "events"), modules=("google_crc32c",)
)


@app.protected("DELETE /cleanup", scope=ADMIN_SCOPE, audit_event=AUDIT_EVENT, parameters=cleanup.PARAMETERS)
def clean_up(request: Request, ns: str) -> Response:
    options, services = cleanup.cleanup_request(request), wiring.services()
    deadline = services.clock() + REQUEST_BUDGET_MS
    report = clean_namespace(
        services,
        ns,
        has_time=lambda: services.clock() < deadline,
        older_than_seconds=options.older_than_seconds,
        filename=options.filename,
        dry_run=options.dry_run,
        cursor=options.cursor,
    )
    if report.expired and not report.dry_run:
        metrics.emit_service(cleanup.cleanup_metrics(report))
    body = CleanupBody.from_report(report)
    return json_response(200, body).with_audit(**_audit_fields(body))


def _sweep(context: LambdaContext) -> dict[str, Any]:
    services = wiring.services()
    reserve_ms = services.assembly_budget_ms + SHUTDOWN_RESERVE_MS
    report = sweep_due_tasks(services, has_time=lambda: context.get_remaining_time_in_millis() > reserve_ms)
    metrics.emit_service(cleanup.sweep_metrics(report))
    result: dict[str, Any] = to_json(SweepBody.from_report(report))
    log.log_sweep(result)
    if report.examined:
        details = {"actor": "schedule", **_audit_fields(CleanupBody.from_report(report))}
        log.audit(AUDIT_EVENT, outcome=log.SUCCESS, request_id=context.aws_request_id, details=details)
    return result


def _audit_fields(body: CleanupBody) -> dict[str, Any]:
    """Return the counts; the cursor contains a file name, which audit events hold only by configuration."""
    return {name: value for name, value in to_json(body).items() if name != "cursor"}
