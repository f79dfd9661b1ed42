"""The HTTP transport, against sockets of this process."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from client.tests.raw_server import read_head, server
from ferry_client import connections
from ferry_client.errors import CancelledError, UsageError
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, HttpResponse, TransportError, UrllibTransport


def read_all(response: HttpResponse, counts: list[int]) -> None:
    """Read a body into memory, and keep how many bytes came each time."""
    memory = memoryview(bytearray(1_000_000))
    while count := response.read_into(memory):
        counts.append(count)


def test_stream_yields_what_came_before_a_break() -> None:
    """The bytes before a cut reach the caller, so that the next request continues after them."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000000\r\n\r\n" + bytes(300_000))
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    received = 0
    with server(serve) as url:
        response = UrllibTransport(ClientOptions()).send(HttpRequest("GET", url, stream=True))
        with suppress(TransportError):
            for block in response.iter_body():
                received += len(block)
            pytest.fail("the response was cut")
    assert received == 300_000


def test_bytes_into_memory_come_before_a_break() -> None:
    """The bytes before a cut reach the caller's memory, and the cut is an error."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000000\r\n\r\n" + bytes(300_000))

    counts: list[int] = []
    with server(serve) as url:
        response = UrllibTransport(ClientOptions()).send(HttpRequest("GET", url, stream=True))
        with pytest.raises(TransportError, match="broke"):
            read_all(response, counts)
    assert sum(counts) == 300_000


@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
def test_bytes_into_memory_leave_the_connection_to_the_next_request(framing: str) -> None:
    """A body that was read to its end, with or without a length, leaves its connection open; one given up does not."""
    connections: list[socket.socket] = []
    body = bytes(200_000) if "Length" in framing else b"30d40\r\n" + bytes(200_000) + b"\r\n0\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        while True:
            read_head(connection)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + body)

    transport = UrllibTransport(ClientOptions())
    with server(serve) as url:
        for _ in range(2):
            response, counts = transport.send(HttpRequest("GET", url, stream=True)), list[int]()
            read_all(response, counts)
            response.close()
            assert (sum(counts), len(connections)) == (200_000, 1)
        given_up = transport.send(HttpRequest("GET", url, stream=True))
        assert given_up.read_into(memoryview(bytearray(10))) == 10
        given_up.close()
        transport.send(HttpRequest("GET", url, stream=True)).close()
    assert len(connections) == 2


def test_stream_that_trickles_is_cut() -> None:
    """A connection on which a few bytes move now and then counts as stalled."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)

    with server(serve) as url:
        transport = UrllibTransport(ClientOptions(stall_seconds=0.5))
        response = transport.send(HttpRequest("GET", url, stream=True))
        with pytest.raises(TransportError, match="stalled"):
            list(response.iter_body())
        response = transport.send(HttpRequest("GET", url, stream=True))
        with pytest.raises(TransportError, match="stalled"):
            read_all(response, [])


def test_response_that_never_comes_is_cut() -> None:
    """A server that takes the request and is silent counts as stalled."""
    with server(lambda connection: time.sleep(30)) as url, pytest.raises(TransportError, match="stalled"):
        UrllibTransport(ClientOptions(stall_seconds=0.3)).send(HttpRequest("GET", url))


def test_proxy_gets_its_password_and_no_other_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password of a proxy's URL are sent to it; hosts in NO_PROXY are reached without it."""
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(serve) as url:
        monkeypatch.setenv("http_proxy", url.replace("http://", "http://user:p%40ss@"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transport = UrllibTransport(ClientOptions())
        transport.send(HttpRequest("GET", "http://files.test/health"))
        transport.send(HttpRequest("GET", f"{url}/health"))
    assert b"proxy-authorization: basic dxnlcjpwqhnz" in heads[0].lower()
    assert heads[0].startswith(b"GET http://files.test/health")
    assert b"proxy-authorization" not in heads[1].lower()


def test_proxy_of_a_server_is_looked_up_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in a row cost one look at the environment for each server; a changed environment holds soon."""
    moment, looks = [0.0], []

    def look(url: str) -> str | None:
        looks.append(url)
        return f"http://proxy-{len(looks)}.test"

    monkeypatch.setattr(connections, "environment_proxy", look)
    proxies = connections.EnvironmentProxies(now=lambda: moment[0])
    paths = [
        "https://a.test/1",
        "https://a.test/2?x=https://b.test/",
        "https://a.test",
        "http://a.test/",
        "https://a.test:8/",
    ]
    assert [proxies.proxy_of(url) for url in paths] == [f"http://proxy-{number}.test" for number in (1, 1, 1, 2, 3)]
    moment[0] = 11.0
    assert proxies.proxy_of("https://a.test/3") == "http://proxy-4.test"


def test_each_scheme_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of one scheme is not used for another."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:2")
    monkeypatch.delenv("no_proxy", raising=False)
    transport = UrllibTransport(ClientOptions())
    first, second = transport.pool("http://a.test/"), transport.pool("https://a.test/")
    assert first is not second
    assert first is transport.pool("http://b.test/")


def test_closed_transport_ends_a_running_request() -> None:
    """Closing ends a transfer at its next block."""
    with server(lambda connection: connection.sendall(read_head(connection))) as url:
        transport = UrllibTransport(ClientOptions())
        transport.close()
        with pytest.raises((CancelledError, TransportError)):
            transport.send(HttpRequest("GET", url))


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "ftp"])
def test_proxy_that_is_none_of_http_is_a_usage_error(scheme: str) -> None:
    """A SOCKS proxy is named at once, without its password; no request is repeated for 15 minutes."""
    options = ClientOptions(proxy_url=f"{scheme}://user:secret@127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        UrllibTransport(options).send(HttpRequest("GET", "http://files.test/health"))
    assert str(caught.value) == (
        f"Proxies of {scheme}:// are not supported. Set HTTPS_PROXY to an HTTP proxy, or add the host to NO_PROXY."
    )


def test_proxy_without_a_scheme_is_one_of_http() -> None:
    """`proxy:3128` means `http://proxy:3128`, as other clients take it."""

    def serve(connection: socket.socket) -> None:
        assert read_head(connection).startswith(b"GET http://files.test/health")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(serve) as url:
        transport = UrllibTransport(ClientOptions(proxy_url=url.removeprefix("http://")))
        assert transport.send(HttpRequest("GET", "http://files.test/health")).status == 200


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), ("no PEM", "it has no certificate in PEM")]
)
def test_unusable_certificate_authorities_are_a_usage_error(tmp_path: Path, content: str | None, reason: str) -> None:
    """A file that is missing, or no PEM, is named at once."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as caught:
        UrllibTransport(ClientOptions(ca_file=str(path))).send(HttpRequest("GET", "https://127.0.0.1:1/"))
    assert str(caught.value) == f"{path} cannot be read as certificate authorities: {reason}."
