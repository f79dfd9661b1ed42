"""A function's routes over Powertools' resolver, without its validation.

Routes are the gateway's own keys. The resolver never sees the path that a client sent: names with quotes, `#`, `?`, `%`
or emoji arrive decoded there and would match no route. It is given the route's template; names come from the path
parameters.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from aws_lambda_powertools.event_handler.api_gateway import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from ferry.access.oauth import OAuthError
from ferry.errors import BackendUnavailable, FerryError
from ferry.http import log, problems
from ferry.http.answer import Answer
from ferry.http.refusals import RouteNotFound
from ferry.http.request import Request

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from ferry.access.verify import Principal

Authenticate = Callable[[Request, str], "Principal"]
"""Who a request is from, if its token has the scope; raises otherwise."""

OpenRoute = Callable[[Request], Answer]
Route = Callable[[Request, str], Answer]
"""A route behind a token gets the caller's namespace too."""

Refuse = Callable[[Exception], Answer]
"""How a route answers errors in a shape of its own."""


class Context(Protocol):
    """What Ferry uses of the context that the platform hands to a function."""

    def get_remaining_time_in_millis(self) -> int: ...


class Api:
    """Routes, and the handler that serves them: one request at a time, as the platform sends them."""

    def __init__(self, authenticate: Authenticate | None = None) -> None:
        self._authenticate = authenticate
        self._resolver = APIGatewayHttpResolver()
        self.scopes: dict[str, str | None] = {}
        """The registered route keys, each with the scope it needs; None where anybody may call."""
        self._resolver.not_found(self._not_found)

    def open(self, *keys: str, refuse: Refuse | None = None) -> Callable[[OpenRoute], OpenRoute]:
        """Register a route that anybody may call, under the gateway's route keys (`GET /health`)."""

        def register(route: OpenRoute) -> OpenRoute:
            self._register(keys, None, route, refuse)
            return route

        return register

    def protected(self, *keys: str, scope: str) -> Callable[[Route], Route]:
        """Register a route that needs a token with that scope, which is checked before anything else is looked at."""
        authenticate = self._authenticate
        if authenticate is None:
            raise ValueError("a protected route needs a way to authenticate")

        def register(route: Route) -> Route:
            self._register(keys, scope, lambda request: route(request, authenticate(request, scope).ns), None)
            return route

        return register

    def handle(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Answer one event of an HTTP API, payload format 2.0."""
        request = Request.from_event(event)
        self._resolver.context["request"] = request
        # The resolver hands the context on and looks at none of it.
        return self._resolver.resolve(_routed(request), cast("LambdaContext", context))

    def _register(self, keys: tuple[str, ...], scope: str | None, route: OpenRoute, refuse: Refuse | None) -> None:
        def serve() -> Response[Any]:
            request = self._request
            try:
                answer = route(request)
            except Exception as error:  # noqa: BLE001 - the single exit: every error is told apart, noted, answered
                _note(error, request)
                answer = refuse(error) if refuse else _problem(error, request)
            return _response(request, answer)

        for key in keys:
            method, _, path = key.partition(" ")
            self.scopes[key] = scope
            self._resolver.route(path, method=method)(serve)

    @property
    def _request(self) -> Request:
        request: Request = self._resolver.context["request"]
        return request

    def _not_found(self, _: NotFoundError) -> Response[Any]:
        request = self._request
        return _response(request, problems.problem(RouteNotFound(), request.request_id))


def create_app(authenticate: Authenticate | None = None) -> Api:
    """An app without routes yet. `authenticate` is `ferry.http.bearer.bearer(...)` where routes are to be protected."""
    return Api(authenticate)


def _routed(request: Request) -> dict[str, Any]:
    """The least event that the resolver routes by."""
    http = {"method": request.method, "path": request.path}
    return {
        "version": "2.0",
        "routeKey": request.route,
        "rawPath": request.path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"stage": "$default", "http": http},
        "isBase64Encoded": False,
    }


def _note(error: Exception, request: Request) -> None:
    if isinstance(error, BackendUnavailable):
        log.backend(error, request_id=request.request_id, route=request.route)
    elif not isinstance(error, FerryError | OAuthError):
        log.unexpected(error, request_id=request.request_id, route=request.route)


def _problem(error: Exception, request: Request) -> Answer:
    known = error if isinstance(error, FerryError) else FerryError("Something went wrong here, and it was noted.")
    return problems.problem(known, request.request_id)


def _response(request: Request, answer: Answer) -> Response[Any]:
    headers: dict[str, str | list[str]] = {**answer.headers, "X-Request-Id": request.request_id}
    # The answer to HEAD has the headers of GET and no content (RFC 9110 section 9.3.2).
    body = None if request.method == "HEAD" else answer.body
    response: Response[Any] = Response(status_code=answer.status, headers=headers, body=body or "")
    if isinstance(body, bytes):
        # Not left to the resolver: it would take a stored file of type application/json for something to be serialised.
        response.body = base64.b64encode(body).decode()
        response.base64_encoded = True
    return response
