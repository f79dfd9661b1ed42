"""The proxy in front of SeaweedFS: which requests pass, and that bodies and responses pass as they are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dev.local import tcp_ports
from dev.local.s3_proxy import ClientConnection, RejectedRequestError, read_head
from tests.support.waiting import wait_until

SIGNED = "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00ff"
HOST = "Host: 127.0.0.1:5400"
AUTHORIZATION = "Authorization: AWS4-HMAC-SHA256 Credential=a"


def head(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("given", "body_bytes", "chunked"),
    [
        (head(f"GET {SIGNED} HTTP/1.1", HOST), 0, False),
        (head("GET /b/k?Signature=x HTTP/1.1", "host:localhost"), 0, False),
        (head("PUT /b/k HTTP/1.1", "Host: host.docker.internal:1", AUTHORIZATION, "Content-Length: 12"), 12, False),
        (head("PUT /b/k HTTP/1.1", HOST, AUTHORIZATION, "Transfer-Encoding: chunked"), 0, True),
        (head("OPTIONS /b HTTP/1.1", HOST, "Origin: null", "Access-Control-Request-Method: PUT"), 0, False),
    ],
)
def test_signed_request_and_preflight_pass(given: bytes, body_bytes: int, *, chunked: bool) -> None:
    """A request with a signature passes, and a preflight, for each name of this machine."""
    request = read_head(given)
    assert (request.body_bytes, request.chunked) == (body_bytes, chunked)


@pytest.mark.parametrize(
    "given",
    [
        head("GET / HTTP/1.1", HOST),
        head("GET /healthz HTTP/1.1", HOST),
        head("GET /b/k HTTP/1.1", HOST, "Authorization: Bearer x"),
        head("OPTIONS /b HTTP/1.1", HOST),
        head(f"GET {SIGNED} HTTP/1.1", "Host: page.example:5400"),
        head("PUT /b/k HTTP/1.1", "Host: page.example", AUTHORIZATION),
        head(f"GET {SIGNED} HTTP/1.1"),
        head(f"GET {SIGNED} HTTP/1.1", HOST, "Host: page.example"),
        head(f"GET http://page.example{SIGNED} HTTP/1.1", HOST),
        head(f"GET {SIGNED} HTTP/2", HOST),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 1", "Transfer-Encoding: chunked"),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 1", "Content-Length: 2"),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: +1"),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Transfer-Encoding: gzip, chunked"),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Transfer-Encoding : chunked"),
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "X: a", " continued"),
        head(f"GET {SIGNED} HTTP/1.1", "X: a\nHost: page.example", HOST),
    ],
)
def test_other_request_is_rejected(given: bytes) -> None:
    """Without a signature, for another host, or with a head that two servers could read differently, it is rejected."""
    with pytest.raises(RejectedRequestError):
        read_head(given)


class RecordingServer:
    """A server that counts the body bytes of each request, answers with the count, and keeps what came in."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0
        self.ended = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.received += data
                while self.received.count(b"!") > 0:
                    self.received = self.received.replace(b"!", b"", 1)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                if self.received.endswith(b"?"):
                    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    break
            await writer.drain()
        self.ended = True
        writer.close()


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run_with_proxy(folder: Path, scenario: Callable[[RecordingServer, Client], Awaitable[None]]) -> None:
    """Run a scenario with a connection to the proxy in front of a server."""

    async def run() -> None:
        recorder = RecordingServer()
        path = str(folder / "s")
        server = await asyncio.start_unix_server(recorder, path)
        proxy_end, client_end = socket.socketpair()
        proxy_end.setblocking(False)
        serving = asyncio.create_task(ClientConnection(proxy_end, path).serve())
        reader, writer = await asyncio.open_connection(sock=client_end)
        await asyncio.wait_for(scenario(recorder, (reader, writer)), 60)
        writer.close()
        await asyncio.wait_for(serving, 60)
        server.close()

    asyncio.run(run())


