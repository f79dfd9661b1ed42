"""Fetch a small document over HTTPS, bounded in time and size. An external issuer's key set is the only one."""

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
    """The document could not be fetched. The message holds nothing that the server sent."""


def check_url(url: str, *, allow_http_on_loopback: bool) -> None:
    """Raise `ValueError` unless the URL is https, without credentials and fragment.

    Args:
        url: the URL to check.
        allow_http_on_loopback: also accept http to this machine, which emulators use.
    """
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and allow_http_on_loopback and parts.hostname in LOOPBACK_HOSTS
    if not (parts.scheme == "https" or is_local) or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"{url} is not a URL of the form https://host/path")


def fetch(url: str, *, timeout_seconds: float, max_bytes: int) -> bytes:
    """Return the body of a 200 response. Redirects are not followed.

    Raises:
        FetchError: another status, more than `max_bytes`, no complete response within `timeout_seconds` (name
            resolution included), or the connection failed.
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
    thread = _FetchThread(connection, target, max_bytes)
    thread.start()
    try:
        result = thread.result.get(timeout=timeout_seconds)
    except queue.Empty:
        thread.abort()
        raise FetchError(f"no complete response within {timeout_seconds:g} s") from None
    if isinstance(result, FetchError):
        raise result
    return result


class _FetchThread(threading.Thread):
    """Sends the request and puts the body or the error into `result`.

    A socket's timeout applies to each read, so a slow server could hold the request open forever. The caller waits for
    `result` with a timeout of its own, then aborts.
    """

    def __init__(self, connection: http.client.HTTPConnection, target: str, max_bytes: int) -> None:
        super().__init__(daemon=True)
        self.result: queue.SimpleQueue[bytes | FetchError] = queue.SimpleQueue()
        self._connection = connection
        self._target = target
        self._max_bytes = max_bytes
        self._socket: socket.socket | None = None

    def abort(self) -> None:
        """Shut the socket down, which ends a read that waits."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._connection.connect()
            # http.client takes the socket out of the connection for a response without a length; `abort` needs it.
            self._socket = self._connection.sock
            self.result.put(self._read_body())
        except FetchError as error:
            self.result.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.result.put(FetchError(type(error).__qualname__))
        finally:
            self._connection.close()

    def _read_body(self) -> bytes:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "ferry"}
        self._connection.request("GET", self._target, headers=headers)
        with self._connection.getresponse() as response:
            if response.status != 200:
                raise FetchError(f"status {response.status} instead of 200")
            body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise FetchError(f"more than {self._max_bytes} bytes")
        return body
