"""A function's routes, and the one way in and out.

The gateway has matched the route already and names it in the event (`routeKey`), so finding it here is one look into a
mapping: docs/decisions/0008 says why there is no resolver. The path that a client sent is never looked at: names with
quotes, `#`, `?`, `%` or emoji arrive decoded there; names come from the path parameters.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ferry.auth.oauth import OAuthError
from ferry.errors import BackendUnavailable, FerryError
from ferry.http import log, metrics, problems
from ferry.http.request import Request
from ferry.http.request_errors import RouteNotFound
from ferry.http.response import Response

if TYPE_CHECKING:
    from ferry.auth.verifier import Principal

Authenticate = Callable[[Request, str], "Principal"]
"""Who a request is from, if its token has the scope; raises otherwise."""

PublicRoute = Callable[[Request], Response]
ProtectedRoute = Callable[[Request, str], Response]
"""A route behind a token gets the caller's namespace too."""

ErrorHandler = Callable[[Exception], Response]
"""How a route answers errors in a shape of its own."""


class LambdaContext(Protocol):
    """What Ferry uses of the context that the platform hands to a function."""

    @property
    def function_name(self) -> str: ...

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Route:
    """A registered route: the scope it needs (None: anybody may call), how it answers errors of its own, and the
    audit event that each call of it is (empty: none).
    """

    handler: PublicRoute
    scope: str | None
    error_handler: ErrorHandler | None
    audit_event: str


class Router:
    """Routes, and the handler that serves them: one request at a time, as the platform sends them."""

    def __init__(self, authenticate: Authenticate | None, log_file_names: Callable[[], bool]) -> None:
        self._authenticate = authenticate
        self._log_file_names = log_file_names
        self._routes: dict[str, _Route] = {}

    @property
    def scopes(self) -> Mapping[str, str | None]:
        """The registered route keys, each with the scope it needs; None where anybody may call."""
        return {key: entry.scope for key, entry in self._routes.items()}

    def public(
        self, *route_keys: str, error_handler: ErrorHandler | None = None, audit_event: str = ""
    ) -> Callable[[PublicRoute], PublicRoute]:
        """Register a route that anybody may call, under the gateway's route keys (`GET /health`)."""

        def register(route: PublicRoute) -> PublicRoute:
            self._register(route_keys, _Route(route, None, error_handler, audit_event))
            return route

        return register

    def protected(
        self, *route_keys: str, scope: str, audit_event: str = ""
    ) -> Callable[[ProtectedRoute], ProtectedRoute]:
        """Register a route that needs a token with that scope, which is checked before anything else is looked at.

        With `audit` each call that gets past the token is an audit event of that name.
        """
        authenticate = self._authenticate
        if authenticate is None:
            raise ValueError("a protected route needs a way to authenticate")

        def register(route: ProtectedRoute) -> ProtectedRoute:
            def serve(request: Request) -> Response:
                principal = authenticate(request, scope)
                if not audit_event:
                    return route(request, principal.ns)
                issuer = {"issuer": principal.issuer} if principal.issuer else {}
                who = {"actor": principal.client_id, "ns": principal.ns, **issuer, **self._file_name_field(request)}
                try:
                    answer = route(request, principal.ns)
                except Exception as error:
                    self._audit(audit_event, request, _error_code(error), who)
                    raise
                self._audit(audit_event, request, log.SUCCESS, {**who, **answer.metrics, **answer.audit_fields})
                return answer

            self._register(route_keys, _Route(serve, scope, None, ""))
            return route

        return register

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one event of an HTTP API, payload format 2.0."""
        begun = time.monotonic()
        request = Request.from_event(event)
        answer = self._respond(request)
        took = (time.monotonic() - begun) * 1000
        about = {"route": request.route, "status": str(answer.status), "request_id": request.request_id}
        metrics.emit(context.function_name, {"LatencyMilliseconds": round(took, 1), **answer.metrics}, about)
        return _gateway_response(request, answer)

    def _respond(self, request: Request) -> Response:
        entry = self._routes.get(request.route)
        if entry is None:
            return problems.problem_response(RouteNotFound(), request.request_id)
        try:
            answer = entry.handler(request)
            if entry.audit_event:
                self._audit(entry.audit_event, request, log.SUCCESS, answer.audit_fields)
            return answer
        except Exception as error:  # noqa: BLE001 - the single exit: every error is told apart, noted, answered
            _log_error(error, request)
            metrics.count_error(_error_code(error))
            if entry.audit_event:
                self._audit(entry.audit_event, request, _error_code(error), getattr(error, "audit_fields", {}))
            return entry.error_handler(error) if entry.error_handler else _problem_response(error, request)

    def _register(self, route_keys: tuple[str, ...], entry: _Route) -> None:
        for key in route_keys:
            self._routes[key] = entry

    def _audit(self, event: str, request: Request, outcome: str, details: Mapping[str, Any]) -> None:
        log.audit(event, outcome=outcome, request_id=request.request_id, details=details)

    def _file_name_field(self, request: Request) -> dict[str, str]:
        """The file that the request is about, where names may be logged."""
        try:
            name = request.optional_filename() if self._log_file_names() else None
        except FerryError:
            return {}
        return {} if name is None else {"file_name": name}


def create_app(authenticate: Authenticate | None = None, log_file_names: Callable[[], bool] = lambda: False) -> Router:
    """An app without routes yet. `authenticate` is `ferry.http.bearer.bearer(...)` where routes are to be protected;
    `names` tells whether audit events may have names of files.
    """
    return Router(authenticate, log_file_names)


def _log_error(error: Exception, request: Request) -> None:
    if isinstance(error, BackendUnavailable):
        log.log_backend_failure(error, request_id=request.request_id, route=request.route)
    elif not isinstance(error, FerryError | OAuthError):
        log.log_unexpected(error, request_id=request.request_id, route=request.route)


def _error_code(error: Exception) -> str:
    if isinstance(error, OAuthError):
        return error.error
    return error.code if isinstance(error, FerryError) else FerryError.code


def _problem_response(error: Exception, request: Request) -> Response:
    known = error if isinstance(error, FerryError) else FerryError("Something went wrong here, and it was noted.")
    return problems.problem_response(known, request.request_id)


def _gateway_response(request: Request, response: Response) -> dict[str, Any]:
    # The answer to HEAD has the headers of GET and no content (RFC 9110 section 9.3.2).
    body = "" if request.method == "HEAD" else response.body or ""
    return {
        "statusCode": response.status,
        "headers": {**response.headers, "X-Request-Id": request.request_id},
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }
