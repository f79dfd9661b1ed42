"""What the ASGI applications share: lifespan, request bodies and short responses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

Headers = Iterable[tuple[bytes, bytes]]


async def serve_connection(
    scope: Scope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    serve_http: Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]],
) -> None:
    """Serve a connection of an application without WebSockets: pass each HTTP request to `serve_http`."""
    if scope["type"] == "lifespan":
        await _handle_lifespan(receive, send)
    elif scope["type"] == "http":
        await serve_http(scope, receive, send)
    elif scope["type"] == "websocket":
        await _reject_websocket(send)


async def _handle_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Acknowledge startup and shutdown."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


async def read_body(receive: ASGIReceiveCallable, max_bytes: int) -> bytes:
    """Return the request body, cut after `max_bytes` + 1 bytes."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return bytes(body)
        body.extend(event["body"][: max_bytes + 1 - len(body)])
        if not event["more_body"]:
            return bytes(body)


async def _reject_websocket(send: ASGISendCallable) -> None:
    """Respond to a WebSocket handshake with 403: no application here supports it."""
    await send({"type": "websocket.close", "code": 1008, "reason": None})


async def send_empty(send: ASGISendCallable, status: int) -> None:
    """Send a response without a body."""
    await _send_response(send, status, b"", [])


async def send_json(send: ASGISendCallable, status: int, content: Mapping[str, Any]) -> None:
    """Send a JSON response of an AWS service (protocol JSON 1.1)."""
    await _send_response(send, status, json.dumps(content).encode(), [(b"content-type", b"application/x-amz-json-1.1")])


async def _send_response(send: ASGISendCallable, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    all_headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": all_headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
