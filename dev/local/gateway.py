"""The local API Gateway, an ASGI application: limits, CORS, routes, and one invocation for each request."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope, Scope

from dev.local import apigw_event, cors, lambda_response, limits, s3_range_proxy
from dev.local.asgi import serve_connection
from dev.local.lambda_response import GatewayResponse
from dev.local.pool import (
    Event,
    FunctionError,
    InstanceCrashedError,
    InvocationTimeoutError,
    ThrottledError,
    event_size_bytes,
)
from dev.local.routing import Route, match_route
from dev.local.stack import CorsRules

InvokeFunction = Callable[[str, Event, float], Awaitable[bytes]]
"""(function, event, timeout in seconds) → what it returned.

Raises `ThrottledError`, `InvocationTimeoutError`, `InstanceCrashedError`, `FunctionError`.
"""
OnResponse = Callable[[str, Route | None, int, float], None]
"""(method, route or None, status, duration in seconds), called when a response has been sent."""

StorageIsLow = Callable[[], bool]
"""Returns whether the disk of the state folder is almost full."""

# A rejected body is read to its end, up to this many bytes: most clients read the response only after they sent
# everything.
_MAX_DRAIN_BYTES = 64 * 1024 * 1024
_STORING_METHODS = frozenset({"POST", "PUT", "PATCH"})
_PATHS_OF_A_FULL_DISK = frozenset({"/auth/token", "/files/delete"})
"""Paths of storing methods that are served on a full disk: they make space, or store nothing."""
_STORAGE_LOW = "Insufficient Storage: the disk of the state folder is almost full. Free some space, then repeat."
_ABSOLUTE_FORM = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE | re.DOTALL)


class BodyTooLargeError(Exception):
    """The request body is over the gateway's limit."""


class BodyCutOffError(Exception):
    """The client closed the connection before it sent the whole body."""


