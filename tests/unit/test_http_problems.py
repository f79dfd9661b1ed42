"""Errors as problem details: statuses, members and headers."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ferry import errors
from ferry.http import request_errors
from ferry.http.problems import problem_response, status_of
from ferry.http.responses.problems import Problem
from ferry.rules.timestamps import format_rfc3339


def error_classes(base: type[errors.FerryError] = errors.FerryError) -> Iterator[type[errors.FerryError]]:
    yield base
    for kind in base.__subclasses__():
        yield from error_classes(kind)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.MalformedBody, 400),
        (errors.ChecksumMismatch, 400),
        (errors.MissingToken, 401),
        (errors.InvalidToken, 401),
        (errors.InsufficientScope, 403),
        (errors.UploadNotFound, 404),
        (request_errors.RouteNotFound, 404),
        (errors.ChunkConflict, 409),
        (errors.CompletionFailed, 409),
        (errors.UploadCancelled, 410),
        (errors.PreconditionFailed, 412),
        (errors.ChunkTooLarge, 413),
        (request_errors.BodyTooLarge, 413),
        (request_errors.UnsupportedMediaType, 415),
        (errors.RangeNotSatisfiable, 416),
        (errors.InvalidFilename, 422),
        (errors.ChecksumUnsupported, 422),
        (errors.BackendUnavailable, 503),
        (errors.Throttled, 503),
        (errors.FerryError, 500),
    ],
)
def test_error_maps_to_status(kind: type[errors.FerryError], status: int) -> None:
    """The status is that of the nearest listed base class."""
    assert status_of(kind) == status


def test_only_base_error_is_500() -> None:
    """Every error but the base class has a status below 500, or 503."""
    assert [kind for kind in error_classes() if status_of(kind) == 500] == [errors.FerryError]


def test_problem_has_rfc_9457_members() -> None:
    """A problem has the members of RFC 9457 and those of its error; times are RFC 3339."""
    error = errors.UploadInProgress(upload_id="u", size=5, expires_at=1_790_000_000_123)
    response = problem_response(error, "request-1")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert isinstance(response.body, str)
    assert json.loads(response.body) == {
        "type": "urn:ferry:problem:upload_in_progress",
        "title": error.title,
        "status": 409,
        "detail": error.detail,
        "code": "upload_in_progress",
        "request_id": "request-1",
        "upload_id": "u",
        "size": 5,
        "expires_at": "2026-09-21T14:13:20.123Z",
    }


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.MissingToken(), "WWW-Authenticate", 'Bearer realm="ferry"'),
        (errors.InvalidToken(), "WWW-Authenticate", 'Bearer realm="ferry", error="invalid_token"'),
        (
            errors.InsufficientScope(scope="files:read"),
            "WWW-Authenticate",
            'Bearer realm="ferry", error="insufficient_scope", scope="files:read"',
        ),
        (errors.RangeNotSatisfiable(size=7), "Content-Range", "bytes */7"),
        (errors.BackendUnavailable(), "Retry-After", "1"),
        (errors.Throttled(), "Retry-After", "5"),
        (errors.CompletionInProgress(), "Retry-After", "1"),
    ],
)
def test_error_has_required_header(error: errors.FerryError, name: str, value: str) -> None:
    """Errors have the headers that HTTP requires for their status."""
    assert problem_response(error, "").headers[name] == value


def test_completion_failed_has_code_of_completing_without_retry_after() -> None:
    """A failed completion has the code of one in progress, but waiting does not change it."""
    response = problem_response(errors.CompletionFailed(), "")
    assert "Retry-After" not in response.headers
    assert errors.CompletionFailed.code == errors.CompletionInProgress.code


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_time_is_rfc_3339(time_ms: int, text: str) -> None:
    """Times are RFC 3339 in UTC, with milliseconds."""
    assert format_rfc3339(time_ms) == text


def test_members_that_errors_add_are_members_of_problem() -> None:
    """Every keyword of every raised error in ferry is a field of the problem, so that its response can be built; but
    `detail` and `audit_fields`, which constructors take for themselves.
    """
    kinds = {kind.__name__ for kind in error_classes()}
    members = {field.name for field in fields(Problem)}
    added = {
        keyword.arg
        for path in Path(errors.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds
        for keyword in call.keywords
    } - {"detail", "audit_fields"}
    assert {"upload_id", "size", "expires_at", "missing", "quota", "scope"} <= added <= members
