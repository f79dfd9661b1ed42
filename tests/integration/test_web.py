"""Asking somebody for a document: a server on loopback that answers as an enemy might."""

from __future__ import annotations

import http.server
import threading

import pytest

from ferry.web import NotFetched, check_url, fetch
from tests.support.issuer import Serve, answer, served

MOST = 1_000
SECONDS = 20.0
"""For answers that come at once: a loaded machine may take its time."""
SHORT = 0.3


def test_a_document_comes_as_it_is() -> None:
    """The body of a 200, up to the last byte that is allowed, from the path and query that were given."""
    asked: list[str] = []

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        answer(handler, b"x" * MOST)

    with served(serve) as url:
        assert fetch(f"{url}?version=1", seconds=SECONDS, most=MOST) == b"x" * MOST
    assert asked == ["/keys?version=1"]


def redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"", 302, {"Location": f"http://{handler.headers['Host']}/elsewhere"})


def huge(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"x" * (MOST + 1))


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        return


def many_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"", headers={f"X-{number}": "x" for number in range(200)})


def no_http(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00" * 100)


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (redirect, "answered 302"),
        (lambda handler: answer(handler, b"", 404), "answered 404"),
        (lambda handler: answer(handler, b"", 500), "answered 500"),
        (huge, "more than"),
        (endless, "more than"),
        (many_headers, "HTTPException"),
        (no_http, "BadStatusLine"),
        (lambda handler: None, "RemoteDisconnected"),
    ],
)
def test_what_is_not_the_document_is_not_taken(serve: Serve, said: str) -> None:
    """No redirect is followed; nothing larger is read to its end."""
    with served(serve) as url, pytest.raises(NotFetched, match=said):
        fetch(url, seconds=SECONDS, most=MOST)


@pytest.mark.parametrize("inside", ["silence", "headers", "body"])
def test_a_slow_answer_ends_with_the_time(inside: str) -> None:
    """Though a byte comes again and again: the time is one for all of it. The connection is given up with it."""
    over = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        head = b"" if inside == "silence" else b"HTTP/1.1 200 OK\r\n"
        handler.wfile.write(head + (b"\r\n" if inside == "body" else b""))
        try:
            while not over.wait(0.05):
                if inside != "silence":
                    handler.wfile.write(b"x" if inside == "body" else b"X-Y: z\r\n")
        except OSError:
            over.set()

    with served(drip) as url:
        with pytest.raises(NotFetched, match=r"within|TimeoutError|HTTPException"):
            fetch(url, seconds=SHORT, most=10**9)
        if inside != "silence":
            assert over.wait(SECONDS), "the other side still has somebody to talk to"
        over.set()


def test_nobody_there() -> None:
    """A refused connection is told by its kind."""
    with served(huge) as url:
        pass
    with pytest.raises(NotFetched, match="ConnectionRefused"):
        fetch(url, seconds=SECONDS, most=MOST)


@pytest.mark.parametrize(
    ("url", "local", "fine"),
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
def test_only_https_is_asked(url: str, local: bool, fine: bool) -> None:
    """Plain http on this machine alone, and where stand-ins are configured."""
    if fine:
        check_url(url, plain_on_loopback=local)
        return
    with pytest.raises(ValueError, match="https"):
        check_url(url, plain_on_loopback=local)