class Gateway:
    """The routes of an HTTP API, each with its function.

    Args:
        routes: the routes.
        cors_rules: the API's CorsConfiguration, or None without one.
        invoke: invokes a function.
        proxy_origins: the range proxy's origin by S3 origin. Redirects that need the proxy are rewritten to it.
        storage_is_low: returns whether to reject requests that store data; None to accept all.
        on_response: called after each response; None for no request log.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        cors_rules: CorsRules | None,
        invoke: InvokeFunction,
        proxy_origins: Mapping[str, str] | None = None,
        *,
        on_response: OnResponse | None = None,
        storage_is_low: StorageIsLow | None = None,
    ) -> None:
        self._routes = routes
        self._cors_rules = cors_rules
        self._invoke = invoke
        self._proxy_origins = proxy_origins or {}
        self._on_response = on_response
        self._storage_is_low = storage_is_low

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await serve_connection(scope, receive, send, self._serve)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request_id, has_responded = apigw_event.new_request_id(), False

        async def send_noted(message: ASGISendEvent) -> None:
            nonlocal has_responded
            has_responded = True
            await send(message)

        try:
            await self._respond(scope, receive, send_noted, request_id)
        except asyncio.CancelledError:
            if not has_responded:
                # The stop waits no longer. Without a response here, the server would send an empty 500.
                response = lambda_response.gateway_error(503, "Service Unavailable")
                await _send_response(send, scope["method"], response, request_id)
            raise

    async def _respond(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable, request_id: str
    ) -> None:
        started_at = time.monotonic()
        try:
            body: bytes | None = await _read_body(receive)
        except BodyTooLargeError:
            body = None
        except BodyCutOffError:
            return  # there is no connection for a response
        client = scope.get("client")
        raw_path, headers = to_origin_form(scope["raw_path"], scope["headers"])
        request = apigw_event.GatewayRequest(
            method=scope["method"],
            raw_path=raw_path,
            raw_query=scope["query_string"],
            headers=headers,
            body=body or b"",
            client_ip=client[0] if client else "127.0.0.1",
            protocol=f"HTTP/{scope['http_version']}",
        )
        response = await self.handle_request(request, request_id, body_too_large=body is None)
        if response.status == 307 and s3_range_proxy.needs_proxy(request.headers):
            for s3_origin, proxy_origin in self._proxy_origins.items():
                response = s3_range_proxy.rewrite_redirect(response, s3_origin, proxy_origin)
        if request.method != "OPTIONS":
            response = cors.with_cors_headers(self._cors_rules, request, response)
        await _send_response(send, request.method, response, request_id)
        if self._on_response is not None:
            match = match_route(self._routes, request.method, request.path)
            duration_seconds = time.monotonic() - started_at
            self._on_response(request.method, match.route if match else None, response.status, duration_seconds)

    async def handle_request(
        self, request: apigw_event.GatewayRequest, request_id: str, *, body_too_large: bool = False
    ) -> GatewayResponse:
        """Return the response to a request. `_serve` adds CORS headers except to OPTIONS."""
        if request.head_size_bytes() > limits.MAX_GATEWAY_HEAD_BYTES:
            return lambda_response.gateway_error(431, "Request Header Fields Too Large")
        if body_too_large:
            return lambda_response.gateway_error(413, "Request Entity Too Large")
        preflight = cors.preflight_response(self._cors_rules, request)
        match = match_route(self._routes, request.method, request.path)
        if preflight is not None and match is None:
            return preflight
        if match is None:
            return lambda_response.gateway_error(404, "Not Found")
        stores_data = request.method in _STORING_METHODS and match.route.path not in _PATHS_OF_A_FULL_DISK
        if stores_data and self._storage_is_low is not None and self._storage_is_low():
            return lambda_response.gateway_error(507, _STORAGE_LOW)
        event = apigw_event.encode_event(request, match, request_id=request_id)
        if event_size_bytes(event) > limits.MAX_INVOKE_REQUEST_BYTES:
            return lambda_response.gateway_error(413, "Request Entity Too Large")
        response = await self._call_function(match.route.function, event)
        if request.method != "OPTIONS":
            return response
        # Where a route matches OPTIONS, the function responds, also to preflights, and the gateway adds its headers.
        if preflight is None:
            return cors.with_cors_headers(self._cors_rules, request, response)
        return replace(response, headers=(*response.headers, *preflight.headers))

    async def _call_function(self, function: str, event: Event) -> GatewayResponse:
        # As on AWS, a function runs to its end even when the client has disconnected.
        call = asyncio.ensure_future(self._invoke(function, event, limits.GATEWAY_TIMEOUT_SECONDS))
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return lambda_response.parse_lambda_response(await asyncio.shield(call))
        except ThrottledError:
            return lambda_response.gateway_error(429, "Too Many Requests")
        except InvocationTimeoutError:
            return lambda_response.gateway_error(503, "Service Unavailable")
        except InstanceCrashedError:
            return lambda_response.gateway_error(500, "Internal Server Error")
        except (FunctionError, lambda_response.InvalidLambdaResponse) as error:
            print(f"{function}: {error}", file=sys.stderr, flush=True)
            return lambda_response.gateway_error(500, "Internal Server Error")


def to_origin_form(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the path and the headers of a request whose target may be an absolute URL, as clients send it to a proxy.

    The URL's host then replaces the header Host (RFC 9112 section 3.2.2).
    """
    absolute = _ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        return target, list(headers)
    others = [(name, value) for name, value in headers if name.lower() != b"host"]
    return absolute[2] or b"/", [(b"host", absolute[1]), *others]


async def _read_body(receive: ASGIReceiveCallable) -> bytes:
    """Return the whole request body. Raises `BodyTooLargeError`, `BodyCutOffError`."""
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise BodyCutOffError
        size += len(event["body"])
        if size <= limits.MAX_GATEWAY_BODY_BYTES:
            pieces.append(event["body"])
        elif size > _MAX_DRAIN_BYTES:
            raise BodyTooLargeError
        if not event["more_body"]:
            break
    if size > limits.MAX_GATEWAY_BODY_BYTES:
        raise BodyTooLargeError
    return b"".join(pieces)


async def _send_response(send: ASGISendCallable, method: str, response: GatewayResponse, request_id: str) -> None:
    """Send a response. HEAD, 204 and 304 have no body; HEAD keeps the function's Content-Length, 304 has none."""
    bodiless = method == "HEAD" or response.status in (204, 304)
    headers = [(name, value) for name, value in response.headers if name != "content-length"]
    if method == "HEAD" and response.status != 304:
        given = next((value for name, value in response.headers if name == "content-length"), None)
        headers.append(("content-length", given if given is not None else str(len(response.body))))
    elif not bodiless:
        headers.append(("content-length", str(len(response.body))))
    headers.append(("apigw-requestid", request_id))
    encoded = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded, "trailers": False})
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body, "more_body": False})
