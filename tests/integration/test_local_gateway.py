"""The local gateway: limits, errors and the request log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dev.local import limits
from dev.local.apigw_event import GatewayRequest
from dev.local.gateway import Gateway
from dev.local.lambda_response import GatewayResponse
from dev.local.pool import FunctionError, InstanceCrashedError, InvocationTimeoutError, ThrottledError
from dev.local.routing import Route
from dev.local.stack import CorsRules

RULES = CorsRules(
    ("https://app.example",), ("GET", "POST"), ("authorization",), ("etag",), 600, allow_credentials=False
)


def request(method: str = "POST", path: bytes = b"/chunk", body: bytes = b"", **headers: str) -> GatewayRequest:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return GatewayRequest(method, path, b"", pairs, body, "127.0.0.1")


def respond(
    gateway_request: GatewayRequest, outcome: bytes | Exception = b"{}", *, body_too_large: bool = False
) -> GatewayResponse:
    async def invoke(function: str, event: bytes, seconds: float) -> bytes:
        assert (function, seconds) == ("F", limits.GATEWAY_TIMEOUT_SECONDS)
        json.loads(event)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    gateway = Gateway([Route("POST", "/chunk", "F")], RULES, invoke)
    return asyncio.run(gateway.handle_request(gateway_request, "r1", body_too_large=body_too_large))


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (ThrottledError(), 429, "Too Many Requests"),
        (InvocationTimeoutError(), 504, "Endpoint request timed out"),
        (InstanceCrashedError("gone"), 502, "Bad Gateway"),
        (FunctionError("ValueError: x"), 500, "Internal Server Error"),
        (b'{"statusCode": "x"}', 500, "Internal Server Error"),
    ],
)
def test_function_failure_maps_to_gateway_response(outcome: bytes | Exception, status: int, text: str) -> None:
    """The gateway has a response of its own for each failure of a function, without the function's error."""
    response = respond(request(), outcome)
    assert (response.status, json.loads(response.body)) == (status, {"message": text})


@pytest.mark.parametrize(("method", "path"), [("GET", b"/chunk"), ("POST", b"/nowhere"), ("OPTIONS", b"/chunk")])
def test_unknown_route_returns_404(method: str, path: bytes) -> None:
    """A request without a route is 404 in the gateway's own form."""
    response = respond(request(method, path))
    assert (response.status, response.body) == (404, b'{"message": "Not Found"}')


@pytest.mark.parametrize(
    ("size", "status"),
    [(4 * 1024 * 1024, 200), (4_717_000, 200), (4_718_592, 413), (limits.MAX_GATEWAY_BODY_BYTES, 413)],
)
def test_event_over_6_mb_returns_413(size: int, status: int) -> None:
    """An event over 6 MB, with a binary body in base64, is 413."""
    assert respond(request(body=bytes(size), content_type="application/octet-stream")).status == status


def test_text_body_counts_as_json() -> None:
    """A text body counts with its JSON escapes."""
    body = b'"' * 3_200_000
    assert respond(request(body=body, content_type="application/json")).status == 413


def test_body_over_10_mb_returns_413() -> None:
    """A body over the gateway's limit is 413."""
    assert respond(request(), body_too_large=True).status == 413


def test_headers_over_limit_are_rejected() -> None:
    """Request line and headers may have 10,240 bytes together; one byte more is 431."""
    rest = request(x="").head_size_bytes()
    assert respond(request(x="a" * (limits.MAX_GATEWAY_HEAD_BYTES - rest))).status == 200
    assert respond(request(x="a" * (limits.MAX_GATEWAY_HEAD_BYTES - rest + 1))).status == 431


def test_response_is_reported_with_its_route() -> None:
    """The request log gets the route, not the path with the file's name; None for a path without a route."""
    reported: list[tuple[str, str | None, int]] = []

    async def invoke(function: str, event: bytes, seconds: float) -> bytes:
        return b'{"statusCode": 206}'

    def on_response(method: str, route: Route | None, status: int, duration_seconds: float) -> None:
        assert 0 <= duration_seconds < 60
        reported.append((method, route.path if route else None, status))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        pass

    def scope(path: bytes) -> Any:
        return {
            "type": "http",
            "method": "GET",
            "raw_path": path,
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
        }

    gateway = Gateway([Route("GET", "/status/{filename+}", "F")], RULES, invoke, on_response=on_response)
    asyncio.run(gateway(scope(b"/status/a-name"), receive, send))
    asyncio.run(gateway(scope(b"/a-name"), receive, send))
    assert reported == [("GET", "/status/{filename+}", 206), ("GET", None, 404)]
