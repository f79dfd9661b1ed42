"""What the ASGI applications here share: their life, an empty answer, and who may speak to AWS's stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

Headers = Iterable[tuple[bytes, bytes]]

_ALLOWED_HOSTS = (b"127.0.0.1", b"localhost", b"host.docker.internal")
"""This machine's names, the last one being what functions in containers call it."""


def is_trusted_request(headers: Headers) -> bool:
    """Signed by a client for this machine: no page in a browser can do that, whatever name it gave the machine."""
    given = dict(headers)
    host = given.get(b"host", b"").rpartition(b":")[0]
    return b"origin" not in given and host in _ALLOWED_HOSTS and b"authorization" in given


async def handle_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


async def read_body(receive: ASGIReceiveCallable, max_bytes: int) -> bytes:
    """The body; of a longer one than `most` bytes as much as shows that."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return bytes(body)
        body.extend(event["body"][: max_bytes + 1 - len(body)])
        if not event["more_body"]:
            return bytes(body)


async def send_empty(send: ASGISendCallable, status: int) -> None:
    """An answer without a body."""
    await _send_response(send, status, b"", [])


async def send_json(send: ASGISendCallable, status: int, content: Mapping[str, Any]) -> None:
    """An answer of a service that speaks AWS's JSON 1.1."""
    await _send_response(send, status, json.dumps(content).encode(), [(b"content-type", b"application/x-amz-json-1.1")])


async def _send_response(send: ASGISendCallable, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    framed = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": framed, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
