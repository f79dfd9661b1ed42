"""A TCP proxy that behaves like a network: `python -m dev.network.proxy --to HOST:PORT`.

It runs in one thread of its own (`NetworkProxy`), or as a program. It listens on 127.0.0.1 alone, and passes every byte
on unchanged, so what the server demands of a request, it still demands.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dev.network import model
from dev.network.model import Network

_READ_BYTES = 256 * 1024
_MIN_READ_BYTES = 1460
"""The content of one packet on most lines."""

_READS_PER_SECOND = 200
"""Reads of a busy line: each holds what the line carries in 5 ms."""

_MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""Bytes under way in one direction. More than rate × delay of the modeled lines."""

_MIN_RECEIVE_BUFFER = 4096

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing the socket sends a reset."""


class _Pacer:
    """When bytes have passed a line of a given rate."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    def passed_at(self, now: float, size_bytes: int) -> float:
        """Return when so many bytes, which start now, have passed."""
        if self._bytes_per_second is None:
            return now
        self._free_at = max(now, self._free_at) + size_bytes / self._bytes_per_second
        return self._free_at

    def read_bytes(self) -> int:
        """Return how many bytes to take at once, so that they flow evenly."""
        if self._bytes_per_second is None:
            return _READ_BYTES
        return max(_MIN_READ_BYTES, min(_READ_BYTES, int(self._bytes_per_second / _READS_PER_SECOND)))


class _Queue:
    """Bytes that are under way in one direction of one connection."""

    def __init__(self, max_bytes: Callable[[], int], on_change: Callable[[int], None]) -> None:
        self._max_bytes = max_bytes
        self._on_change = on_change
        """Called with +1 when the queue is no longer empty, with -1 when it is."""
        self._items: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._bytes = 0
        self._changed = asyncio.Event()

    async def wait_for_room(self) -> None:
        """Wait until fewer bytes are under way than the line holds."""
        while self._bytes and self._bytes >= self._max_bytes():
            self._changed.clear()
            await self._changed.wait()

    def put(self, due_at: float, data: bytes) -> None:
        """Add bytes that arrive at `due_at`."""
        self._add(len(data))
        self._items.put_nowait((due_at, data))

    async def get(self) -> tuple[float, bytes]:
        """Return the next bytes, and when they arrive. They remain under way until `remove`."""
        return await self._items.get()

    def remove(self, size_bytes: int) -> None:
        """Count bytes as arrived."""
        self._add(-size_bytes)
        self._changed.set()

    def clear(self) -> None:
        """Forget what is under way."""
        self._add(-self._bytes)

    def _add(self, size_bytes: int) -> None:
        was_empty, self._bytes = self._bytes == 0, self._bytes + size_bytes
        if was_empty != (self._bytes == 0):
            self._on_change(1 if was_empty else -1)


