"""Status and listings: what of a query matters, and conditional answers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.responses.status import StatusBody
from ferry.rules.conditions import Conditions, PreconditionResult, Validators, evaluate_preconditions
from ferry.rules.durations import SECOND_MS
from ferry.rules.filenames import MAX_FILENAME_BYTES
from ferry.services import Services
from ferry.status import long_poll, snapshot

DEFAULT_LIMIT = 50
MAX_UPLOADS_PER_PAGE = 100
MAX_FILES_PER_PAGE = 300
"""Each may carry 2 KB of metadata, which JSON may escape to six times that, and an answer has 6 MB at most."""
MAX_WAIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: where it begins, and how many items it has at most."""

    cursor: str | None
    limit: int


def page_request(request: Request, *, max_limit: int) -> PageRequest:
    """`?cursor=` and `?limit=`; whoever asks for more than `most` gets pages of `most`. Raises `InvalidField`."""
    limit = request.integer("limit", minimum=1)
    return PageRequest(request.query.get("cursor"), min(max_limit, DEFAULT_LIMIT if limit is None else limit))


def name_prefix(request: Request) -> str:
    """`?prefix=` in the normal form that names have. Raises `InvalidField` when no name can begin so."""
    return unicodedata.normalize("NFC", request.text("prefix", MAX_FILENAME_BYTES) or "")


def status_response(engine: Services, ns: str, name: str, request: Request) -> Response:
    """The status now; with `?wait=&since=` once something newer is known; or 304 when it is the one the client has.

    Raises:
        InvalidField: a parameter is no integer, or out of bounds.
        NotFound: there is neither an upload nor a file of that name.
    """
    seconds = request.integer("wait", minimum=1, maximum=MAX_WAIT_SECONDS)
    since = request.integer("since")
    if seconds is None or since is None:
        report = snapshot.get_status(engine, ns, name)
    else:
        report = long_poll.wait_for_update(engine, ns, name, since_version=since, timeout_seconds=seconds)
    current = Validators(f'"{report.etag_value}"', report.updated_at // SECOND_MS)
    headers = {"ETag": current.etag, "Cache-Control": "private, no-cache"}
    conditions = Conditions(if_none_match=request.headers.get("if-none-match"))
    if evaluate_preconditions(conditions, current, engine.clock() // SECOND_MS) is PreconditionResult.NOT_MODIFIED:
        return Response(304, headers)
    return json_response(200, StatusBody.from_report(report), headers)
