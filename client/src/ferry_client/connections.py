"""Connections of `UrllibTransport`: their pools, proxies and socket options, and how many bytes each may carry."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ferry_client.cancellation import CancelToken, current_token
from ferry_client.errors import UsageError
from ferry_client.options import KIB, MIB, ClientOptions

if TYPE_CHECKING:
    import ssl

    from urllib3 import PoolManager

MAX_BLOCK_BYTES = MIB
"""Bytes handed to a connection at once on a fast line: each block costs processor time."""

MAX_UNSENT_BYTES = 16 * KIB
"""Bytes that the system takes ahead of the line. With megabytes, as by default, a slow line seems fast for a while, and
then stalled for minutes."""


class ConnectionLimit:
    """Notices a line that breaks each connection after the same number of bytes, as some middleboxes do. Thread-safe.

    Connections that end before that number lose nothing.
    """

    BREAKS = 3
    """Consecutive breaks, after about the same number of bytes, that show a limit."""

    _SPREAD = 1.25
    """Largest number of bytes of these breaks, as a multiple of the smallest."""

    _MARGIN = 0.9
    """Share of the smallest number that a connection may carry: some of its bytes had not arrived when it broke."""

    _CONTRADICTION = 0.75
    """A break after less than this share of the limit shows that there is none."""

    _TOGETHER_SECONDS = 0.1
    """Connections that break within this time break for one reason, as at a change of address: they count as one."""

    _VALID_SECONDS = 600.0
    """After this time the limit is forgotten: a client that runs for years meets more than one network."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._breaks: deque[int] = deque(maxlen=self.BREAKS)
        self._limit_bytes: int | None = None
        self._learned_at = 0.0
        self._broke_at = -math.inf

    def record_break(self, carried_bytes: int) -> None:
        """Record a connection that broke after `carried_bytes`."""
        with self._lock:
            if self._limit_bytes is not None and carried_bytes < self._limit_bytes * self._CONTRADICTION:
                self._forget()  # The line breaks for another reason.
                return
            if carried_bytes < 64 * KIB or self._now() - self._broke_at < self._TOGETHER_SECONDS:
                return
            self._broke_at = self._now()
            self._breaks.append(carried_bytes)
            if len(self._breaks) == self.BREAKS and max(self._breaks) <= self._SPREAD * min(self._breaks):
                self._limit_bytes, self._learned_at = int(min(self._breaks) * self._MARGIN), self._now()

    def record_success(self, carried_bytes: int) -> None:
        """Record a response on a connection after `carried_bytes`. If these are more than the limit, there is none."""
        with self._lock:
            if self._limit_bytes is not None and carried_bytes > self._limit_bytes * self._SPREAD:
                self._forget()

    def _forget(self) -> None:
        self._limit_bytes = None
        self._breaks.clear()

    @property
    def max_bytes(self) -> int | None:
        """Bytes that a connection may carry; None: no limit is known."""
        with self._lock:
            if self._limit_bytes is not None and self._now() - self._learned_at > self._VALID_SECONDS:
                self._limit_bytes = None
            return self._limit_bytes


def new_pools(
    options: ClientOptions, proxy_url: str | None, limit: ConnectionLimit, token: CancelToken | None = None
) -> PoolManager:
    """Return pools of connections, through a proxy or direct (None). They are shut down with `token`.

    Raises:
        UsageError: the proxy is not an HTTP proxy, or the file of certificate authorities cannot be read.
    """
    import urllib3

    if proxy_url is not None:
        proxy_url = checked_proxy(proxy_url)
    arguments: dict[str, Any] = {
        "num_pools": 16,
        "maxsize": options.threads + 2,
        "blocksize": MAX_BLOCK_BYTES,
        "socket_options": _socket_options(),
        "ssl_context": _tls_context(options.ca_file),
    }
    manager = (
        urllib3.PoolManager(**arguments)
        if proxy_url is None
        else urllib3.ProxyManager(proxy_url, proxy_headers=_proxy_headers(proxy_url), **arguments)
    )
    manager.pool_classes_by_scheme = _pool_classes(options.stall_seconds, limit, token)
    return manager


