"""A small document from the web, bounded in time and size: the only thing that Ferry asks of anybody but AWS."""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from urllib.parse import urlsplit

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


class FetchError(Exception):
    """There is no such document to be had now. Says what happened, and nothing that the other side has said."""


def check_url(url: str, *, allow_http_on_loopback: bool) -> None:
    """Raises `ValueError`: not https, or not a plain address. Only this machine may be asked over http, if at all."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and allow_http_on_loopback and parts.hostname in LOOPBACK_HOSTS
    if not (parts.scheme == "https" or plain) or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"{url} cannot be asked for a document: it must be https://host/path")


def fetch(url: str, *, timeout_seconds: float, max_bytes: int) -> bytes:
    """The body of a 200 answer of at most `most` bytes. A redirect is not followed.

    Raises:
        NotFetched: within `seconds` in all, however slowly the other side, or the name server, goes on talking.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_seconds, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_seconds)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    question = _FetchThread(connection, target, max_bytes)
    question.start()
    try:
        got = question.result.get(timeout=timeout_seconds)
    except queue.Empty:
        question.abort()
        raise FetchError(f"no whole answer within {timeout_seconds:g} s") from None
    if isinstance(got, FetchError):
        raise got
    return got


class _FetchThread(threading.Thread):
    """Asks, and puts what came of it into `outcome`. A socket's time-out is one for each of its bytes: only somebody
    else, who looks at the clock, can end the whole.
    """

    def __init__(self, connection: http.client.HTTPConnection, target: str, max_bytes: int) -> None:
        super().__init__(daemon=True)
        self.result: queue.SimpleQueue[bytes | FetchError] = queue.SimpleQueue()
        self._connection = connection
        self._target = target
        self._max_bytes = max_bytes
        self._socket: socket.socket | None = None

    def abort(self) -> None:
        """End it, whatever it waits for."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._connection.connect()
            # An answer without a length takes it from the connection.
            self._socket = self._connection.sock
            self.result.put(self._read_body())
        except FetchError as error:
            self.result.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.result.put(FetchError(type(error).__qualname__))
        finally:
            self._connection.close()

    def _read_body(self) -> bytes:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "ferry"}
        self._connection.request("GET", self._target, headers=asked)
        with self._connection.getresponse() as response:
            if response.status != 200:
                raise FetchError(f"answered {response.status}")
            body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise FetchError(f"more than {self._max_bytes} bytes")
        return body
