"""Status and lists of uploads: query parameters to the arguments of the use cases, and results to responses.

Each function imports the one response body that it uses, because a cold start waits for what is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferry.http.conditions import request_conditions
from ferry.http.request import Request
from ferry.http.response import JSON, Response, json_response
from ferry.ports.types import Page
from ferry.rules.conditions import Conditions, PreconditionResult, Validators, evaluate_preconditions
from ferry.rules.durations import SECOND_MS
from ferry.status.snapshot import StatusReport

DEFAULT_LIMIT = 50
"""Items of a page for a request without `?limit=`."""

MAX_UPLOADS_PER_PAGE = 100
"""Uploads of a page at most: each takes a few reads."""

MAX_WAIT_SECONDS = 20
"""The longest `?wait=`: the gateway stops waiting after 30 seconds."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page of a list."""

    cursor: str | None
    """The cursor of the previous page; None for the first page."""
    limit: int
    """Items of the page at most."""


def page_request(request: Request, *, max_limit: int) -> PageRequest:
    """Return the page that `?cursor=` and `?limit=` ask for; a limit over `max_limit` is reduced to it.

    Raises:
        InvalidField: the limit is not a positive integer, or the cursor is empty.
    """
    limit = request.integer("limit", minimum=1)
    return PageRequest(request.optional_cursor(), min(max_limit, DEFAULT_LIMIT if limit is None else limit))


@dataclass(frozen=True, slots=True)
class LongPoll:
    """A request to wait for a newer status."""

    since_version: int
    """The version that the client has."""
    timeout_seconds: int
    """Seconds to wait at most."""


def long_poll_request(request: Request) -> LongPoll | None:
    """Return what `?wait=` and `?since=` ask for; None unless both are there.

    Raises:
        InvalidField: one of them is not an integer, or out of bounds.
    """
    timeout_seconds = request.integer("wait", minimum=1, maximum=MAX_WAIT_SECONDS)
    since_version = request.integer("since")
    if timeout_seconds is None or since_version is None:
        return None
    return LongPoll(since_version, timeout_seconds)


def status_response(request: Request, report: StatusReport, now_ms: int) -> Response:
    """Return the status; or 304 when `If-None-Match` names it, so that a client that polls reads it once."""
    current = Validators(f'"{report.etag_value}"', report.updated_at // SECOND_MS)
    headers = {"ETag": current.etag, "Cache-Control": "private, no-cache"}
    conditions = Conditions(if_none_match=request_conditions(request).if_none_match)
    if evaluate_preconditions(conditions, current, now_ms // SECOND_MS) is PreconditionResult.NOT_MODIFIED:
        return Response(304, {**headers, "Content-Type": JSON})
    from ferry.http.responses.status import StatusBody

    return json_response(200, StatusBody.from_report(report), headers)


def uploads_response(page: Page[StatusReport]) -> Response:
    """Return a page of uploads in progress."""
    from ferry.http.responses.lists import UploadList

    return json_response(200, UploadList.from_page(page))
