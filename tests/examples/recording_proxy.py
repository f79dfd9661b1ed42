"""An HTTP proxy in front of the local service that records which routes of the API description were called."""

from __future__ import annotations

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit

from dev.paths import ROOT

HOST = "127.0.0.1"
METHODS = {"get", "head", "post", "put", "patch", "delete"}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}

Route = tuple[str, str]
"""A method and a path of docs/openapi.json."""


def documented_routes() -> set[Route]:
    """Return the routes of docs/openapi.json that the examples show. Of HEAD these are the downloads: elsewhere it only
    repeats the headers of GET.
    """
    document: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    routes = ((method, path) for path, item in document["paths"].items() for method in item if method in METHODS)
    return {(method.upper(), path) for method, path in routes if method != "head" or path.startswith("/download")}


class RecordingProxy(ThreadingHTTPServer):
    """Forwards to `target`; `called` holds the documented routes that got a response below 400."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__((HOST, 0), _Handler)
        self.target = urlsplit(target).netloc
        self.called: set[Route] = set()
        self.url = f"http://{HOST}:{self.server_address[1]}"
        self._routes = sorted(documented_routes(), key=lambda route: route[1].count("{"))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def with_own_urls(self, content: bytes, content_type: str) -> bytes:
        """Return a response whose absolute URLs of the service, such as `chunk_url`, lead to the proxy."""
        if not content_type.endswith("json"):
            return content
        return content.replace(f"http://{self.target}/".encode(), f"{self.url}/".encode())

    def record(self, method: str, path: str) -> None:
        """Note the first route that fits; a path without parameters goes first."""
        for route in self._routes:
            pattern = re.sub(r"\\\{\w+\\\+?\\?\}", "[^/]+", re.escape(route[1]))
            if route[0] == method and re.fullmatch(pattern, path):
                self.called.add(route)
                return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        proxy = cast(RecordingProxy, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(proxy.target, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = proxy.with_own_urls(response.read(), response.headers.get_content_type())
        finally:
            connection.close()
        if response.status < 400:
            proxy.record(self.command, urlsplit(self.path).path)
        self.send_response_only(response.status)
        has_length = False
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                is_length = name.lower() == "content-length"
                own_value = value.replace(f"http://{proxy.target}/", f"{proxy.url}/")
                self.send_header(name, str(len(content)) if is_length and content else own_value)
                has_length = has_length or is_length
        if not has_length and response.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _forward  # noqa: N815 - names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the tests' output free of requests."""
