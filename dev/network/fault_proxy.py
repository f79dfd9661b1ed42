"""A forward HTTP proxy with faults: rejected requests, lost responses, cut and stalled transfers.

A client uses it by `http_proxy`, so all of its requests pass, those to S3 included, with URL and Host unchanged.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_BLOCK_BYTES = 64 * 1024
_SEND_BUFFER_BYTES = 64 * 1024
_HOP_BY_HOP = {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "transfer-encoding"}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request."""

    status: int | None = None
    """Respond with this status, and forward nothing; None: forward."""
    headers: Mapping[str, str] | None = None
    """Header fields of that response."""
    body: bytes = b""
    """Content of that response."""
    lose_response: bool = False
    """Forward the request, then reset the connection without a response."""
    cut_request_after: int | None = None
    """Reset the connection after so many bytes of the request's content; the server gets no more."""
    cut_response_after: int | None = None
    """Reset the connection after so many bytes of the response's content."""
    stall_seconds: float = 0.0
    """Be silent for so long before the request is forwarded."""


Decide = Callable[[str, str], Fault | None]
"""Returns the fault of a request by its method and URL; None for none. Called from any thread."""


def _no_fault(method: str, url: str) -> Fault | None:
    del method, url
    return None


class _CutError(Exception):
    """The connection is to be reset."""


class FaultProxy:
    """A running proxy: a context manager. `port` is on 127.0.0.1."""

    def __init__(self, decide: Decide | None = None) -> None:
        self.decide: Decide = decide or _no_fault
        """What happens to each request. It may be replaced while the proxy runs."""
        self.hosts: dict[str, str] = {}
        """`HOST:PORT` to connect to, by the host of a URL; others are connected to as they are."""
        self.requests: list[tuple[str, str]] = []
        """Method and URL of each request."""
        self.bytes_up = 0
        """Bytes of content that were forwarded to servers."""
        self.bytes_down = 0
        """Bytes of content that were forwarded to clients."""
        self.interrupted_bytes = 0
        """Of both, those of requests that ended early without a fault: the client or the server was gone."""
        self._server = _Server(("127.0.0.1", 0), _Handler, self)
        self.port = self._server.server_address[1]
        """The port."""

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True, name="fault-proxy").start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The URL for `http_proxy`."""
        return f"http://127.0.0.1:{self.port}"


class _Server(ThreadingHTTPServer):
    """Accepts the connections of the clients."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], proxy: FaultProxy) -> None:
        super().__init__(address, handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: this proxy breaks connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    """Forwards the requests of one connection, and applies the faults that the plan has for them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _moved_bytes = 0
    """Bytes of content of the request and its response so far."""

    def setup(self) -> None:
        """Prepare a connection, with a buffer so small that a client's silence is noticed."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        super().setup()

    def log_message(self, *_: object, **__: object) -> None:
        """Log nothing: presigned URLs are secrets."""

    def _handle(self) -> None:
        proxy = self.server.proxy
        proxy.requests.append((self.command, self.path))
        self._moved_bytes = 0
        fault = proxy.decide(self.command, self.path) or Fault()
        try:
            self._serve(fault)
        except (_CutError, OSError, http.client.HTTPException) as error:
            self.close_connection = True
            if not isinstance(error, _CutError):
                proxy.interrupted_bytes += self._moved_bytes
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Return the handler of every method, under the name by which the base class looks for it."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._handle

    def _serve(self, fault: Fault) -> None:
        left = int(self.headers.get("Content-Length", "0"))
        time.sleep(fault.stall_seconds)
        if fault.status is not None:
            self.rfile.read(left)
            self._respond(fault.status, dict(fault.headers or {}), fault.body)
            return
        parts = urlsplit(self.path)
        upstream = http.client.HTTPConnection(self.server.proxy.hosts.get(parts.netloc, parts.netloc), timeout=60)
        try:
            self._forward(upstream, fault, parts.path + (f"?{parts.query}" if parts.query else ""), left)
            self._return(upstream.getresponse(), fault)
        finally:
            upstream.close()

    def _forward(self, upstream: http.client.HTTPConnection, fault: Fault, target: str, left: int) -> None:
        upstream.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.endheaders()
        allowed = left if fault.cut_request_after is None else fault.cut_request_after
        while left:
            block = self.rfile.read(min(_BLOCK_BYTES, left, allowed))
            if not block:
                raise _CutError if allowed == 0 else ConnectionResetError
            upstream.send(block)
            self.server.proxy.bytes_up += len(block)
            self._moved_bytes += len(block)
            left, allowed = left - len(block), allowed - len(block)

    def _return(self, response: http.client.HTTPResponse, fault: Fault) -> None:
        if fault.lose_response:
            response.read()
            raise _CutError
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        allowed = fault.cut_response_after
        while block := response.read1(_BLOCK_BYTES if allowed is None else min(_BLOCK_BYTES, allowed)):
            self.wfile.write(block)
            self.server.proxy.bytes_down += len(block)
            self._moved_bytes += len(block)
            if allowed is not None:
                allowed -= len(block)
        if allowed == 0:
            raise _CutError

    def _respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
