"""HTTP: requests to responses. `UrllibTransport` sends them; tests replace it by any other `Transport`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ferry_client.callbacks import ignore
from ferry_client.cancellation import STOPPED, CancelToken, current_token, raise_if_cancelled
from ferry_client.connections import MAX_BLOCK_BYTES, ConnectionLimit, EnvironmentProxies, new_pools
from ferry_client.errors import CancelledError, FerryError, UsageError
from ferry_client.options import KIB, ClientOptions
from ferry_client.pacing import RateLimiter, StallWatch
from ferry_client.port_probe import PortProbe
from ferry_client.url_log import hidden_queries

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

FIRST_BLOCK_BYTES = 16 * KIB
"""Bytes handed to a connection at once at first."""

MIN_BLOCK_BYTES = 8 * KIB
"""Bytes handed to a connection at once on a slow line, so that a block fits into the stall time."""

MAX_BLOCK_SECONDS = 0.5
"""A block that takes longer halves the next ones; one that takes a fifth doubles them. Progress, rates and the bytes
before a break are counted in blocks, so a block is a small part of a chunk."""

_NO_HTTP = "The request has a URL or a header field that HTTP does not allow."


class TransportError(FerryError):
    """A request without a complete response. It is repeated if the request may be."""

    def __init__(
        self, reason: str, sent_bytes: int = 0, *, is_unsent: bool = False, is_unknown_name: bool = False
    ) -> None:
        super().__init__(reason)
        self.is_unsent = is_unsent
        """Whether the server cannot have received the request."""
        self.sent_bytes = sent_bytes
        """Bytes of the body that were given to the connection before it broke."""
        self.is_unknown_name = is_unknown_name
        """Whether the name server says that there is no such host."""


class Body(Protocol):
    """The bytes of a request. `blocks` is called anew for each attempt."""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        ...

    def blocks(self, block_bytes: Callable[[], int]) -> Iterator[bytes]:
        """Yield the bytes, each block at most as long as `block_bytes()` says at that moment."""
        ...


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body in memory."""

    data: bytes = field(repr=False)
    """The bytes. Those of a login or a link have a secret."""

    @property
    def length(self) -> int:
        return len(self.data)

    def blocks(self, block_bytes: Callable[[], int]) -> Iterator[bytes]:
        view, position = memoryview(self.data), 0
        while position < len(view):
            block = view[position : position + block_bytes()]
            position += len(block)
            yield bytes(block)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request."""

    method: str
    """The method."""
    url: str = field(repr=False)
    """The absolute URL, encoded as it is sent. A presigned one is a secret."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Header fields, the token among them."""
    body: Body | None = None
    """The content; None for none."""
    stream: bool = False
    """Whether the caller reads the response's body by `HttpResponse.iter_body`."""


class HttpResponse:
    """A response. Its body is read already, unless the request asked for a stream."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        stream: Iterator[bytes] | None = None,
        close: Callable[[], None] = lambda: None,
        read_into: Callable[[memoryview], int] | None = None,
    ) -> None:
        self.status = status
        """The status code."""
        self.headers = {name.lower(): value for name, value in headers.items()}
        """Values by header name in lower case."""
        self.body = body
        """The body; empty for a stream."""
        self._stream = stream
        self._close = close
        self._read_into = read_into or self._read_blocks_into
        self._block = memoryview(b"")
        """The rest of a block that `read_into` has read in part."""

    attempts: int = 1
    """How often the request was sent."""

    def json(self) -> Any:
        """Return the parsed body. Raises `ValueError` if it is not JSON."""
        import json

        return json.loads(self.body)

    def iter_body(self) -> Iterator[bytes]:
        """Yield the body in blocks, then close. Raises `TransportError` where it ends early."""
        try:
            yield from self._stream if self._stream is not None else iter([self.body])
        finally:
            self.close()

    def read_into(self, memory: memoryview) -> int:
        """Read bytes of a stream that have come, and return their number; 0 at the end of the body.

        The caller closes the response. Raises `TransportError` where the body ends early.
        """
        return self._read_into(memory)

    def _read_blocks_into(self, memory: memoryview) -> int:
        while not self._block:
            block = next(self._stream, None) if self._stream is not None else None
            if block is None:
                return 0
            self._block = memoryview(block)
        count = min(len(memory), len(self._block))
        memory[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def close(self) -> None:
        """Give up the rest of a stream."""
        self._close()


class Transport(Protocol):
    """Sends requests. Thread-safe. Redirects are not followed."""

    on_bytes: Callable[[int], None]
    """Called with bytes of content as they move, in either direction, from any thread."""

    connection_limit: ConnectionLimit
    """How many bytes a connection may carry on this line."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response. Raises `TransportError` if there is none, `CancelledError` if the client was closed."""
        ...

    def close(self) -> None:
        """Stop all transfers."""
        ...