def checked_proxy(proxy_url: str) -> str:
    """Return the URL of a proxy, `http://` if it has no scheme. Raises `UsageError` if it is not an HTTP proxy."""
    scheme, separator, _ = proxy_url.partition("://")
    if not separator:
        return f"http://{proxy_url}"
    if scheme.lower() not in ("http", "https"):
        raise UsageError(
            f"Proxies of {scheme}:// are not supported. Set HTTPS_PROXY to an HTTP proxy, or add the host to NO_PROXY."
        )
    return proxy_url


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the TLS settings. Raises `UsageError` if the file of certificate authorities cannot be read."""
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # `ssl.SSLError` is one
        reason = (
            error.strerror if error.filename or not isinstance(error, ssl.SSLError) else "it has no certificate in PEM"
        )
        raise UsageError(f"{ca_file} cannot be read as certificate authorities: {reason}.") from error


class _AbortableConnection:
    """A connection that ends with the token of the client, and with the one that the using thread runs under."""

    sock: socket.socket | None
    """The socket; None while it is not connected."""
    token: CancelToken | None = None
    """What ends the connection now; None before it is used."""

    def attach(self, client_token: CancelToken | None) -> CancelToken:
        """Return what ends the connection from now on. Raises `CancelledError` if it has ended."""
        token = CancelToken(client_token, current_token())
        token.attach(self)
        return token

    def abort(self) -> None:
        """Wake the thread that uses the connection."""
        with suppress(OSError, TypeError):  # It is not connected, or TLS within TLS.
            if self.sock is not None:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _CountedConnection(_AbortableConnection):
    """Counts the bytes that a connection of urllib3 sends. Its pool sets the attributes."""

    limit: ConnectionLimit
    """Finds out how many bytes a connection may carry."""
    stall_seconds: float
    """How long each block of a request may take."""
    client_token: CancelToken | None
    """Ends all connections of the client."""
    sent_bytes = 0
    """Bytes sent on the open connection."""

    def connect(self) -> None:
        token = self.attach(self.client_token)
        super().connect()  # type: ignore[misc]
        token.raise_if_cancelled()  # It could not be aborted before.
        self.sent_bytes = 0
        if self.sock is not None:  # urllib3 leaves the time-out for connecting.
            self.sock.settimeout(self.stall_seconds)

    def request(self, *arguments: Any, **options: Any) -> None:
        self.attach(self.client_token)
        length = int((options.get("headers") or {}).get("Content-Length", 0))
        max_bytes = self.limit.max_bytes
        if self.sent_bytes and max_bytes is not None and self.sent_bytes + length > max_bytes:
            self.close()  # type: ignore[attr-defined] # The next `send` opens it anew.
        try:
            super().request(*arguments, **options)  # type: ignore[misc]
        except OSError:
            self.limit.record_break(self.sent_bytes)
            raise

    def getresponse(self) -> Any:
        import http.client

        try:
            response = super().getresponse()  # type: ignore[misc]
        except (OSError, http.client.HTTPException):
            self.limit.record_break(self.sent_bytes)
            raise
        self.limit.record_success(self.sent_bytes)
        return response

    def send(self, data: Any) -> None:
        super().send(data)  # type: ignore[misc]
        self.sent_bytes += len(data) if isinstance(data, bytes | bytearray | memoryview) else 0


def _pool_classes(stall_seconds: float, limit: ConnectionLimit, client_token: CancelToken | None) -> dict[str, Any]:
    """Return the pools by scheme, with connections that count what they send."""
    import urllib3

    settings = {"stall_seconds": stall_seconds, "limit": limit, "client_token": client_token}
    plain = type("PlainConnection", (_CountedConnection, urllib3.connection.HTTPConnection), settings)
    tls = type("TlsConnection", (_CountedConnection, urllib3.connection.HTTPSConnection), settings)
    return {
        "http": type("PlainPool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


def _socket_options() -> list[tuple[int, int, int]]:
    """Return the options of each connection: small requests leave at once, and few unsent bytes wait in the system."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES))
    return options


def environment_proxy(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for a URL; None: none."""
    import urllib.request
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


class EnvironmentProxies:
    """The proxies that the environment names. Kept for a while: each look-up reads the whole environment twice.

    Thread-safe.
    """

    _VALID_SECONDS = 10.0
    """After this time a proxy is looked up anew: on macOS and Windows the system's settings may have changed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[str, tuple[float, str | None]] = {}
        """Time of the look-up and the proxy, by scheme, host and port."""

    def proxy_of(self, url: str) -> str | None:
        """Return the URL of the proxy that the environment names for a URL; None: none."""
        server = "/".join(url.split("/", 3)[:3])
        looked_up_at, proxy_url = self._known.get(server, (-math.inf, None))
        if self._now() - looked_up_at > self._VALID_SECONDS:
            proxy_url = environment_proxy(url)
            self._known[server] = self._now(), proxy_url
        return proxy_url


def _proxy_headers(proxy_url: str) -> Mapping[str, str]:
    """Return the header that carries user and password of a proxy's URL."""
    from urllib.parse import unquote, urlsplit

    import urllib3

    parts = urlsplit(proxy_url)
    if parts.username is None:
        return {}
    return urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
