"""The model of networks does to connections what it says."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from dev.network import proxy as proxy_module
from dev.network.model import Network
from dev.network.proxy import NetworkProxy


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with as many bytes as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(b"x" * size)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the overridden parameter
        """Write nothing."""


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _fetch(port: int, size: int) -> tuple[int, float]:
    """Return the bytes of a response, and the seconds until it was complete."""
    started_at = time.monotonic()
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", f"http://127.0.0.1:{port}/{size}", retries=False)
        return len(response.data), time.monotonic() - started_at


def test_proxy_without_limits_forwards_every_byte(server_port: int) -> None:
    """Bytes pass unchanged in number, and are counted."""
    with NetworkProxy("127.0.0.1", server_port, Network()) as proxy:
        size, _ = _fetch(proxy.port, 3_000_000)
        assert size == 3_000_000
        assert proxy.bytes_down > 3_000_000


def test_proxy_with_delay_and_rate_takes_their_time(server_port: int) -> None:
    """A connection waits one round trip, a request another, and the bytes take size by rate."""
    network = Network(round_trip_ms=50, link_bytes_per_second=1_000_000)
    with NetworkProxy("127.0.0.1", server_port, network) as proxy:
        size, seconds = _fetch(proxy.port, 200_000)
    assert size == 200_000
    assert seconds >= 0.3


def test_proxy_sends_small_pieces_at_once(server_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side of a connection waits for acknowledgements, which would add 40 ms to a request in two pieces."""
    found: list[int] = []
    forward = proxy_module._Connection.run

    async def run(connection: Any, *streams: Any) -> None:
        sockets = [writer.get_extra_info("socket") for writer in streams[1::2]]
        found.extend(found_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for found_socket in sockets)
        await forward(connection, *streams)

    monkeypatch.setattr(proxy_module._Connection, "run", run)
    with NetworkProxy("127.0.0.1", server_port, Network()) as proxy:
        _fetch(proxy.port, 10)
    assert len(found) == 2
    assert all(found)


def test_proxy_resets_after_so_many_bytes(server_port: int) -> None:
    """A connection breaks once the limit is passed; a new one passes."""
    with NetworkProxy("127.0.0.1", server_port, Network(reset_after_bytes=100_000)) as proxy:
        with pytest.raises((urllib3.exceptions.ProtocolError, ConnectionError)):
            _fetch(proxy.port, 200_000)
        assert _fetch(proxy.port, 50_000)[0] == 50_000


@pytest.mark.parametrize(
    ("elapsed_seconds", "left_seconds"), [(0, 0), (89.9, 0), (90, 30), (119, 1), (120, 0), (215, 25)]
)
def test_outage_ends_each_period(elapsed_seconds: float, left_seconds: float) -> None:
    """A line that is gone for 30 s each two minutes is gone at the end of each period."""
    network = Network(outage_every_seconds=120, outage_seconds=30)
    assert network.seconds_until_back(elapsed_seconds) == pytest.approx(left_seconds)
