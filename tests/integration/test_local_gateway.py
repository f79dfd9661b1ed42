"""The local gateway's limits and refusals, from request to answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from local import limits
from local.answers import Answer
from local.events import Request
from local.gateway import Gateway
from local.pool import Crashed, FunctionFailed, Throttled, TimedOut
from local.routing import Route
from local.stack import CorsRules

RULES = CorsRules(("https://app.example",), ("GET", "POST"), ("authorization",), ("etag",), 600, credentials=False)


def request(method: str = "POST", path: bytes = b"/chunk", body: bytes = b"", **headers: str) -> Request:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Request(method, path, b"", pairs, body, "127.0.0.1")


def answer(given: Request, outcome: bytes | Exception = b"{}", *, too_large: bool = False) -> Answer:
    async def invoke(function: str, event: bytes, seconds: float) -> bytes:
        assert (function, seconds) == ("F", limits.GATEWAY_SECONDS)
        json.loads(event)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    gateway = Gateway([Route("POST", "/chunk", "F")], RULES, invoke)
    return asyncio.run(gateway.answer(given, "r1", too_large=too_large))


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (Throttled(), 429, "Too Many Requests"),
        (TimedOut(), 504, "Endpoint request timed out"),
        (Crashed("gone"), 502, "Bad Gateway"),
        (FunctionFailed("ValueError: x"), 500, "Internal Server Error"),
        (b'{"statusCode": "x"}', 500, "Internal Server Error"),
    ],
)
def test_what_the_gateway_answers_for_a_function(outcome: bytes | Exception, status: int, text: str) -> None:
    """A function that could not answer is answered for, and its error stays inside."""
    got = answer(request(), outcome)
    assert (got.status, json.loads(got.body)) == (status, {"message": text})


@pytest.mark.parametrize(("method", "path"), [("GET", b"/chunk"), ("POST", b"/nowhere"), ("OPTIONS", b"/chunk")])
def test_unknown_routes(method: str, path: bytes) -> None:
    """What no route answers is a 404 of the gateway's own form."""
    got = answer(request(method, path))
    assert (got.status, got.body) == (404, b'{"message": "Not Found"}')


@pytest.mark.parametrize(
    ("size", "status"),
    [(4 * 1024 * 1024, 200), (4_717_000, 200), (4_718_592, 413), (limits.GATEWAY_BODY, 413)],
)
def test_the_event_may_have_6_mb(size: int, status: int) -> None:
    """What grows over 6 MB as an event, base64 included, does not reach the function."""
    assert answer(request(body=bytes(size), content_type="application/octet-stream")).status == status


def test_text_is_counted_as_json() -> None:
    """A text body counts as it is written in JSON."""
    body = b'"' * 3_200_000
    assert answer(request(body=body, content_type="application/json")).status == 413


def test_a_body_over_10_mb() -> None:
    """A body that the gateway did not take is a 413."""
    assert answer(request(), too_large=True).status == 413


def test_a_long_head() -> None:
    """Request line and headers have 10,240 bytes."""
    rest = request(x="").head_size()
    assert answer(request(x="a" * (limits.GATEWAY_HEAD - rest))).status == 200
    assert answer(request(x="a" * (limits.GATEWAY_HEAD - rest + 1))).status == 431
