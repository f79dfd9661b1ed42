"""The routes of a function, and the handler that serves every request.

The gateway matches the route and names it in the event (`routeKey`), so the handler finds it in a mapping;
docs/decisions/0008 explains why there is no resolver. Filenames come from the path parameters. `rawPath` is read only
for routes without a method in their key, to name the route in the 404.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ferry.auth.oauth import OAuthError
from ferry.errors import BackendUnavailable, FerryError, InsufficientScope
from ferry.http import log, metrics, problems
from ferry.http.request import Request
from ferry.http.request_errors import RouteNotFound
from ferry.http.response import IssuedUrls, Response
from ferry.rules.timestamps import format_rfc3339

if TYPE_CHECKING:
    from ferry.auth.verifier import Principal
    from ferry.links.downloads import LinkCaller

Authenticate = Callable[[Request, str], "Principal"]
"""Returns the principal of a request whose token has the scope; raises an `AuthError` for other requests."""

PublicRoute = Callable[[Request], Response]
"""A route that needs no token."""

ProtectedRoute = Callable[[Request, str], Response]
"""A route that needs a token; its second argument is the caller's namespace."""

PrincipalRoute = Callable[[Request, "Principal"], Response]
"""A route that needs a token, and looks at more of its principal than the namespace."""

LinkRoute = Callable[[Request, "LinkCaller"], Response]
"""A route for tokens of links; its second argument is the link, which works."""

C = TypeVar("C")
"""The caller of a request: a `Principal` or a `LinkCaller`."""

AuthenticateLink = Callable[[Request], "LinkCaller | None"]
"""Returns the caller of a request with the token of a link; None for the token of a client. Raises errors of links."""

ErrorHandler = Callable[[Exception], Response]
"""Returns the response to an error, for a route whose errors have another form than problem details."""

RequestErrorHandler = Callable[[Exception, Request], Response]
"""Returns the response to an error of a request, for a route whose errors depend on the request."""


class LambdaContext(Protocol):
    """The part of Lambda's context object that Ferry uses."""

    @property
    def function_name(self) -> str: ...

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Route:
    """A registered route."""

    handler: PublicRoute
    """Serves a request; checks the token itself if the route is protected."""
    scope: str | None
    """The required scope; None for a public route."""
    error_handler: ErrorHandler | None
    """Returns the response to an error; None for problem details."""
    audit_event: str
    """The audit event that the router writes for each request; empty for none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header fields that every response of the route has, errors included."""
    request_error_handler: RequestErrorHandler | None = None
    """Returns the response to an error of a request; None for `error_handler`."""


