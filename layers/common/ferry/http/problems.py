"""Error responses: problem details (RFC 9457), the status of each error, and the headers that some errors need."""

from __future__ import annotations

from collections.abc import Mapping

from ferry import errors
from ferry.http import request_errors
from ferry.http.json_values import Timestamp
from ferry.http.response import Response, json_response

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
"""`Retry-After` of a failed backend, and of the 409 while a completion runs. A 202 of `complete` has its own value."""

THROTTLED_RETRY_AFTER_SECONDS = 5
"""`Retry-After` of a backend that throttles."""

STATUSES: Mapping[type[errors.FerryError], int] = {
    errors.FerryError: 500,
    errors.InvalidRequest: 400,
    errors.InvalidField: 422,
    errors.ChunkTooLarge: 413,
    errors.LengthTooLarge: 413,
    request_errors.BodyTooLarge: 413,
    request_errors.UnsupportedMediaType: 415,
    request_errors.VersionUnsupported: 412,
    request_errors.DestinationForbidden: 403,
    errors.AuthError: 401,
    errors.InsufficientScope: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.QuotaExceeded: 403,
    errors.FinalUploadFixed: 403,
    errors.Forbidden: 403,
    errors.TooLarge: 413,
    errors.TooManyAttempts: 429,
    errors.PreconditionFailed: 412,
    errors.RangeNotSatisfiable: 416,
    errors.BackendUnavailable: 503,
}
"""HTTP statuses by error class. A class that is not listed has the status of its nearest listed base class."""


def status_of(kind: type[errors.FerryError]) -> int:
    """Return the HTTP status of an error class."""
    return next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)


def problem_response(error: errors.FerryError, request_id: str, status: int | None = None) -> Response:
    """Return the response to an error. `error.extra` has the members that this kind of error adds.

    `status` is one that the route has for this class; None: that of `STATUSES`.
    """
    # Imported for an error only: a cold start does without.
    from ferry.http.responses.problems import Problem

    extra = dict(error.extra)
    if "current_file" in extra:
        from ferry.http.responses.files import FileBody

        extra["current_file"] = FileBody.from_file(extra["current_file"])
    if "left" in extra:
        from ferry.http.responses.problems import LinkLeft

        extra["left"] = LinkLeft(*extra["left"])
    if "uploads" in extra:
        from ferry.http.responses.problems import OpenUpload

        extra["uploads"] = [OpenUpload.from_record(record) for record in extra["uploads"]]
    if "expires_at" in extra:
        extra["expires_at"] = Timestamp(extra["expires_at"])
    problem = Problem(
        type=f"urn:ferry:problem:{error.code}",
        title=error.title,
        status=status_of(type(error)) if status is None else status,
        detail=error.detail,
        code=error.code,
        request_id=request_id,
        **extra,
    )
    return json_response(problem.status, problem, _headers(error), media_type=MEDIA_TYPE)


def _headers(error: errors.FerryError) -> dict[str, str]:
    match error:
        case errors.InsufficientScope():
            scope = error.extra["scope"]
            return {"WWW-Authenticate": f'Bearer realm="ferry", error="insufficient_scope", scope="{scope}"'}
        case errors.InvalidToken():
            return {"WWW-Authenticate": 'Bearer realm="ferry", error="invalid_token"'}
        case errors.AuthError():
            # Without a token there is no `error` (RFC 6750 section 3.1).
            return {"WWW-Authenticate": 'Bearer realm="ferry"'}
        case errors.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.extra['size']}"}
        case errors.TooManyAttempts():
            return {"Retry-After": str(error.retry_after_seconds)}
        case errors.Throttled():
            return {"Retry-After": str(THROTTLED_RETRY_AFTER_SECONDS)}
        case errors.CompletionFailed():
            # The state changes only when the client completes again or cancels.
            return {}
        case errors.BackendUnavailable() | errors.CompletionInProgress():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}
