"""An HTTP proxy that records requests and breaks responses of one origin."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import parse_headers
from typing import BinaryIO, cast
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_READ_SIZE_BYTES = 256 * 1024


@dataclass(frozen=True)
class ProxiedRequest:
    """A request as the client sent it."""

    method: str
    url: str
    headers: Mapping[str, str]
    """By name in lower case."""


class BreakableProxy:
    """A proxy for plain HTTP with one request a connection. It listens from `__enter__` to `__exit__`.

    Args:
        breakable_origin: the origin (`http://host:port`) whose responses `break_after` breaks.
    """

    def __init__(self, breakable_origin: str) -> None:
        self.breakable_origin = breakable_origin
        self.requests: list[ProxiedRequest] = []
        self._bytes_left: int | None = None
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> BreakableProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def requests_to(self, origin: str) -> list[ProxiedRequest]:
        """Return the recorded requests to an origin."""
        return [request for request in self.requests if request.url.startswith(f"{origin}/")]

    def break_after(self, byte_count: int) -> None:
        """Relay `byte_count` more bytes of the breakable origin, over all connections, then break until `restore`."""
        self._bytes_left = byte_count

    def is_broken(self) -> bool:
        """Return whether the byte count of `break_after` is used up."""
        return self._bytes_left == 0

    def restore(self) -> None:
        """Relay without a limit again."""
        self._bytes_left = None

    def allow_bytes(self, requested: int) -> int:
        """Return how many of `requested` bytes to relay, and subtract them from the limit."""
        with self._lock:
            if self._bytes_left is None:
                return requested
            allowed = min(requested, self._bytes_left)
            self._bytes_left -= allowed
            return allowed


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: BreakableProxy


class _Handler(socketserver.StreamRequestHandler):
    """Forwards one request and relays its response until either side closes."""

    def handle(self) -> None:
        # A broken connection is what the proxy is for.
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._forward()

    def _forward(self) -> None:
        reader = cast(BinaryIO, self.rfile)
        method, _, rest = reader.readline().decode("latin-1").partition(" ")
        url = rest.rpartition(" ")[0]
        if not url.startswith("http://"):
            return
        headers = parse_headers(reader)
        proxy = cast(_Server, self.server).proxy
        proxy.requests.append(ProxiedRequest(method, url, {name.lower(): value for name, value in headers.items()}))
        split = urlsplit(url)
        for name in ("Proxy-Connection", "Connection", "Keep-Alive"):
            del headers[name]
        headers["Connection"] = "close"
        lines = [f"{method} {url.partition(split.netloc)[2] or '/'} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        body = reader.read(int(headers.get("Content-Length", 0)))
        with socket.create_connection((split.hostname, split.port or 80), 60) as upstream:
            upstream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            self._relay_response(upstream, breakable=url.startswith(f"{proxy.breakable_origin}/"))

    def _relay_response(self, upstream: socket.socket, *, breakable: bool) -> None:
        proxy = cast(_Server, self.server).proxy
        while piece := upstream.recv(_READ_SIZE_BYTES):
            allowed = proxy.allow_bytes(len(piece)) if breakable else len(piece)
            self.connection.sendall(piece[:allowed])
            if allowed < len(piece):
                return
