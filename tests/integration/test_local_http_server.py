"""Hypercorn as the local service adapts it."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from dev.local import http_server, tcp_ports
from dev.local.gateway import Gateway
from dev.local.pool import Event
from dev.local.routing import Route

TIMEOUT_SECONDS = 60.0
Invoke = Callable[[str, Event, float], Awaitable[bytes]]


class Server:
    """A gateway on a port, in a thread."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
        self.port = port
        self._loop = loop
        self._stopping = stopping

    def stop(self) -> None:
        """Begin the stop."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send a request, and return the status and the JSON body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/echo", body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


@contextmanager
def running(invoke: Invoke) -> Iterator[Server]:
    """Run a gateway with one function."""
    http_server.install()
    listener = tcp_ports.listen(0)
    port = listener.getsockname()[1]
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    gateway = Gateway([Route("POST", "/echo", "Echo")], None, invoke)
    serving = http_server.serve_socket(gateway, listener.detach(), stopping)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    server = Server(port, loop, stopping)
    try:
        yield server
    finally:
        server.stop()
        thread.join(TIMEOUT_SECONDS)
        loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
        loop.close()


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel invocations that still run, as the end of their process does."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _echo(_function: str, event: Event, _timeout: float) -> bytes:
    """Return the event as the function's response, its body in base64 as it came."""
    received = json.loads(event if isinstance(event, bytes) else b"".join(event))
    echoed = {"body": received.get("body", ""), "headers": received["headers"]}
    return json.dumps({"statusCode": 200, "body": json.dumps(echoed)}).encode()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_body_reaches_the_function_whole(is_chunked: bool) -> None:
    """A body of several reads arrives byte by byte as it was sent, with a length and in chunks."""
    content = os.urandom(2_500_001)
    body: Any = iter([content[:1_000_000], content[1_000_000:]]) if is_chunked else content
    with running(_echo) as server:
        status, answer = server.post(body, {"Content-Type": "application/octet-stream"})
    assert status == 200
    assert base64.b64decode(answer["body"]) == content
    assert answer["headers"]["content-length"] == str(len(content))


def test_requests_on_one_connection_keep_their_bodies_apart() -> None:
    """The end of a body and the request that follows it in the same read are kept apart."""
    bodies = [os.urandom(size) for size in (300_000, 1, 70_000)]
    with running(_echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
        lengths = []
        for body in bodies:
            connection.request("POST", "/echo", body)
            lengths.append(json.loads(connection.getresponse().read())["headers"]["content-length"])
        connection.close()
    assert lengths == [str(len(body)) for body in bodies]


def test_connection_that_resets_its_requests_is_closed(capfd: pytest.CaptureFixture[str]) -> None:
    """The server ends it with ENHANCE_YOUR_CALM, few functions have run, and nothing is logged."""
    invocations = []

    async def invoke(function: str, event: Event, seconds: float) -> bytes:
        invocations.append(function)
        return await _echo(function, event, seconds)

    with running(invoke) as server:
        error_codes = _reset_requests(server.port, 3 * http_server.MAX_RESETS)
        status, _ = server.post(b"x")
    assert error_codes == [h2.errors.ErrorCodes.ENHANCE_YOUR_CALM]
    assert status == 200
    assert len(invocations) <= http_server.MAX_RESETS + 2
    assert "Traceback" not in capfd.readouterr().err


def _reset_requests(port: int, count: int) -> list[Any]:
    """Send requests over HTTP/2 and reset each at once. Return the error codes of the server's GOAWAY frames."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as client:
        headers = [(":method", "POST"), (":path", "/echo"), (":scheme", "http"), (":authority", f"127.0.0.1:{port}")]
        for number in range(count):
            connection.send_headers(1 + 2 * number, headers, end_stream=True)
            connection.reset_stream(1 + 2 * number)
        client.sendall(connection.data_to_send())
        codes = []
        while data := client.recv(65_536):
            codes += [
                event.error_code
                for event in connection.receive_data(data)
                if isinstance(event, h2.events.ConnectionTerminated)
            ]
            if codes:
                break
        return codes


def test_request_that_the_stop_cuts_off_gets_the_gateways_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that still runs when the stop waits no longer gets an error with a message, not an empty 500."""
    monkeypatch.setattr(http_server, "GRACE_SECONDS", 0.1)
    is_running = threading.Event()

    async def never_end(_function: str, _event: Event, _timeout: float) -> bytes:
        is_running.set()
        await asyncio.Event().wait()
        return b""

    results: list[tuple[int, Any]] = []
    with running(never_end) as server:
        client = threading.Thread(target=lambda: results.append(server.post(b"x")))
        client.start()
        assert is_running.wait(TIMEOUT_SECONDS)
        server.stop()
        client.join(TIMEOUT_SECONDS)
    assert results == [(503, {"message": "Service Unavailable"})]
