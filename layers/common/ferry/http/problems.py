"""Errors as problem details (RFC 9457): the one table of statuses, and the headers that some of them need."""

from __future__ import annotations

from collections.abc import Mapping

from ferry import errors
from ferry.http import request_errors
from ferry.http.response import Response, json_response
from ferry.rules.timestamps import format_rfc3339

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
THROTTLED_RETRY_AFTER_SECONDS = 5

STATUSES: Mapping[type[errors.FerryError], int] = {
    errors.FerryError: 500,
    errors.InvalidRequest: 400,
    errors.InvalidField: 422,
    errors.ChunkTooLarge: 413,
    request_errors.BodyTooLarge: 413,
    request_errors.UnsupportedMediaType: 415,
    errors.AuthError: 401,
    errors.InsufficientScope: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.QuotaExceeded: 403,
    errors.PreconditionFailed: 412,
    errors.RangeNotSatisfiable: 416,
    errors.BackendUnavailable: 503,
}
"""By the nearest class up the tree."""


def status_of(kind: type[errors.FerryError]) -> int:
    return next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)


def problem_response(error: errors.FerryError, request_id: str) -> Response:
    """The answer to an error. Members of `extra` that are times (`…_at`, epoch milliseconds) become text as all are."""
    status = status_of(type(error))
    content = {
        "type": f"urn:ferry:problem:{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **{name: format_rfc3339(value) if _is_time(name, value) else value for name, value in error.extra.items()},
    }
    return json_response(status, content, _headers(error), media_type=MEDIA_TYPE)


def _is_time(name: str, value: object) -> bool:
    return name.endswith("_at") and isinstance(value, int)


def _headers(error: errors.FerryError) -> dict[str, str]:
    match error:
        case errors.InsufficientScope():
            scope = error.extra["scope"]
            return {"WWW-Authenticate": f'Bearer realm="ferry", error="insufficient_scope", scope="{scope}"'}
        case errors.InvalidToken():
            return {"WWW-Authenticate": 'Bearer realm="ferry", error="invalid_token"'}
        case errors.AuthError():
            # Nothing was sent, so nothing is wrong with it (RFC 6750 section 3.1).
            return {"WWW-Authenticate": 'Bearer realm="ferry"'}
        case errors.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.extra['size']}"}
        case errors.Throttled():
            return {"Retry-After": str(THROTTLED_RETRY_AFTER_SECONDS)}
        case errors.BackendUnavailable() | errors.CompletionInProgress():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}