class NetworkProxy:
    """A running proxy: a context manager. `port` and the counters are readable from any thread."""

    def __init__(self, host: str, port: int, network: Network, listen_port: int = 0) -> None:
        self._target, self._listen_port = (host, port), listen_port
        self.network = network
        """What the network does. It may be replaced while the proxy runs; new connections follow."""
        self.port = 0
        """The port on 127.0.0.1."""
        self.bytes_up = 0
        """Bytes forwarded to the server."""
        self.bytes_down = 0
        """Bytes forwarded to clients."""
        self.connections = 0
        """Connections accepted."""
        self.linger_seconds: float | None = None
        """How long a connection lasts that one side has closed; None: until the other side closes it, too."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="network-proxy")
        self._started_at = 0.0
        self._link_up, self._link_down = _Pacer(None), _Pacer(None)
        self._senders = {True: 0, False: 0}
        """Connections with bytes under way, by whether these go to the server."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> NetworkProxy:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset_all(self) -> None:
        """Cut every open connection, as a change of address does."""
        self._run(self._cut())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> None:
        self._started_at = time.monotonic()
        self._link_up = _Pacer(self.network.link_bytes_per_second)
        self._link_down = _Pacer(self.network.link_bytes_per_second)
        listener = socket.create_server(("127.0.0.1", self._listen_port))
        self._limit_buffer(listener)
        limit = self._link_up.read_bytes()
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=limit)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        network, self.connections = self.network, self.connections + 1
        _send_at_once(client_writer)
        writers = [client_writer]
        try:
            await self.wait_while_out()
            await asyncio.sleep(network.round_trip_ms / 1000)
            server_reader, server_writer = await self._connect()
            writers.append(server_writer)
            _send_at_once(server_writer)
            await _Connection(self, network).run(client_reader, client_writer, server_reader, server_writer)
        except (OSError, asyncio.CancelledError):
            _reset(client_writer)
        finally:
            for writer in writers:
                writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the server, with buffers that suit the line."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            self._limit_buffer(connection)
            await asyncio.get_running_loop().sock_connect(connection, self._target)
        except BaseException:
            # The server does not listen, or the proxy ends.
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection, limit=self._link_down.read_bytes())

    def _limit_buffer(self, connection: socket.socket) -> None:
        """Make a socket's receive buffer small: a large one takes bytes long before the line carries them."""
        rate = self.network.link_bytes_per_second
        if rate is not None:
            size = max(_MIN_RECEIVE_BUFFER, min(_READ_BYTES, int(rate / 20)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def count(self, size_bytes: int, *, is_up: bool) -> None:
        """Count bytes that were forwarded."""
        if is_up:
            self.bytes_up += size_bytes
        else:
            self.bytes_down += size_bytes

    def observe(self, data: bytes) -> None:
        """Look at a piece that a client has sent. Here it is ignored."""

    def link(self, *, is_up: bool) -> _Pacer:
        """Return the pace of one direction of the line that all connections share."""
        return self._link_up if is_up else self._link_down

    def count_senders(self, change: int, *, is_up: bool) -> None:
        """Count a connection that has bytes under way (1), or no longer (-1)."""
        self._senders[is_up] += change

    def max_queued_bytes(self, *, is_up: bool) -> int:
        """Return how many bytes of one connection may be under way in a direction.

        All connections share what the line and its buffers hold: twice rate × delay. A reset drops what is under way,
        and its time on the line with it.
        """
        rates = [self.network.connection_bytes_per_second, self.network.link_bytes_per_second]
        known = [rate for rate in rates if rate is not None]
        if not known:
            return _MAX_QUEUED_BYTES
        held_bytes = min(2 * min(known) * self.network.round_trip_ms / 1000, _MAX_QUEUED_BYTES)
        if self.network.link_bytes_per_second is not None:
            held_bytes /= max(1, self._senders[is_up])
        return max(2 * _Pacer(min(known)).read_bytes(), int(held_bytes))

    async def wait_while_out(self) -> None:
        """Wait for the end of an outage."""
        await asyncio.sleep(self.network.seconds_until_back(time.monotonic() - self._started_at))


class _Connection:
    """One connection through the network."""

    def __init__(self, proxy: NetworkProxy, network: Network) -> None:
        self._proxy = proxy
        self._network = network
        self._passed_bytes = 0

    async def run(
        self,
        client_reader: asyncio.StreamReader,
        client_writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        """Forward both directions until both have ended. Raises `ConnectionResetError` where the network resets it."""
        tasks = [
            asyncio.create_task(work)
            for reader, writer, is_up in ((client_reader, server_writer, True), (server_reader, client_writer, False))
            for work in self._direction(reader, writer, is_up=is_up)
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _direction(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        """Return what takes the bytes of one direction, and what forwards them."""
        queue = _Queue(
            lambda: self._proxy.max_queued_bytes(is_up=is_up),
            lambda change: self._proxy.count_senders(change, is_up=is_up),
        )
        return self._take(queue, reader, is_up=is_up), self._deliver(queue, writer, is_up=is_up)

    async def _take(self, queue: _Queue, reader: asyncio.StreamReader, *, is_up: bool) -> None:
        pacer = _Pacer(self._network.connection_bytes_per_second)
        link = self._proxy.link(is_up=is_up)
        data = b"more"
        while data:
            await queue.wait_for_room()
            data = await reader.read(min(pacer.read_bytes(), link.read_bytes()))
            if is_up:
                self._proxy.observe(data)
            now = time.monotonic()
            passed_at = max(pacer.passed_at(now, len(data)), link.passed_at(now, len(data)))
            queue.put(passed_at + self._network.round_trip_ms / 2000, data)

    async def _deliver(self, queue: _Queue, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        try:
            while True:
                due_at, data = await queue.get()
                await asyncio.sleep(due_at - time.monotonic())
                await self._proxy.wait_while_out()
                if not data:
                    with suppress(OSError):
                        writer.write_eof()
                    if self._proxy.linger_seconds is not None:
                        await asyncio.sleep(self._proxy.linger_seconds)
                        raise ConnectionResetError
                    return
                self._count(len(data), is_up=is_up)
                writer.write(data)
                await writer.drain()
                queue.remove(len(data))
        finally:
            queue.clear()

    def _count(self, size_bytes: int, *, is_up: bool) -> None:
        self._passed_bytes += size_bytes
        limit = self._network.reset_after_bytes
        if limit is not None and self._passed_bytes > limit:
            raise ConnectionResetError
        self._proxy.count(size_bytes, is_up=is_up)


def _send_at_once(writer: asyncio.StreamWriter) -> None:
    """Send small pieces without waiting for the acknowledgement of earlier ones, which adds up to 40 ms.

    asyncio does so only for sockets that were made with the number of the protocol.
    """
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make the close of a connection a reset."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


def main() -> None:
    """Run a proxy in the foreground, and print its port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the server")
    parser.add_argument("--network", choices=["AWS_S3", "AWS_DYNAMODB", "SATELLITE", "SLOW_LINE", "OUTAGES", "RESETS"])
    parser.add_argument("--round-trip-ms", type=float)
    parser.add_argument("--rate", type=float, help="bytes a second over all connections")
    parser.add_argument("--reset-after", type=int, help="bytes after which a connection is reset")
    arguments = parser.parse_args()
    network: Network = getattr(model, arguments.network) if arguments.network else Network()
    changes = {
        "round_trip_ms": arguments.round_trip_ms,
        "link_bytes_per_second": arguments.rate,
        "reset_after_bytes": arguments.reset_after,
    }
    network = replace(network, **{name: value for name, value in changes.items() if value is not None})
    host, _, port = arguments.to.rpartition(":")
    with NetworkProxy(host, int(port), network) as proxy:
        print(f"127.0.0.1:{proxy.port} -> {arguments.to}: {network}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
