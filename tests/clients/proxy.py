"""An HTTP proxy between clients and everything else: it writes down what passes, and breaks downloads off."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import parse_headers
from typing import BinaryIO, cast
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Seen:
    """A request as it came by; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]


class Proxy:
    """Listens from `__enter__` to `__exit__`. Plain HTTP; one request for each connection.

    Args:
        breakable: the origin (`http://host:port`) whose answers may be broken off.
    """

    def __init__(self, breakable: str) -> None:
        self.breakable = breakable
        self.seen: list[Seen] = []
        self._left: int | None = None
        self._broken: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def to(self, origin: str) -> list[Seen]:
        """What was asked of that origin."""
        return [request for request in self.seen if request.url.startswith(f"{origin}/")]

    def break_after(self, count: int) -> None:
        """Let that many bytes more come from the breakable origin, over all connections, then none, until `mend`."""
        self._left = count

    def is_broken(self) -> bool:
        return self._left == 0

    def mend(self) -> None:
        self._left = None

    def take(self, wanted: int) -> int:
        """How many of those bytes may pass."""
        with self._lock:
            if self._left is None:
                return wanted
            allowed = min(wanted, self._left)
            self._left -= allowed
            return allowed


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: Proxy


class _Handler(socketserver.StreamRequestHandler):
    """One request, and its answer until either side closes."""

    def handle(self) -> None:
        # A side that goes away in the middle is what this is for.
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._pass_on()

    def _pass_on(self) -> None:
        reader = cast(BinaryIO, self.rfile)
        method, _, rest = reader.readline().decode("latin-1").partition(" ")
        url = rest.rpartition(" ")[0]
        if not url.startswith("http://"):
            return
        headers = parse_headers(reader)
        proxy = cast(_Server, self.server).proxy
        proxy.seen.append(Seen(method, url, {name.lower(): value for name, value in headers.items()}))
        split = urlsplit(url)
        for name in ("Proxy-Connection", "Connection", "Keep-Alive"):
            del headers[name]
        headers["Connection"] = "close"
        lines = [f"{method} {url.partition(split.netloc)[2] or '/'} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        body = reader.read(int(headers.get("Content-Length", 0)))
        with socket.create_connection((split.hostname, split.port or 80), 60) as upstream:
            upstream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            self._answer(upstream, breakable=url.startswith(f"{proxy.breakable}/"))

    def _answer(self, upstream: socket.socket, *, breakable: bool) -> None:
        proxy = cast(_Server, self.server).proxy
        while piece := upstream.recv(_PIECE):
            allowed = proxy.take(len(piece)) if breakable else len(piece)
            self.connection.sendall(piece[:allowed])
            if allowed < len(piece):
                return
