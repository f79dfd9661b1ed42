"""The clean-up function: on request for one namespace, by the schedule for all; and completions that are handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferry import wiring
from ferry.cleanup import clean_namespace, finish, sweep_due
from ferry.http import views
from ferry.http.answer import Answer, json_answer
from ferry.http.app import Context, create_app
from ferry.http.bearer import ADMIN, bearer
from ferry.http.request import Request
from ferry.http.tracing import traced

app = create_app(bearer(wiring.verifier))

SWEEP = {"ferry": "sweep"}
FINISH = "finish"
RESERVE = 120_000
"""Milliseconds kept back, beside those for mending, for the rest of the last entry that was begun."""
REQUEST_BUDGET = 15_000
"""Milliseconds a caller waits at most for one page of work: the gateway hangs up after 30 s."""


def _handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    if event == SWEEP:
        engine = wiring.engine()
        has_time = _until(context.get_remaining_time_in_millis, engine.mending + RESERVE)
        return views.cleanup(sweep_due(engine, has_time=has_time))
    if event.get("ferry") == FINISH:
        finish(wiring.engine(), event["upload_id"], event["attempt"])
        return {}
    return app.handle(event, context)


lambda_handler = traced(_handle, wiring.tracing)


@app.protected("DELETE /cleanup", scope=ADMIN)
def clean_up(request: Request, ns: str) -> Answer:
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
    return json_answer(200, views.cleanup(report))


def _until(remaining: Callable[[], int], reserve: int) -> Callable[[], bool]:
    return lambda: remaining() > reserve
