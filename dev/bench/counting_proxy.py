"""A proxy in front of an S3 server that counts requests. It is slow, so nothing is timed through it."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


class CountingProxy(http.server.ThreadingHTTPServer):
    """Forwards every request unchanged, including the Host header, which signatures cover."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.lock = threading.Lock()
        self.request_count = 0

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.server_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close their connection."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Counts a request, forwards it, and returns the response."""

    protocol_version = "HTTP/1.1"
    server: CountingProxy

    def _forward(self) -> None:
        with self.server.lock:
            self.server.request_count += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(self.server.target)
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 - as the base class calls them

    def log_message(self, *_: object, **__: object) -> None:
        """Log nothing."""


@contextmanager
def start_proxy(target: str) -> Iterator[CountingProxy]:
    """Run a proxy in front of `target`, the URL of an S3 server."""
    with CountingProxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
