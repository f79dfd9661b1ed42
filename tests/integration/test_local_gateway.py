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
from dev.local.pool import Event, FunctionError, InstanceCrashedError, InvocationTimeoutError, ThrottledError
from dev.local.routing import Route
from dev.local.runner import serve_all
from dev.local.stack import CorsRules
from dev.local.tcp_ports import try_listen

RULES = CorsRules(
    ("https://app.example",), ("GET", "POST"), ("authorization",), ("etag",), 600, allow_credentials=False
)


def request(method: str = "POST", path: bytes = b"/chunk", body: bytes = b"", **headers: str) -> GatewayRequest:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return GatewayRequest(method, path, b"", pairs, body, "127.0.0.1")


def respond(
    gateway_request: GatewayRequest, outcome: bytes | Exception = b"{}", *, body_too_large: bool = False
) -> GatewayResponse:
    async def invoke(function: str, event: Event, seconds: float) -> bytes:
        assert (function, seconds) == ("F", limits.GATEWAY_TIMEOUT_SECONDS)
        json.loads(event if isinstance(event, bytes) else b"".join(event))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    gateway = Gateway([Route("POST", "/chunk", "F")], RULES, invoke)
    return asyncio.run(gateway.handle_request(gateway_request, "r1", body_too_large=body_too_large))


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (ThrottledError(), 429, "Too Many Requests"),
        (InvocationTimeoutError(), 503, "Service Unavailable"),
        (InstanceCrashedError("gone"), 500, "Internal Server Error"),
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

    async def invoke(function: str, event: Event, seconds: float) -> bytes:
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


async def serve_over_tcp(data: bytes, *, half_close: bool) -> tuple[list[dict[str, Any]], bytes]:
    """Send bytes to a gateway that listens on a port; return the events that reached a function, and the response."""
    events: list[dict[str, Any]] = []

    async def invoke(function: str, event: Event, seconds: float) -> bytes:
        events.append(json.loads(event if isinstance(event, bytes) else b"".join(event)))
        return b'{"statusCode": 200, "body": "done"}'

    listener, stopping = try_listen(0), asyncio.Event()
    assert listener is not None
    port = listener.getsockname()[1]
    gateway = Gateway([Route("POST", "/chunk", "F"), Route("GET", "/status/{filename+}", "F")], RULES, invoke)
    server = asyncio.create_task(serve_all({listener.detach(): gateway}, stopping))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        await writer.drain()
        if half_close:
            writer.write_eof()
            response = await reader.read()
        else:
            response = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    finally:
        stopping.set()
        await server
    return events, response


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"content-length: 10", b"short"),
        (b"content-length: 10", b""),
        (b"transfer-encoding: chunked", b"5\r\nshort\r\n"),
        (b"transfer-encoding: chunked", b"a\r\nshort"),
        (b"transfer-encoding: chunked", b""),
    ],
)
def test_cut_off_body_reaches_no_function(framing: bytes, body: bytes) -> None:
    """A request whose client closes the connection before the end of the body invokes no function."""
    head = b"POST /chunk HTTP/1.1\r\nhost: h\r\n" + framing + b"\r\n\r\n"
    events, response = asyncio.run(serve_over_tcp(head + body, half_close=True))
    assert events == []
    assert not response.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://files.example:3000/status/a%20b", "/status/a b", "", "files.example:3000"),
        (b"HTTP://files.example/status/a?wait=1", "/status/a", "wait=1", "files.example"),
        (b"https://files.example/status/http://x", "/status/http://x", "", "files.example"),
        (b"/status/http://x/y", "/status/http://x/y", "", "h"),
    ],
)
def test_absolute_form_target_is_served_as_its_path(target: bytes, path: str, query: str, host: str) -> None:
    """A target with scheme and host is served as its path, and its host replaces the header Host."""
    request_bytes = b"GET " + target + b" HTTP/1.1\r\nhost: h\r\n\r\n"
    events, response = asyncio.run(serve_over_tcp(request_bytes, half_close=False))
    assert response.startswith(b"HTTP/1.1 200")
    (event,) = events
    assert (event["rawPath"], event["rawQueryString"], event["headers"]["host"]) == (path, query, host)


@pytest.mark.parametrize(
    "target", [b"http://files.example", b"http://files.example/", b"http:/status/a", b"ftp://h/status/a"]
)
def test_absolute_form_target_without_route_returns_404(target: bytes) -> None:
    """A URL without a path, and one of another scheme, is no route."""
    events, response = asyncio.run(serve_over_tcp(b"GET " + target + b" HTTP/1.1\r\nhost: h\r\n\r\n", half_close=False))
    assert (events, response.split()[1]) == ([], b"404")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", b"/chunk", 507), ("POST", b"/auth/token", 200), ("GET", b"/chunk", 200), ("DELETE", b"/chunk", 200)],
)
def test_low_storage_rejects_requests_that_store_data(method: str, path: bytes, status: int) -> None:
    """While the disk is almost full uploads are 507; reading, deleting and tokens need no space."""

    async def invoke(function: str, event: Event, seconds: float) -> bytes:
        return b"{}"

    routes = [Route(name, route, "F") for name in ("POST", "GET", "DELETE") for route in ("/chunk", "/auth/token")]
    gateway = Gateway(routes, RULES, invoke, storage_is_low=lambda: True)
    assert asyncio.run(gateway.handle_request(request(method, path), "r1")).status == status
