"""Responses to errors at `/uploads`, in the form of the protocol of the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ferry.errors import ChunkTooLarge, FerryError
from ferry.http import problems
from ferry.http.protocols import draft, tus
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.http.response import Response
from ferry.services import Services

_TOO_LARGE = (BodyTooLarge, ChunkTooLarge)
"""Errors about a body with more bytes than a request may append. tus has no header of its own for the limit."""


def error_response(error: Exception, request: Request, services: Callable[[], Services]) -> Response:
    """Return the response to an error. A request without the headers of either protocol gets those of tus."""
    is_draft = not tus.speaks(request) and (draft.speaks(request) or _may_be_draft(request))
    statuses = draft.STATUSES if is_draft else tus.STATUSES
    shown = error if isinstance(error, FerryError) else FerryError()
    status = next((statuses[kind] for kind in type(shown).__mro__ if kind in statuses), None)
    response = problems.problem_response(shown, request.request_id, status)
    response = replace(response, headers={**response.headers, **shown.headers})
    if is_draft and not isinstance(error, draft.TUS_ERRORS):
        return draft.error_response(response, shown, request, services())
    limits = {"Upload-Limit": draft.limit(services())} if isinstance(shown, _TOO_LARGE) else {}
    return replace(response, headers={**response.headers, **limits, **tus.error_fields(shown)})


def _may_be_draft(request: Request) -> bool:
    """Return whether a request to an upload may be one of the draft, whose DELETE has no header of its own."""
    return "upload_id" in request.path_parameters
