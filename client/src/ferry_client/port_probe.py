"""Find out whether a port speaks the other one of HTTP and HTTPS than the URL says."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

_MAX_PROBE_SECONDS = 3.0
"""How long a server may take to respond to a probe."""

_PLAIN_PROBE = b"HEAD / HTTP/1.0\r\n\r\n"
"""A request without a secret."""


class PortProbe:
    """What the servers of a client speak: each that has never responded is asked once. Thread-safe."""

    def __init__(self, connect_seconds: float) -> None:
        self._seconds = min(_MAX_PROBE_SECONDS, connect_seconds)
        self._lock = threading.Lock()
        self._speaks_other: dict[str, bool] = {}
        """Whether a server speaks the other scheme, by scheme, host and port."""

    def record_response(self, url: str) -> None:
        """Record a response: the server of a URL speaks its scheme."""
        self._speaks_other.setdefault(_origin(url), False)

    def speaks_other_scheme(self, url: str) -> bool:
        """Return whether the server of a URL has never responded, and speaks HTTPS where the URL says HTTP, or HTTP."""
        origin = _origin(url)
        with self._lock:  # Requests that fail together ask once.
            if origin not in self._speaks_other:
                is_tls = origin.startswith("https://")
                self._speaks_other[origin] = (_speaks_http if is_tls else _speaks_tls)(urlsplit(origin), self._seconds)
            return self._speaks_other[origin]


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL: no secret is kept."""
    return "/".join(url.split("/", 3)[:3])


def _speaks_tls(server: SplitResult, seconds: float) -> bool:
    """Return whether a server begins a TLS handshake. Its certificate is not verified: nothing is sent."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.hostname, server.port or 80), seconds) as connection,
            context.wrap_socket(connection, server_hostname=server.hostname),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False


def _speaks_http(server: SplitResult, seconds: float) -> bool:
    """Return whether a server responds to plain HTTP, other than to reject it: many ports of TLS do that with 400."""
    with suppress(OSError, ValueError):
        with socket.create_connection((server.hostname, server.port or 443), seconds) as connection:
            connection.sendall(_PLAIN_PROBE)
            version, _, rest = connection.recv(64).partition(b" ")
        return version.startswith(b"HTTP/1.") and not rest.startswith(b"400")
    return False
