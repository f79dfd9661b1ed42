"""The local function URL: one function for every path, preflights without it, and a renamed header."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dev.local.apigw_event import GatewayRequest
from dev.local.function_url import FunctionUrlGateway
from dev.local.lambda_response import GatewayResponse
from dev.local.pool import Event
from dev.local.stack import CorsRules, FunctionUrl

RULES = CorsRules(("*",), ("POST",), ("authorization",), ("retry-after",), 3600, allow_credentials=False)
RESPONSE = {"statusCode": 401, "headers": {"WWW-Authenticate": "Bearer"}, "body": "{}", "isBase64Encoded": False}


class RecordedFunction:
    """A function that keeps its events and rejects the token."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def invoke(self, function: str, event: Event, timeout_seconds: float) -> bytes:
        del timeout_seconds
        parts = [event] if isinstance(event, bytes) else list(event)
        self.events.append((function, json.loads(b"".join(map(bytes, parts)))))
        return json.dumps(RESPONSE).encode()


def answer(function: RecordedFunction, method: str, path: str, *headers: tuple[bytes, bytes]) -> GatewayResponse:
    gateway = FunctionUrlGateway(FunctionUrl("ChunkFunction", RULES), function.invoke)
    request = GatewayRequest(method, path.encode(), b"a=1", headers, b"", "127.0.0.1")
    return asyncio.run(gateway.handle_request(request, "id"))


def test_function_url_passes_every_path_to_its_function() -> None:
    """Each request is an event with the route key `$default`, and WWW-Authenticate is renamed in its response."""
    function = RecordedFunction()
    for method, path in (("POST", "/upload/chunk"), ("GET", "/"), ("OPTIONS", "/x")):
        response = answer(function, method, path)
        assert response.status == 401
        assert ("x-amzn-remapped-www-authenticate", "Bearer") in response.headers
        assert "www-authenticate" not in dict(response.headers)
    assert [name for name, _ in function.events] == ["ChunkFunction"] * 3
    assert [event["routeKey"] for _, event in function.events] == ["$default"] * 3
    assert [event["rawPath"] for _, event in function.events] == ["/upload/chunk", "/", "/x"]


def test_function_url_answers_preflights_itself() -> None:
    """A preflight does not reach the function."""
    function = RecordedFunction()
    headers = (b"origin", b"https://a.example"), (b"access-control-request-method", b"POST")
    response = answer(function, "OPTIONS", "/upload/chunk", *headers)
    assert (response.status, dict(response.headers)["access-control-allow-origin"]) == (204, "*")
    assert function.events == []
