"""Adapt Hypercorn to this service: large bodies at little cost, and connections that reset their requests.

`install` changes Hypercorn in this process. What it changes is internal to Hypercorn and h11, with locked versions:
`tests/integration/test_local_http_server.py` shows that it still has its effect.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h2.connection
import h2.errors
import h2.events
import hypercorn.asyncio.tcp_server
import hypercorn.protocol
from h11._readers import ContentLengthReader
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Body
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.typing import Framework

RECEIVE_BYTES = 1024 * 1024
"""Bytes of one read. Hypercorn's 64 KiB make 64 turns of the event loop of a chunk of 4 MiB."""

GRACE_SECONDS = 1.0
"""A stop waits no longer than this for open connections, such as long polls."""

MAX_RESETS = 100
"""Requests that a client may reset on one HTTP/2 connection before their response.

Each request starts a function, which runs to its end: resets cost this machine more than the client (CVE-2023-44487).
"""


class DirectBodyProtocol(H11Protocol):
    """HTTP/1.1, where the bytes of a body with a length go to the application without a copy through h11's buffer."""

    async def handle(self, event: Event) -> None:
        if isinstance(event, RawData) and self.stream is not None and self._takes(event.data):
            await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
        else:
            await super().handle(event)

    def _takes(self, data: bytes) -> bool:
        """Return whether all of this is content of the current request, and count it as read. h11 sees the end."""
        connection: Any = self.connection
        reader = connection._reader
        if not isinstance(reader, ContentLengthReader) or connection._receive_buffer:
            return False
        if not 0 < len(data) < reader._remaining:
            return False
        reader._remaining -= len(data)
        return True


class LimitedResetsProtocol(H2Protocol):
    """HTTP/2, where a connection ends after `MAX_RESETS` requests that its client has reset."""

    _reset_count = 0

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.StreamReset) and event.stream_id in self.streams:
                self._reset_count += 1
            if self._reset_count > MAX_RESETS:
                self.connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                await self.send(Closed())
                return
            await super()._handle_events([event])


def install() -> None:
    """Make Hypercorn use both protocols, and read more at once."""
    hypercorn.asyncio.tcp_server.MAX_RECV = RECEIVE_BYTES
    hypercorn.protocol.H11Protocol = DirectBodyProtocol  # type: ignore[attr-defined]
    hypercorn.protocol.H2Protocol = LimitedResetsProtocol  # type: ignore[attr-defined]


async def serve_socket(application: Framework, listener: int, stopping: asyncio.Event) -> None:
    """Serve an application on the socket of a file descriptor until `stopping` is set."""
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.include_server_header = False
    config.keep_alive_timeout = 75.0
    config.graceful_timeout = GRACE_SECONDS
    # More than MAX_GATEWAY_HEAD_BYTES, so that the gateway itself rejects longer headers, as API Gateway does.
    config.h11_max_incomplete_size = 256 * 1024
    config.loglevel = "WARNING"
    config.accesslog = None
    await serve(application, config, mode="asgi", shutdown_trigger=stopping.wait)
