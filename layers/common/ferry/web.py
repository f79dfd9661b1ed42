"""A small document from the web, bounded in time and size: the only thing that Ferry asks of anybody but AWS."""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NotFetched(Exception):
    """There is no such document to be had now. Says what happened, and nothing that the other side has said."""


def check_url(url: str, *, plain_on_loopback: bool) -> None:
    """Raises `ValueError`: not https, or not a plain address. Only this machine may be asked over http, if at all."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and plain_on_loopback and parts.hostname in LOOPBACK
    if not (parts.scheme == "https" or plain) or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"{url} cannot be asked for a document: it must be https://host/path")


def fetch(url: str, *, seconds: float, most: int) -> bytes:
    """The body of a 200 answer of at most `most` bytes. A redirect is not followed.

    Raises:
        NotFetched: within `seconds` in all, however slowly the other side, or the name server, goes on talking.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=seconds, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    question = _Question(connection, target, most)
    question.start()
    try:
        got = question.outcome.get(timeout=seconds)
    except queue.Empty:
        question.hang_up()
        raise NotFetched(f"no whole answer within {seconds:g} s") from None
    if isinstance(got, NotFetched):
        raise got
    return got


class _Question(threading.Thread):
    """Asks, and puts what came of it into `outcome`. A socket's time-out is one for each of its bytes: only somebody
    else, who looks at the clock, can end the whole.
    """

    def __init__(self, connection: http.client.HTTPConnection, target: str, most: int) -> None:
        super().__init__(daemon=True)
        self.outcome: queue.SimpleQueue[bytes | NotFetched] = queue.SimpleQueue()
        self._connection = connection
        self._target = target
        self._most = most
        self._socket: socket.socket | None = None

    def hang_up(self) -> None:
        """End it, whatever it waits for."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._connection.connect()
            # An answer without a length takes it from the connection.
            self._socket = self._connection.sock
            self.outcome.put(self._ask())
        except NotFetched as error:
            self.outcome.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.outcome.put(NotFetched(type(error).__qualname__))
        finally:
            self._connection.close()

    def _ask(self) -> bytes:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "ferry"}
        self._connection.request("GET", self._target, headers=asked)
        with self._connection.getresponse() as response:
            if response.status != 200:
                raise NotFetched(f"answered {response.status}")
            body = response.read(self._most + 1)
        if len(body) > self._most:
            raise NotFetched(f"more than {self._most} bytes")
        return body
