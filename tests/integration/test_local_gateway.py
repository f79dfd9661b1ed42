"""The local gateway's limits and refusals, from request to answer."""

from __future__ import annotations

import asyncio
import json

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
    """A function that could not answer is answered for, and its error stays inside."""
    got = respond(request(), outcome)
    assert (got.status, json.loads(got.body)) == (status, {"message": text})


@pytest.mark.parametrize(("method", "path"), [("GET", b"/chunk"), ("POST", b"/nowhere"), ("OPTIONS", b"/chunk")])
def test_unknown_route_returns_404(method: str, path: bytes) -> None:
    """What no route answers is a 404 of the gateway's own form."""
    got = respond(request(method, path))
    assert (got.status, got.body) == (404, b'{"message": "Not Found"}')


@pytest.mark.parametrize(
    ("size", "status"),
    [(4 * 1024 * 1024, 200), (4_717_000, 200), (4_718_592, 413), (limits.MAX_GATEWAY_BODY_BYTES, 413)],
)
def test_event_over_6_mb_returns_413(size: int, status: int) -> None:
    """What grows over 6 MB as an event, base64 included, does not reach the function."""
    assert respond(request(body=bytes(size), content_type="application/octet-stream")).status == status


def test_text_body_counts_as_json() -> None:
    """A text body counts as it is written in JSON."""
    body = b'"' * 3_200_000
    assert respond(request(body=body, content_type="application/json")).status == 413


def test_body_over_10_mb_returns_413() -> None:
    """A body that the gateway did not take is a 413."""
    assert respond(request(), body_too_large=True).status == 413


def test_headers_over_limit_are_rejected() -> None:
    """Request line and headers have 10,240 bytes."""
    rest = request(x="").head_size_bytes()
    assert respond(request(x="a" * (limits.MAX_GATEWAY_HEAD_BYTES - rest))).status == 200
    assert respond(request(x="a" * (limits.MAX_GATEWAY_HEAD_BYTES - rest + 1))).status == 431