class _PacedBody:
    """The blocks of a body, counted as the connection takes them."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self.taken_bytes = 0
        """Bytes taken."""

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            yield block
            self.taken_bytes += len(block)


class UrllibTransport:
    """A `Transport` over urllib3, with one pool of connections for all hosts."""

    def __init__(self, options: ClientOptions, user_agent: str = "ferry-client") -> None:
        self._options = options
        self._user_agent = user_agent
        self._token = CancelToken()
        """Stops everything on this transport."""
        self._lock = threading.Lock()
        self._pools: dict[str | None, PoolManager] = {}
        self._environment_proxies = EnvironmentProxies()
        self._port_probe = PortProbe(options.connect_seconds)
        self.rate_limiter = RateLimiter(options.rate_limit, self._sleep)
        """The limit of bytes a second."""
        self.on_bytes: Callable[[int], None] = ignore
        """Called with bytes of content as they move, in either direction, from any thread."""
        self.connection_limit = ConnectionLimit()
        """How many bytes a connection may carry on this line."""
        self._block_bytes = FIRST_BLOCK_BYTES

    def send(self, request: HttpRequest) -> HttpResponse:
        import http.client

        import urllib3

        self._raise_if_closed()
        body: _PacedBody | None = None
        if request.body is not None and request.body.length:
            body = _PacedBody(self._paced(request.body))
        try:
            response = self._open(request, body)
            self._raise_if_wrong_scheme(response, request.url)
            if request.stream:
                return HttpResponse(
                    response.status,
                    response.headers,
                    stream=self._iter_response(response, request.url),
                    close=response.close,
                    read_into=self._reader_into(response, request.url),
                )
            return HttpResponse(response.status, response.headers, b"".join(self._iter_response(response, request.url)))
        except (urllib3.exceptions.LocationValueError, http.client.InvalidURL):
            raise UsageError(_NO_HTTP) from None  # The error of urllib3 repeats the URL.
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self._raise_if_closed()
            raise self._transport_error(error, request.url, body.taken_bytes if body else 0) from error
        except ValueError:  # of http.client and urllib3: a URL or header field that cannot be sent
            raise UsageError(_NO_HTTP) from None

    def _open(self, request: HttpRequest, body: _PacedBody | None) -> BaseHTTPResponse:
        """Return the response of urllib3, whose body is not read yet."""
        import urllib3

        headers = {"User-Agent": self._user_agent, **request.headers}
        if request.body is not None:
            headers["Content-Length"] = str(request.body.length)
        with hidden_queries():
            return self.pool(request.url).request(
                request.method,
                request.url,
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=self._options.connect_seconds, read=self._options.stall_seconds),
            )

    def _raise_if_wrong_scheme(self, response: BaseHTTPResponse, url: str) -> None:
        """Raise `TransportError` for a 400 by which a port of TLS, as nginx has it, rejects plain HTTP."""
        is_rejection = response.status == 400 and "x-request-id" not in response.headers
        if is_rejection and url.startswith("http://") and self._has_wrong_scheme(url):
            from ferry_client.connection_errors import describe_wrong_scheme

            response.close()
            raise TransportError(describe_wrong_scheme(url))
        self._port_probe.record_response(url)

    def _has_wrong_scheme(self, url: str) -> bool:
        """Return whether a server speaks HTTPS where its URL says HTTP, or HTTP. Through a proxy it is not asked."""
        return self._proxy_url(url) is None and self._port_probe.speaks_other_scheme(url)

    def close(self) -> None:
        self._token.cancel()
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def _iter_response(self, response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
        watch = StallWatch(self._options.stall_seconds)
        with self._translated_errors(response, url):
            # `read1` returns what has come: the bytes before a break are not lost, as they are with `read`.
            while block := response.read1(self.rate_limiter.block_bytes(MAX_BLOCK_BYTES)):
                self._count_received(len(block), watch)
                yield block
            response.release_conn()

    def _reader_into(self, response: BaseHTTPResponse, url: str) -> Callable[[memoryview], int] | None:
        """Return a function that receives straight into memory; None for a body without length.

        urllib3 copies each byte once more. What it keeps of the standard library's response is used here.
        """
        raw: Any = getattr(response, "_fp", None)
        file: Any = getattr(raw, "fp", None)
        remaining: int | None = getattr(raw, "length", None)
        if raw is None or not remaining or getattr(raw, "chunked", True) or not hasattr(file, "readinto1"):
            return None
        watch = StallWatch(self._options.stall_seconds)

        def read_into(memory: memoryview) -> int:
            nonlocal remaining
            if not remaining:
                return 0
            with self._translated_errors(response, url):
                count: int = file.readinto1(memory[: self.rate_limiter.block_bytes(min(len(memory), remaining))])
                if not count:
                    raise ConnectionError
                self._count_received(count, watch)
                remaining -= count
                if not remaining:
                    raw.close()  # The connection can carry the next request.
                    response.release_conn()
            return count

        return read_into

    @contextmanager
    def _translated_errors(self, response: BaseHTTPResponse, url: str) -> Iterator[None]:
        """Raise `TransportError` for a response that breaks or stalls, and `CancelledError` after `close`."""
        import http.client

        import urllib3

        try:
            yield
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            response.close()
            self._raise_if_closed()
            raise self._transport_error(error, url) from error

    def _count_received(self, count: int, watch: StallWatch) -> None:
        self._raise_if_closed()
        watch.count(count)
        self.on_bytes(count)
        self.rate_limiter.take(count)

    def _paced(self, body: Body) -> Iterator[bytes]:
        """Yield a body in blocks of at most `MAX_BLOCK_SECONDS` each, within the rate limit."""
        blocks = body.blocks(lambda: self.rate_limiter.block_bytes(self._block_bytes))
        for block in blocks:
            self._raise_if_closed()
            self.rate_limiter.take(len(block))
            started_at = time.monotonic()
            yield block
            self.on_bytes(len(block))
            self._adapt(time.monotonic() - started_at)

    def _adapt(self, block_seconds: float) -> None:
        """Choose the size of the next blocks by the time that the last one took."""
        if block_seconds > MAX_BLOCK_SECONDS:
            self._block_bytes = max(MIN_BLOCK_BYTES, self._block_bytes // 2)
        elif block_seconds < MAX_BLOCK_SECONDS / 5:
            self._block_bytes = min(MAX_BLOCK_BYTES, self._block_bytes * 2)

    def _sleep(self, seconds: float) -> None:
        CancelToken(self._token, current_token()).wait(seconds)

    def _raise_if_closed(self) -> None:
        """Raise `CancelledError` if the transport was closed, or the transfer of this thread was stopped."""
        if self._token.is_cancelled:
            raise CancelledError(STOPPED)
        raise_if_cancelled()

    def pool(self, url: str) -> PoolManager:
        """Return the connections that a URL is requested on: those of its proxy, or direct ones."""
        proxy_url = self._proxy_url(url)
        with self._lock:
            if proxy_url not in self._pools:
                self._pools[proxy_url] = new_pools(self._options, proxy_url, self.connection_limit, self._token)
            return self._pools[proxy_url]

    def _proxy_url(self, url: str) -> str | None:
        return self._options.proxy_url or self._environment_proxies.proxy_of(url)

    def _transport_error(self, error: Exception, url: str, sent_bytes: int = 0) -> TransportError:
        from ferry_client.connection_errors import (
            describe,
            describe_wrong_scheme,
            is_unknown_name,
            is_unsent,
            may_be_wrong_scheme,
        )

        if may_be_wrong_scheme(error) and self._has_wrong_scheme(url):
            reason = describe_wrong_scheme(url)
        else:
            reason = describe(error, url, self._proxy_url(url))
        return TransportError(reason, sent_bytes, is_unsent=is_unsent(error), is_unknown_name=is_unknown_name(error))
