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

from ferry.access.oauth import OAuthError
from ferry.errors import BackendUnavailable, FerryError
from ferry.http import log, metrics, problems
from ferry.http.answer import Answer
from ferry.http.refusals import RouteNotFound
from ferry.http.request import Request

if TYPE_CHECKING:
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

    @property
    def function_name(self) -> str: ...

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """A registered route: the scope it needs (None: anybody may call), how it answers errors of its own, and the
    audit event that each call of it is (empty: none).
    """

    serve: OpenRoute
    scope: str | None
    refuse: Refuse | None
    audit: str


class Api:
    """Routes, and the handler that serves them: one request at a time, as the platform sends them."""

    def __init__(self, authenticate: Authenticate | None, names: Callable[[], bool]) -> None:
        self._authenticate = authenticate
        self._names = names
        self._routes: dict[str, _Entry] = {}

    @property
    def scopes(self) -> Mapping[str, str | None]:
        """The registered route keys, each with the scope it needs; None where anybody may call."""
        return {key: entry.scope for key, entry in self._routes.items()}

    def open(self, *keys: str, refuse: Refuse | None = None, audit: str = "") -> Callable[[OpenRoute], OpenRoute]:
        """Register a route that anybody may call, under the gateway's route keys (`GET /health`)."""

        def register(route: OpenRoute) -> OpenRoute:
            self._register(keys, _Entry(route, None, refuse, audit))
            return route

        return register

    def protected(self, *keys: str, scope: str, audit: str = "") -> Callable[[Route], Route]:
        """Register a route that needs a token with that scope, which is checked before anything else is looked at.

        With `audit` each call that gets past the token is an audit event of that name.
        """
        authenticate = self._authenticate
        if authenticate is None:
            raise ValueError("a protected route needs a way to authenticate")

        def register(route: Route) -> Route:
            def serve(request: Request) -> Answer:
                principal = authenticate(request, scope)
                if not audit:
                    return route(request, principal.ns)
                issuer = {"issuer": principal.issuer} if principal.issuer else {}
                who = {"actor": principal.client_id, "ns": principal.ns, **issuer, **self._named(request)}
                try:
                    answer = route(request, principal.ns)
                except Exception as error:
                    self._audit(audit, request, _code(error), who)
                    raise
                self._audit(audit, request, log.SUCCESS, {**who, **answer.counts, **answer.noted})
                return answer

            self._register(keys, _Entry(serve, scope, None, ""))
            return route

        return register

    def handle(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Answer one event of an HTTP API, payload format 2.0."""
        begun = time.monotonic()
        request = Request.from_event(event)
        answer = self._answer(request)
        took = (time.monotonic() - begun) * 1000
        about = {"route": request.route, "status": str(answer.status), "request_id": request.request_id}
        metrics.emit(context.function_name, {"LatencyMilliseconds": round(took, 1), **answer.counts}, about)
        return _response(request, answer)

    def _answer(self, request: Request) -> Answer:
        entry = self._routes.get(request.route)
        if entry is None:
            return problems.problem(RouteNotFound(), request.request_id)
        try:
            answer = entry.serve(request)
            if entry.audit:
                self._audit(entry.audit, request, log.SUCCESS, answer.noted)
            return answer
        except Exception as error:  # noqa: BLE001 - the single exit: every error is told apart, noted, answered
            _note(error, request)
            metrics.refused(_code(error))
            if entry.audit:
                self._audit(entry.audit, request, _code(error), getattr(error, "noted", {}))
            return entry.refuse(error) if entry.refuse else _problem(error, request)

    def _register(self, keys: tuple[str, ...], entry: _Entry) -> None:
        for key in keys:
            self._routes[key] = entry

    def _audit(self, event: str, request: Request, outcome: str, details: Mapping[str, Any]) -> None:
        log.audit(event, outcome=outcome, request_id=request.request_id, details=details)

    def _named(self, request: Request) -> dict[str, str]:
        """The file that the request is about, where names may be logged."""
        try:
            name = request.optional_filename() if self._names() else None
        except FerryError:
            return {}
        return {} if name is None else {"file_name": name}


def create_app(authenticate: Authenticate | None = None, names: Callable[[], bool] = lambda: False) -> Api:
    """An app without routes yet. `authenticate` is `ferry.http.bearer.bearer(...)` where routes are to be protected;
    `names` tells whether audit events may have names of files.
    """
    return Api(authenticate, names)


def _note(error: Exception, request: Request) -> None:
    if isinstance(error, BackendUnavailable):
        log.backend(error, request_id=request.request_id, route=request.route)
    elif not isinstance(error, FerryError | OAuthError):
        log.unexpected(error, request_id=request.request_id, route=request.route)


def _code(error: Exception) -> str:
    if isinstance(error, OAuthError):
        return error.error
    return error.code if isinstance(error, FerryError) else FerryError.code


def _problem(error: Exception, request: Request) -> Answer:
    known = error if isinstance(error, FerryError) else FerryError("Something went wrong here, and it was noted.")
    return problems.problem(known, request.request_id)


def _response(request: Request, answer: Answer) -> dict[str, Any]:
    # The answer to HEAD has the headers of GET and no content (RFC 9110 section 9.3.2).
    body = "" if request.method == "HEAD" else answer.body or ""
    return {
        "statusCode": answer.status,
        "headers": {**answer.headers, "X-Request-Id": request.request_id},
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }
