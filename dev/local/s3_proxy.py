"""Stand in front of SeaweedFS's S3: `python -m dev.local.s3_proxy PORT SOCKET`.

SeaweedFS takes a signed request with any Host header, and accepts some requests without a signature. This process
listens on S3's port and passes on only requests for a name of this machine that have a signature, and preflights.
SeaweedFS itself verifies the signatures. It is reached at a Unix socket in the state folder.

Request heads are read one by one, because a connection carries many. Bodies and responses are copied as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import socket
import sys
from dataclasses import dataclass

from dev.local import tcp_ports
from dev.local.sigv4 import is_local_host

_BUFFER_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_RETRY_SECONDS = 0.02
# A connection of a client takes two files.
_MAX_OPEN_FILES, _OWN_FILES = 65_536, 32
_LINGER_SECONDS, _MAX_DRAINED_BYTES = 2.0, 64 * 1024 * 1024
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[^ ]*) HTTP/1\.[01]")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_SIGNED_QUERY = re.compile(rb"[?&](?:X-Amz-)?Signature=[^&]")
_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Sign the request, for 127.0.0.1 or localhost.</Message></Error>"
)
_FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
) % (len(_ERROR), _ERROR)


class RejectedRequestError(Exception):
    """The request has no signature, is for another host, or two servers may read it differently."""


class ClosedError(Exception):
    """The peer closed the connection."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What follows a request's head."""

    body_bytes: int
    """The length of the body; 0 where it is chunked."""
    chunked: bool
    """Whether the body has the transfer coding `chunked`."""


def read_head(head: bytes) -> RequestHead:
    """Check a request's head (without its last empty line), and return what follows it.

    Raises:
        RejectedRequestError: the request must not reach SeaweedFS.
    """
    first, *lines = head.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _HEADER_LINE.fullmatch(line)
        if match is None:
            raise RejectedRequestError
        headers.setdefault(match[1].lower(), []).append(match[2].strip())
    lengths, codings = headers.get(b"content-length", []), headers.get(b"transfer-encoding", [])
    hosts = [host.decode("latin-1") for host in headers.get(b"host", [])]
    if request is None or len(hosts) != 1 or not is_local_host(hosts[0]):
        raise RejectedRequestError
    if len(lengths) + len(codings) > 1 or not all(value.isdigit() for value in lengths):
        raise RejectedRequestError
    if codings and codings[0].lower() != b"chunked":
        raise RejectedRequestError
    preflight = request[1] == b"OPTIONS" and {b"origin", b"access-control-request-method"} <= headers.keys()
    signed = any(value.startswith((b"AWS4-HMAC-SHA256 ", b"AWS ")) for value in headers.get(b"authorization", []))
    if not (preflight or signed or _SIGNED_QUERY.search(request[2])):
        raise RejectedRequestError
    return RequestHead(int(lengths[0]) if lengths else 0, bool(codings))


class ClientConnection:
    """One connection of a client, and its own connection to SeaweedFS."""

    def __init__(self, client: socket.socket, socket_path: str) -> None:
        self._client = client
        self._socket_path = socket_path
        self._loop = asyncio.get_running_loop()
        self._buffered = bytearray()
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._upstream: socket.socket | None = None
        self._responses: asyncio.Task[None] | None = None
        self._upstream_ended = asyncio.Event()

    async def serve(self) -> None:
        """Serve requests until one end closes its connection or a request is rejected."""
        requests = asyncio.create_task(self._pass_requests())
        ended = asyncio.create_task(self._upstream_ended.wait())
        try:
            await asyncio.wait({requests, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not requests.done():
                await self._end(b"")
            elif isinstance(requests.exception(), RejectedRequestError):
                await self._end(_FORBIDDEN)
            elif not isinstance(requests.exception(), ClosedError):
                await self._end(b"")
        finally:
            tasks = [requests, ended, *([self._responses] if self._responses else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._upstream is not None:
                self._upstream.close()
            self._client.close()

    async def _pass_requests(self) -> None:
        while True:
            await self._pass_request()

    async def _pass_request(self) -> None:
        head = await self._read_until(b"\r\n\r\n")
        request = read_head(head[:-4])
        await self._send(head)
        await self._pass_bytes(request.body_bytes)
        if request.chunked:
            await self._pass_chunks()

    async def _pass_chunks(self) -> None:
        while True:
            line = await self._read_until(b"\r\n")
            size = line[:-2].partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                raise RejectedRequestError
            await self._send(line)
            if int(size, 16) == 0:
                break
            await self._pass_bytes(int(size, 16) + 2)
        while (line := await self._read_until(b"\r\n")) != b"\r\n":
            await self._send(line)
        await self._send(line)

    async def _read_until(self, end: bytes) -> bytes:
        """Return what comes up to and including `end`."""
        searched = 0
        while (at := self._buffered.find(end, searched)) < 0:
            searched = max(0, len(self._buffered) - len(end) + 1)
            if len(self._buffered) > _MAX_HEAD_BYTES:
                raise RejectedRequestError
            self._buffered += await self._receive()
        found = bytes(self._buffered[: at + len(end)])
        del self._buffered[: at + len(end)]
        return found

    async def _pass_bytes(self, length: int) -> None:
        if self._buffered and length:
            buffered = bytes(self._buffered[:length])
            del self._buffered[:length]
            await self._send(buffered)
            length -= len(buffered)
        while length:
            data = await self._receive(length)
            await self._send(data)
            length -= len(data)

    async def _receive(self, length: int = _BUFFER_BYTES) -> memoryview:
        count = await self._loop.sock_recv_into(self._client, self._buffer[:length])
        if not count:
            raise ClosedError
        return self._buffer[:count]

    async def _send(self, data: bytes | memoryview) -> None:
        if self._upstream is None:
            self._upstream = socket.socket(socket.AF_UNIX)
            self._upstream.setblocking(False)
            await self._loop.sock_connect(self._upstream, self._socket_path)
            self._responses = asyncio.create_task(self._pass_responses(self._upstream))
        await self._loop.sock_sendall(self._upstream, data)

    async def _pass_responses(self, upstream: socket.socket) -> None:
        """Copy responses until SeaweedFS closes the connection."""
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        with contextlib.suppress(OSError):
            while count := await self._loop.sock_recv_into(upstream, buffer):
                await self._loop.sock_sendall(self._client, buffer[:count])
        self._upstream_ended.set()

    async def _end(self, response: bytes) -> None:
        """Send what is left and `response`, and read what the client still sends.

        Most clients read a response only after they sent everything. A closed connection would lose it.
        """
        with contextlib.suppress(ClosedError, OSError, TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                if self._upstream is not None and self._responses is not None:
                    self._upstream.shutdown(socket.SHUT_WR)
                    await self._upstream_ended.wait()
                await self._loop.sock_sendall(self._client, response)
                self._client.shutdown(socket.SHUT_WR)
                drained = 0
                while drained < _MAX_DRAINED_BYTES:
                    drained += len(await self._receive())


async def serve(port: int, socket_path: str) -> None:
    """Wait until SeaweedFS accepts connections, then serve until this is cancelled. Raises `OSError`."""
    free_connections = asyncio.Semaphore((raise_open_file_limit() - _OWN_FILES) // 2)
    await _wait_for_upstream(socket_path)
    loop = asyncio.get_running_loop()
    connections: set[asyncio.Task[None]] = set()
    with tcp_ports.listen(port) as listener:
        listener.setblocking(False)
        while True:
            await free_connections.acquire()
            client, _ = await loop.sock_accept(listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(ClientConnection(client, socket_path).serve())
            connections.add(task)
            task.add_done_callback(connections.discard)
            task.add_done_callback(lambda _: free_connections.release())


def raise_open_file_limit() -> int:
    """Allow as many open files as this user may have, and return the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


async def _wait_for_upstream(socket_path: str) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.setblocking(False)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_connect(upstream, socket_path)
                return
        await asyncio.sleep(_RETRY_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
