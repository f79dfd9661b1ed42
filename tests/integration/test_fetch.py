"""Fetching a document from a server that misbehaves."""

from __future__ import annotations

import http.server
import threading

import pytest

from ferry.auth.fetch import FetchError, check_url, fetch
from tests.support.issuer import GetHandler, http_server, send_response

MAX_BYTES = 1_000
TIMEOUT_SECONDS = 20.0
"""For responses that arrive at once; long enough for a loaded machine."""
SHORT_TIMEOUT_SECONDS = 0.3
"""For responses that never end."""


def test_fetch_returns_body() -> None:
    """A body of the maximum size is returned, from the URL's path and query."""
    targets: list[str] = []

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        targets.append(handler.path)
        send_response(handler, b"x" * MAX_BYTES)

    with http_server(serve) as url:
        assert fetch(f"{url}?version=1", timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES) == b"x" * MAX_BYTES
    assert targets == ["/keys?version=1"]


def answer_redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"", 302, {"Location": f"http://{handler.headers['Host']}/elsewhere"})


def answer_too_large(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"x" * (MAX_BYTES + 1))


def answer_endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        return


def answer_many_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"", headers={f"X-{number}": "x" for number in range(200)})


def answer_no_http(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00" * 100)


@pytest.mark.parametrize(
    ("serve", "expected_error"),
    [
        (answer_redirect, "status 302"),
        (lambda handler: send_response(handler, b"", 404), "status 404"),
        (lambda handler: send_response(handler, b"", 500), "status 500"),
        (answer_too_large, "more than"),
        (answer_endless, "more than"),
        (answer_many_headers, "HTTPException"),
        (answer_no_http, "BadStatusLine"),
        (lambda handler: None, "RemoteDisconnected"),
    ],
)
def test_fetch_rejects_other_responses(serve: GetHandler, expected_error: str) -> None:
    """A redirect, another status, a larger body or a broken response is an error."""
    with http_server(serve) as url, pytest.raises(FetchError, match=expected_error):
        fetch(url, timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES)


@pytest.mark.parametrize("stalled_in", ["silence", "headers", "body"])
def test_fetch_times_out_on_slow_response(stalled_in: str) -> None:
    """The timeout bounds the whole response, even if bytes keep arriving; then the connection is closed."""
    closed = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        head = b"" if stalled_in == "silence" else b"HTTP/1.1 200 OK\r\n"
        handler.wfile.write(head + (b"\r\n" if stalled_in == "body" else b""))
        try:
            while not closed.wait(0.05):
                if stalled_in != "silence":
                    handler.wfile.write(b"x" if stalled_in == "body" else b"X-Y: z\r\n")
        except OSError:
            closed.set()

    with http_server(drip) as url:
        with pytest.raises(FetchError, match=r"within|TimeoutError|HTTPException"):
            fetch(url, timeout_seconds=SHORT_TIMEOUT_SECONDS, max_bytes=10**9)
        if stalled_in != "silence":
            assert closed.wait(TIMEOUT_SECONDS), "the connection is still open"
        closed.set()


def test_fetch_without_server_raises() -> None:
    """A connection that nothing accepts is an error that names its kind."""
    with http_server(answer_too_large) as url:
        pass
    with pytest.raises(FetchError, match="ConnectionRefused"):
        fetch(url, timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES)


@pytest.mark.parametrize(
    ("url", "allow_http", "accepted"),
    [
        ("https://issuer.example/keys", False, True),
        ("https://issuer.example:8443/keys?v=1", False, True),
        ("http://issuer.example/keys", True, False),
        ("http://127.0.0.1:80/keys", False, False),
        ("http://127.0.0.1:80/keys", True, True),
        ("http://127.0.0.1.example/keys", True, False),
        ("http://user@127.0.0.1/keys", True, False),
        ("https://user:secret@issuer.example/keys", False, False),
        ("https://issuer.example/keys#x", False, False),
        ("https:///keys", False, False),
        ("file:///etc/passwd", True, False),
        ("ftp://127.0.0.1/keys", True, False),
        ("", True, False),
    ],
)
def test_check_url_requires_https(url: str, allow_http: bool, accepted: bool) -> None:
    """Only https is accepted, and http on loopback if emulators are configured."""
    if accepted:
        check_url(url, allow_http_on_loopback=allow_http)
        return
    with pytest.raises(ValueError, match="https"):
        check_url(url, allow_http_on_loopback=allow_http)