class Router:
    """The routes of a function. Serves one request at a time, as Lambda sends them."""

    def __init__(
        self,
        authenticate: Authenticate | None,
        log_file_names: Callable[[], bool],
        authenticate_link: AuthenticateLink | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._log_file_names = log_file_names
        self._authenticate_link = authenticate_link
        self._routes: dict[str, _Route] = {}
        self._link_routes: dict[str, tuple[str, LinkRoute]] = {}

    @property
    def scopes(self) -> Mapping[str, str | None]:
        """The registered route keys, each with the required scope; None for public routes."""
        return {key: route.scope for key, route in self._routes.items()}

    @property
    def link_kinds(self) -> Mapping[str, str]:
        """The route keys that take tokens of links, each with the kind of link."""
        return {key: kind for key, (kind, _) in self._link_routes.items()}

    def by_link(self, *route_keys: str, kind: str) -> Callable[[LinkRoute], LinkRoute]:
        """Register what a protected route does for tokens of links of a kind; other routes respond with 403.

        The route must check that each name in the request is within the link. A GET route is registered for HEAD too.
        """

        def register(route: LinkRoute) -> LinkRoute:
            for key in route_keys:
                self._link_routes[key] = kind, route
                method, _, path = key.partition(" ")
                if method == "GET":
                    self._link_routes[f"HEAD {path}"] = kind, route
            return route

        return register

    def public(
        self,
        *route_keys: str,
        error_handler: ErrorHandler | None = None,
        audit_event: str = "",
        headers: Mapping[str, str] | None = None,
        request_error_handler: RequestErrorHandler | None = None,
    ) -> Callable[[PublicRoute], PublicRoute]:
        """Register a route that needs no token, under the gateway's route keys (`GET /health`).

        A GET route is registered for HEAD too. Every response has `headers`, errors included.
        """

        def register(route: PublicRoute) -> PublicRoute:
            registered = _Route(route, None, error_handler, audit_event, headers or {}, request_error_handler)
            self._register(route_keys, registered)
            return route

        return register

    def protected(
        self,
        *route_keys: str,
        scope: str,
        audit_event: str = "",
        parameters: Set[str] = frozenset(),
        error_handler: RequestErrorHandler | None = None,
    ) -> Callable[[ProtectedRoute], ProtectedRoute]:
        """Register a route that needs a token with `scope`, and gets the caller's namespace. See `by_principal`."""
        by_principal = self.by_principal(
            *route_keys, scope=scope, audit_event=audit_event, parameters=parameters, error_handler=error_handler
        )

        def register(route: ProtectedRoute) -> ProtectedRoute:
            by_principal(lambda request, principal: route(request, principal.ns))
            return route

        return register

    def by_principal(
        self,
        *route_keys: str,
        scope: str,
        audit_event: str = "",
        parameters: Set[str] = frozenset(),
        error_handler: RequestErrorHandler | None = None,
    ) -> Callable[[PrincipalRoute], PrincipalRoute]:
        """Register a route that needs a token with `scope`. The token is checked before the rest of the request.

        A GET route is registered for HEAD too. With `audit_event`, each request whose token is accepted writes an audit
        event of that name; without it, each response with presigned URLs writes `url.issue`. `parameters` are the query
        parameters that a route which changes something reads: others are rejected there, so that a mistyped one cannot
        change more than was meant.
        """
        authenticate = self._authenticate
        if authenticate is None:
            raise ValueError("a protected route needs an authenticator: pass one to create_app")

        def register(route: PrincipalRoute) -> PrincipalRoute:
            def serve(request: Request) -> Response:
                serve_audited = partial(self._serve_audited, request, audit_event=audit_event, parameters=parameters)
                by_link = self._find_by_link(request, scope)
                if by_link is not None:
                    caller, link_route = by_link
                    return serve_audited(link_route, caller, fields=_link_fields(caller))
                principal = authenticate(request, scope)
                file_name = self._file_name_field(request) if audit_event else {}
                return serve_audited(route, principal, fields={**_caller_fields(principal), **file_name})

            self._register(route_keys, _Route(serve, scope, None, "", request_error_handler=error_handler))
            return route

        return register

    def _find_by_link(self, request: Request, scope: str) -> tuple[LinkCaller, LinkRoute] | None:
        """Return the caller and the route of a request with the token of a link; None for another token or route.

        Raises:
            InsufficientScope: the link is of another kind.
            AuthError: there is no valid token.
            LinkExpired, LinkRevoked: the link has ended.
        """
        if request.route not in self._link_routes or self._authenticate_link is None:
            return None
        caller = self._authenticate_link(request)
        if caller is None:
            return None
        kind, route = self._link_routes[request.route]
        if caller.link.kind != kind:
            raise InsufficientScope(f"This route does not take links of kind {caller.link.kind}.", scope=scope)
        return caller, route

    def _serve_audited(
        self,
        request: Request,
        route: Callable[[Request, C], Response],
        caller: C,
        *,
        fields: Mapping[str, str],
        audit_event: str,
        parameters: Set[str],
    ) -> Response:
        """Return the response to a request whose token is accepted, and write its audit events with these `fields`."""
        try:
            request.check_query(parameters)
            response = route(request, caller)
        except Exception as error:
            if audit_event:
                self._audit(audit_event, request, _error_code(error), fields)
            raise
        if audit_event:
            self._audit(audit_event, request, log.SUCCESS, {**fields, **response.metrics, **response.audit_fields})
        else:
            self._audit_response(request, response, fields)
        return response

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Return the gateway's response to an event of an HTTP API (payload format 2.0), and emit its metrics."""
        started_at = time.monotonic()
        request = Request.from_event(event)
        response = self._respond(request)
        latency_ms = round((time.monotonic() - started_at) * 1000, 1)
        fields = {
            "route": request.route,
            "status": response.status,
            "request_id": request.request_id,
            "latency_ms": latency_ms,
        }
        metrics.emit(context.function_name, response.metrics, fields, response.error_code)
        return _gateway_response(request, response)

    def _respond(self, request: Request) -> Response:
        route = self._routes.get(request.route)
        if route is None:
            return problems.problem_response(RouteNotFound(), request.request_id)
        response = self._serve(route, request)
        return replace(response, headers={**response.headers, **route.headers}) if route.headers else response

    def _serve(self, route: _Route, request: Request) -> Response:
        try:
            response = route.handler(request)
            if route.scope is None:
                self._audit_response(request, response, response.audit_fields)
            if route.audit_event:
                self._audit(route.audit_event, request, log.SUCCESS, response.audit_fields)
            return response
        except Exception as error:  # noqa: BLE001 - the single exit: every error gets a log line and a response
            _log_error(error, request)
            if route.audit_event:
                self._audit(route.audit_event, request, _error_code(error), getattr(error, "audit_fields", {}))
            return replace(_error_response(route, error, request), error_code=_error_code(error))

    def _register(self, route_keys: tuple[str, ...], route: _Route) -> None:
        for key in route_keys:
            self._routes[key] = route
            method, _, path = key.partition(" ")
            if method == "GET":
                self._routes[f"HEAD {path}"] = route

    def _audit(self, event: str, request: Request, outcome: str, details: Mapping[str, Any]) -> None:
        log.audit(event, outcome=outcome, request_id=request.request_id, details=details)

    def _audit_response(self, request: Request, response: Response, caller_fields: Mapping[str, Any]) -> None:
        """Write the audit events of a response on a route that has none for each request."""
        self._audit_issued_urls(request, response.issued_urls, caller_fields)
        if response.audit_event:
            details = {**caller_fields, **response.metrics, **response.audit_fields}
            self._audit(response.audit_event, request, log.SUCCESS, details)

    def _audit_issued_urls(self, request: Request, issued: IssuedUrls | None, caller_fields: Mapping[str, Any]) -> None:
        """Write the audit event of presigned URLs: CloudTrail shows their use as that of the function's role."""
        if issued is None:
            return
        file_name = {"file_name": issued.filename} if self._log_file_names() else {}
        details = {"method": issued.method, "urls": issued.count, "expires_at": format_rfc3339(issued.expires_at)}
        self._audit("url.issue", request, log.SUCCESS, {**caller_fields, **file_name, **details})

    def _file_name_field(self, request: Request) -> dict[str, str]:
        """Return the file name of the request as an audit field, if names may be logged; else no field."""
        try:
            name = request.optional_filename() if self._log_file_names() else None
        except FerryError:
            return {}
        return {} if name is None else {"file_name": name}


def create_app(
    authenticate: Authenticate | None = None,
    log_file_names: Callable[[], bool] = lambda: False,
    authenticate_link: AuthenticateLink | None = None,
) -> Router:
    """Return a router without routes.

    Args:
        authenticate: a `bearer_authenticator`; None if no route is protected.
        log_file_names: returns whether audit events contain file names.
        authenticate_link: a `link_authenticator`; None if no route takes tokens of links.
    """
    return Router(authenticate, log_file_names, authenticate_link)


def _caller_fields(principal: Principal) -> dict[str, str]:
    """Return the audit fields of the client that sent the request. `issuer` is present for external issuers only."""
    issuer = {"issuer": principal.issuer} if principal.issuer else {}
    return {"actor": principal.client_id, "ns": principal.ns, **issuer}


def _link_fields(caller: LinkCaller) -> dict[str, str]:
    """Return the audit fields of a request by a link."""
    return {"actor": "link", "ns": caller.link.ns, "link_id": caller.link.link_id}


def _log_error(error: Exception, request: Request) -> None:
    if isinstance(error, BackendUnavailable):
        log.log_backend_failure(error, request_id=request.request_id, route=request.route)
    elif not isinstance(error, FerryError | OAuthError):
        log.log_unexpected(error, request_id=request.request_id, route=request.route)


def _error_response(route: _Route, error: Exception, request: Request) -> Response:
    if route.request_error_handler is not None:
        return route.request_error_handler(error, request)
    return route.error_handler(error) if route.error_handler else problem_of(error, request)


def _error_code(error: Exception) -> str:
    if isinstance(error, OAuthError):
        return error.error
    return error.code if isinstance(error, FerryError) else FerryError.code


def problem_of(error: Exception, request: Request) -> Response:
    """Return the problem details of an error."""
    # Other errors are defects: `_log_error` has logged them, and the client gets no detail.
    return problems.problem_response(error if isinstance(error, FerryError) else FerryError(), request.request_id)


def _gateway_response(request: Request, response: Response) -> dict[str, Any]:
    body = response.body or ""
    headers = {**response.headers, "X-Request-Id": request.request_id}
    if "no-store" not in headers.get("Cache-Control", "no-store"):
        # The gateway's CORS headers depend on the origin: a cache must not serve one origin's response to another.
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
    if request.method == "HEAD":
        # A response to HEAD has the headers of GET and no content (RFC 9110 section 9.3.2).
        if body:
            headers.setdefault("Content-Length", str(len(body.encode() if isinstance(body, str) else body)))
        body = ""
    return {
        "statusCode": response.status,
        "headers": headers,
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }
