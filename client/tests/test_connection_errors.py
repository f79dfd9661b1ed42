"""What is said of a connection that fails: the server, what is wrong, what to check."""

from __future__ import annotations

import errno
import re
import socket
import ssl

import pytest
import urllib3

from client.tests.raw_server import server
from ferry_client.connection_errors import describe
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, TransportError, UrllibTransport

URL = "https://files.example.com/files?X-Amz-Signature=secret"
PROXY = "http://user:secret@proxy.example.com:3128"


def failure_of(url: str, **options: str) -> TransportError:
    """Return the error of a GET."""
    with pytest.raises(TransportError) as caught:
        UrllibTransport(ClientOptions(connect_seconds=5, **options)).send(HttpRequest("GET", url))  # type: ignore[arg-type]
    return caught.value


@pytest.fixture
def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_closed_port_is_named_with_host_and_port(free_port: int) -> None:
    """A port on which nothing listens is named, with what to check."""
    error = failure_of(f"http://127.0.0.1:{free_port}/health")
    checks = "(check the host and port in the URL, and whether the service runs)"
    assert str(error) == f"127.0.0.1:{free_port} does not accept connections {checks}"
    assert not error.is_unknown_name


@pytest.mark.parametrize(("number", "is_unknown"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)])
def test_name_that_does_not_resolve_is_named(monkeypatch: pytest.MonkeyPatch, number: int, *, is_unknown: bool) -> None:
    """A mistyped name is known to be unknown; a name server out of reach says nothing about the name."""

    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(number, "no address")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = failure_of("https://files.exmaple.com/")
    assert str(error) == "the name files.exmaple.com does not resolve (check the URL and this machine's DNS)"
    assert error.is_unknown_name is is_unknown


def test_proxy_out_of_reach_is_named_without_its_password(free_port: int) -> None:
    """The proxy that is out of reach is named, not the server behind it."""
    error = failure_of("https://files.example.com/", proxy_url=f"http://user:secret@127.0.0.1:{free_port}")
    checks = "(check HTTPS_PROXY, HTTP_PROXY and NO_PROXY)"
    assert str(error) == f"the proxy: 127.0.0.1:{free_port} does not accept connections {checks}"


def test_server_without_tls_is_named() -> None:
    """A port that responds in plain text is not taken for a wrong certificate."""
    with server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        error = failure_of(url.replace("http://", "https://"))
    assert str(error) == without_tls(url.removeprefix("http://"))


def without_tls(server_name: str) -> str:
    return f"{server_name} does not speak TLS; use http://{server_name}, which is not encrypted, or another port"


def test_server_without_tls_that_ends_the_handshake_is_named() -> None:
    """A server that closes what is no HTTP is asked once, without a secret, whether it speaks HTTP."""

    def serve(connection: socket.socket) -> None:
        if connection.recv(65536).startswith(b"HEAD "):
            connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")

    with server(serve) as url:
        error = failure_of(url.replace("http://", "https://"))
    assert str(error) == without_tls(url.removeprefix("http://"))


PLAIN_RESPONSE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
"""A TLS record: the fatal alert `handshake_failure` (RFC 8446 section 6)."""


@pytest.mark.parametrize("response", [b"", ALERT, PLAIN_RESPONSE], ids=["end", "alert", "plain"])
def test_server_with_tls_is_named(response: bytes) -> None:
    """A port that speaks TLS ends plain HTTP, or rejects it in plain HTTP as nginx and Go do."""

    def serve(connection: socket.socket) -> None:
        is_plain = connection.recv(65536).startswith(b"GET ")
        connection.sendall(response if is_plain else ALERT)

    with server(serve) as url:
        error = failure_of(url)
    server_name = url.removeprefix("http://")
    assert str(error) == f"{server_name} speaks TLS; use https://{server_name}"


def test_rejection_by_a_server_without_tls_is_a_response() -> None:
    """A 400 of a server that does not speak TLS is given to the caller, who asks no second time whether it does."""
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        connection.recv(65536)
        connection.sendall(PLAIN_RESPONSE)

    with server(serve) as url:
        transport = UrllibTransport(ClientOptions(connect_seconds=5))
        assert [transport.send(HttpRequest("GET", url)).status for _ in range(2)] == [400, 400]
    assert len(connections) == 3


def test_broken_connection_names_the_server() -> None:
    """A connection that ends without a response names host and port."""
    with server(lambda connection: None) as url:
        error = failure_of(url)
    assert str(error).startswith(f"the connection to {url.removeprefix('http://')} broke (")


def certificate_error(code: int) -> Exception:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code = code
    return urllib3.exceptions.SSLError(cause)


def connect_error(number: int) -> Exception:
    error = urllib3.exceptions.NewConnectionError(None, "no")  # type: ignore[arg-type]
    error.__cause__ = OSError(number, "reason")
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            certificate_error(10),
            r"the certificate of H has expired \(check this machine's clock, which says 20.* UTC\)",
        ),
        (certificate_error(9), r"the certificate of H is not valid yet \(check this machine's clock, .*"),
        (certificate_error(62), r"the certificate of H is for other names \(check the host in the URL\)"),
        (
            certificate_error(18),
            r"the certificate of H is of an authority that this machine does not trust .*--ca-file.*",
        ),
        (urllib3.exceptions.SSLError("bad handshake"), r"the TLS handshake with H failed \(.*\)"),
        (connect_error(errno.ENETUNREACH), r"there is no route to H \(check this machine's network\)"),
        (connect_error(errno.EMFILE), r"no connection to H: reason \(check .*"),
        (urllib3.exceptions.ConnectTimeoutError(), r"H did not accept a connection in time \(check .*"),
        (TimeoutError(), r"the connection to H stalled"),
        (
            urllib3.exceptions.ProxyError("no", OSError("Tunnel connection failed: 407 Proxy Authentication Required")),
            r"the proxy P asks for a user and password \(set HTTPS_PROXY=.*",
        ),
        (
            urllib3.exceptions.ProxyError("no", OSError("Tunnel connection failed: 403 Forbidden")),
            r"the proxy P responds with 403 Forbidden \(check HTTPS_PROXY, .*",
        ),
        (urllib3.exceptions.ProxyError("no", TimeoutError()), r"the proxy P did not connect \(check HTTPS_PROXY, .*"),
    ],
)
def test_failure_is_described_with_what_to_check(error: Exception, text: str) -> None:
    """Each failure names the server or the proxy, and neither the URL's secret nor the proxy's password."""
    described = describe(error, URL, PROXY)
    pattern = re.sub(r"\bH\b", re.escape("files.example.com:443"), text)
    assert re.fullmatch(re.sub(r"\bP\b", re.escape("proxy.example.com:3128"), pattern), described), described
    assert "secret" not in described


@pytest.mark.parametrize(
    ("url", "server_name"),
    [
        ("http://[::1]:3000/x", "[::1]:3000"),
        ("http://files.example.com/x", "files.example.com:80"),
        ("https://files.example.com/x", "files.example.com:443"),
    ],
)
def test_server_is_named_by_host_and_port(url: str, server_name: str) -> None:
    """The port is named also where the URL has none; an IPv6 address has brackets."""
    assert describe(TimeoutError(), url, None) == f"the connection to {server_name} stalled"
