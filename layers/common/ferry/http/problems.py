"""Errors as problem details (RFC 9457): the one table of statuses, and the headers that some of them need."""

from __future__ import annotations

from collections.abc import Mapping

from ferry import errors
from ferry.http import refusals
from ferry.http.answer import Answer, json_answer
from ferry.times import rfc3339

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 1
RETRY_THROTTLED_AFTER = 5

STATUSES: Mapping[type[errors.FerryError], int] = {
    errors.FerryError: 500,
    errors.InvalidRequest: 400,
    errors.InvalidField: 422,
    errors.ChunkTooLarge: 413,
    refusals.BodyTooLarge: 413,
    refusals.UnsupportedMediaType: 415,
    errors.Unauthorized: 401,
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


def problem(error: errors.FerryError, request_id: str) -> Answer:
    """The answer to an error. Members of `extra` that are times (`…_at`, epoch milliseconds) become text as all are."""
    status = status_of(type(error))
    content = {
        "type": f"urn:ferry:problem:{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **{name: rfc3339(value) if _is_time(name, value) else value for name, value in error.extra.items()},
    }
    return json_answer(status, content, _headers(error), media_type=MEDIA_TYPE)


def _is_time(name: str, value: object) -> bool:
    return name.endswith("_at") and isinstance(value, int)


def _headers(error: errors.FerryError) -> dict[str, str]:
    match error:
        case errors.InsufficientScope():
            scope = error.extra["scope"]
            return {"WWW-Authenticate": f'Bearer realm="ferry", error="insufficient_scope", scope="{scope}"'}
        case errors.InvalidToken():
            return {"WWW-Authenticate": 'Bearer realm="ferry", error="invalid_token"'}
        case errors.Unauthorized():
            # Nothing was sent, so nothing is wrong with it (RFC 6750 section 3.1).
            return {"WWW-Authenticate": 'Bearer realm="ferry"'}
        case errors.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.extra['size']}"}
        case errors.Throttled():
            return {"Retry-After": str(RETRY_THROTTLED_AFTER)}
        case errors.BackendUnavailable() | errors.UploadCompleting():
            return {"Retry-After": str(RETRY_AFTER)}
        case _:
            return {}
