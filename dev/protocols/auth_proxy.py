"""A proxy on loopback that adds an Authorization header: the public suites send none."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TIMEOUT_SECONDS = 60


class _Handler(BaseHTTPRequestHandler):
    """Forwards one request after another of a connection."""

    protocol_version = "HTTP/1.1"
    target_port = 0
    token: Callable[[], str] = staticmethod(lambda: "")

    def forward(self) -> None:
        """Send the request on, with the token, and the response back."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in (*_HOP_BY_HOP, "authorization", "content-length"):
                    connection.putheader(name, value)
            connection.putheader("Host", f"127.0.0.1:{self.target_port}")
            connection.putheader("Authorization", f"Bearer {self.token()}")
            if body or "content-length" in self.headers:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        self._respond(response, content)

    def _respond(self, response: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if self.headers.get("connection", "").lower() == "close":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running_proxy(target_port: int, token: Callable[[], str], port: int = 0) -> Iterator[int]:
    """Forward requests to a port on this machine while the context lasts. Yield the proxy's own port.

    Args:
        target_port: where the service listens, on 127.0.0.1.
        token: returns the access token to send.
        port: where the proxy listens, on 127.0.0.1; 0: any free port.
    """
    methods = {f"do_{method}": _Handler.forward for method in _METHODS}
    handler = type("Handler", (_Handler,), {**methods, "target_port": target_port, "token": staticmethod(token)})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