def test_bodies_and_responses_are_passed_on(tmp_path: Path) -> None:
    """Several requests of one connection arrive as they were sent, with sized and chunked bodies."""
    large = b"x" * 1_000_000
    sized = head(f"PUT {SIGNED} HTTP/1.1", HOST, f"Content-Length: {len(large) + 1}") + b"\r\n\r\n" + large + b"!"
    chunked = (
        head(f"PUT {SIGNED} HTTP/1.1", HOST, "Transfer-Encoding: chunked")
        + b"\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: 1\r\n\r\n"
    )

    async def scenario(recorder: RecordingServer, client: Client) -> None:
        reader, writer = client
        for request in (sized, chunked, sized + chunked):
            writer.write(request)
        for _ in range(4):
            assert await reader.readuntil(b"ok") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        await wait_until(lambda: recorder.received == (sized + chunked).replace(b"!", b"") * 2)
        assert recorder.connections == 1

    run_with_proxy(tmp_path, scenario)


def test_later_request_for_another_host_is_rejected(tmp_path: Path) -> None:
    """Each request of a connection is checked. The response to the one before it comes first."""
    first = head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 1") + b"\r\n\r\n!"
    second = head(f"PUT {SIGNED} HTTP/1.1", "Host: page.example", "Content-Length: 1") + b"\r\n\r\n!"

    async def scenario(recorder: RecordingServer, client: Client) -> None:
        reader, writer = client
        writer.write(first + second)
        writer.write_eof()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 403 Forbidden\r\n")
        assert recorder.received == first.replace(b"!", b"")

    run_with_proxy(tmp_path, scenario)


def test_rejected_request_reaches_no_server(tmp_path: Path) -> None:
    """A rejected request opens no connection to the server, and its body is read so that the response arrives."""

    async def scenario(recorder: RecordingServer, client: Client) -> None:
        reader, writer = client
        writer.write(head("PUT / HTTP/1.1", HOST, "Content-Length: 1000000") + b"\r\n\r\n" + b"x" * 1_000_000)
        assert (await reader.readline()) == b"HTTP/1.1 403 Forbidden\r\n"
        assert recorder.connections == 0

    run_with_proxy(tmp_path, scenario)


def test_early_response_arrives_while_the_client_sends(tmp_path: Path) -> None:
    """A response before the end of the body arrives, although the server closes its connection."""

    async def scenario(_: RecordingServer, client: Client) -> None:
        reader, writer = client
        writer.write(head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 9000000") + b"\r\n\r\n?")
        assert (await reader.readline()) == b"HTTP/1.1 400 Bad Request\r\n"
        writer.write(b"x" * 1_000_000)
        assert (await reader.read()).endswith(b"\r\n\r\n")

    run_with_proxy(tmp_path, scenario)


def test_cut_off_body_ends_the_server_connection(tmp_path: Path) -> None:
    """When a client closes within a body, the server sees the end of the connection, not a short body."""

    async def scenario(recorder: RecordingServer, client: Client) -> None:
        _, writer = client
        writer.write(head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 10") + b"\r\n\r\nabc")
        await wait_until(lambda: recorder.received.endswith(b"\r\n\r\nabc"))
        writer.close()
        await wait_until(lambda: recorder.ended)
        assert recorder.received.endswith(b"\r\n\r\nabc")

    run_with_proxy(tmp_path, scenario)


def test_connection_beyond_the_limit_waits(tmp_path: Path) -> None:
    """More connections than the process may have files for wait, and are served when others end."""
    path = str(tmp_path / "s")
    request = head(f"PUT {SIGNED} HTTP/1.1", HOST, "Content-Length: 1") + b"\r\n\r\n!"

    async def scenario() -> None:
        server = await asyncio.start_unix_server(RecordingServer(), path)
        [port] = tcp_ports.free_ports(1)
        proxy = await asyncio.create_subprocess_exec(
            *(
                "sh",
                "-c",
                'ulimit -n 48 && exec "$@"',
                "sh",
                sys.executable,
                "-m",
                "dev.local.s3_proxy",
                str(port),
                path,
            )
        )
        assert await tcp_ports.wait_for_listener(port, 10, lambda: proxy.returncode is None)
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for reader, writer in clients:
            writer.write(request)
            assert await asyncio.wait_for(reader.readuntil(b"ok"), 10)
            writer.close()
        assert proxy.returncode is None
        proxy.terminate()
        await proxy.wait()
        server.close()

    asyncio.run(scenario())
