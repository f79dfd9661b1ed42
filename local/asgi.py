"""What the ASGI applications here share: their life, an empty answer, and who may speak to AWS's stand-ins."""

from __future__ import annotations

from collections.abc import Iterable

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

Headers = Iterable[tuple[bytes, bytes]]

_HOSTS = (b"127.0.0.1", b"localhost", b"host.docker.internal")
"""This machine's names, the last one being what functions in containers call it."""


def acceptable(headers: Headers) -> bool:
    """Signed by a client for this machine: no page in a browser can do that, whatever name it gave the machine."""
    given = dict(headers)
    host = given.get(b"host", b"").rpartition(b":")[0]
    return b"origin" not in given and host in _HOSTS and b"authorization" in given


async def lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


async def answer_empty(send: ASGISendCallable, status: int) -> None:
    """An answer without a body."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
