"""The local API Gateway, as an ASGI application: limits, CORS, routes, one invocation for each request."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from local import answers, cors, events, limits, reader
from local.answers import Answer
from local.asgi import lifespan
from local.pool import Crashed, FunctionFailed, Throttled, TimedOut
from local.routing import Route, match
from local.stack import CorsRules

Invoke = Callable[[str, bytes, float], Awaitable[bytes]]
"""(function, event, seconds) → what it returned. Raises `Throttled`, `TimedOut`, `Crashed`, `FunctionFailed`."""

# A body that is refused is read to its end up to here: most clients listen only when they have sent everything.
_DRAIN = 64 * 1024 * 1024


class TooLarge(Exception):
    """A request body over the gateway's limit."""


class Gateway:
    """`detours` are addresses (origins) by those that redirects must not lead to where `reader` says so."""

    def __init__(
        self, routes: Sequence[Route], rules: CorsRules | None, invoke: Invoke, detours: Mapping[str, str] | None = None
    ) -> None:
        self._routes = routes
        self._cors = rules
        self._invoke = invoke
        self._detours = detours or {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": None})

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request_id = events.new_request_id()
        try:
            body: bytes | None = await _body(receive)
        except TooLarge:
            body = None
        client = scope.get("client")
        request = events.Request(
            method=scope["method"],
            raw_path=scope["raw_path"],
            raw_query=scope["query_string"],
            headers=list(scope["headers"]),
            body=body or b"",
            client=client[0] if client else "127.0.0.1",
            protocol=f"HTTP/{scope['http_version']}",
        )
        answer = await self.answer(request, request_id, too_large=body is None)
        if answer.status == 307 and reader.is_needed(request.headers):
            for here, there in self._detours.items():
                answer = reader.moved(answer, here, there)
        answer = cors.decorate(self._cors, request, answer) if request.method != "OPTIONS" else answer
        await _send(send, request.method, answer, request_id)

    async def answer(self, request: events.Request, request_id: str, *, too_large: bool = False) -> Answer:
        """The answer to a request, but for the CORS headers."""
        if request.head_size() > limits.GATEWAY_HEAD:
            return answers.message(431, "Request Header Fields Too Large")
        if too_large:
            return answers.message(413, "Request Entity Too Large")
        preflight = cors.preflight(self._cors, request)
        if preflight is not None:
            return preflight
        found = match(self._routes, request.method, request.path)
        if found is None:
            return answers.message(404, "Not Found")
        event = json.dumps(events.shape(request, found, request_id=request_id)).encode()
        if len(event) > limits.INVOKE_REQUEST:
            return answers.message(413, "Request Entity Too Large")
        return await self._call(found.route.function, event)

    async def _call(self, function: str, event: bytes) -> Answer:
        # As on AWS, a function runs to its end even when the client has gone.
        call = asyncio.ensure_future(self._invoke(function, event, limits.GATEWAY_SECONDS))
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return answers.decode(await asyncio.shield(call))
        except Throttled:
            return answers.message(429, "Too Many Requests")
        except TimedOut:
            return answers.message(504, "Endpoint request timed out")
        except Crashed:
            return answers.message(502, "Bad Gateway")
        except (FunctionFailed, answers.Malformed) as error:
            print(f"{function}: {error}", file=sys.stderr, flush=True)
            return answers.message(500, "Internal Server Error")


async def _body(receive: ASGIReceiveCallable) -> bytes:
    """Raises `TooLarge`."""
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            break
        size += len(event["body"])
        if size <= limits.GATEWAY_BODY:
            pieces.append(event["body"])
        elif size > _DRAIN:
            raise TooLarge
        if not event["more_body"]:
            break
    if size > limits.GATEWAY_BODY:
        raise TooLarge
    return b"".join(pieces)


async def _send(send: ASGISendCallable, method: str, answer: Answer, request_id: str) -> None:
    """Send it with the right framing: no body for HEAD, 204 and 304, where HEAD keeps the function's Content-Length."""
    bodiless = method == "HEAD" or answer.status in (204, 304)
    headers = [(name, value) for name, value in answer.headers if name != "content-length"]
    if method == "HEAD":
        given = next((value for name, value in answer.headers if name == "content-length"), None)
        headers.append(("content-length", given if given is not None else str(len(answer.body))))
    elif not bodiless:
        headers.append(("content-length", str(len(answer.body))))
    headers.append(("apigw-requestid", request_id))
    encoded = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded, "trailers": False})
    await send({"type": "http.response.body", "body": b"" if bodiless else answer.body, "more_body": False})
