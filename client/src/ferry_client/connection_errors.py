"""Connections that fail, as people read them: which server, what is wrong, what to check."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from urllib.parse import urlsplit

from ferry_client.connections import checked_proxy

_DEFAULT_PORTS = {"http": 80, "https": 443}

_CHECK_SERVER = "check the host and port in the URL, and whether the service runs"
_CHECK_NAME = "check the URL and this machine's DNS"
_CHECK_NETWORK = "check this machine's network"
_CHECK_PROXY = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"

_EXPIRED, _NOT_YET_VALID, _WRONG_NAMES = 10, 9, (62, 64)
"""Codes of OpenSSL for certificates: `X509_V_ERR_...`."""


def describe(error: Exception, url: str, proxy_url: str | None) -> str:
    """Return what failed, with the server's host and port, and without the URL: a presigned one is a secret.

    Args:
        error: the exception of urllib3, `http.client` or the socket.
        url: what was requested.
        proxy_url: the proxy that was used; None: none.
    """
    import urllib3

    if isinstance(error, urllib3.exceptions.ProxyError) and proxy_url is not None:
        return _describe_proxy(error.original_error, _server(checked_proxy(proxy_url)))
    server = _server(url)
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return _describe_name(server, _CHECK_NAME)
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return _describe_connect(error, server, _CHECK_SERVER)
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"{server} did not accept a connection in time ({_CHECK_NETWORK}, and firewalls on the way)"
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return f"the connection to {server} stalled"
    if isinstance(error, urllib3.exceptions.SSLError):
        return _describe_tls(error, url)
    return f"the connection to {server} broke ({type(error).__name__})"


def describe_wrong_scheme(url: str) -> str:
    """Return what to use where a server speaks HTTPS and the URL says HTTP, or HTTP and the URL says HTTPS."""
    server = _server(url)
    if url.startswith("https://"):
        return f"{server} does not speak TLS; use http://{server}, which is not encrypted, or another port"
    return f"{server} speaks TLS; use https://{server}"


def may_be_wrong_scheme(error: Exception) -> bool:
    """Return whether a server that does not speak the URL's scheme can be why a connection ended."""
    import http.client

    import urllib3

    if isinstance(error, urllib3.exceptions.SSLError):
        return not isinstance(_tls_cause(error), ssl.SSLCertVerificationError)
    return isinstance(error, urllib3.exceptions.ProtocolError | http.client.HTTPException | ConnectionError)


def is_unknown_name(error: Exception) -> bool:
    """Return whether the name server says that there is no such host. A name server out of reach says nothing."""
    import urllib3

    if isinstance(error, urllib3.exceptions.ProxyError):
        error = error.original_error
    cause = error.__cause__
    unknown = [socket.EAI_NONAME, *([socket.EAI_NODATA] if hasattr(socket, "EAI_NODATA") else [])]
    is_name_error = isinstance(error, urllib3.exceptions.NameResolutionError)
    return is_name_error and isinstance(cause, socket.gaierror) and cause.errno in unknown


def is_unsent(error: Exception) -> bool:
    """Return whether a request failed before there was a connection to send it on."""
    import urllib3

    return isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _server(url: str) -> str:
    """Return host and port of a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)}"


def _describe_name(server: str, check: str) -> str:
    return f"the name {server.rpartition(':')[0]} does not resolve ({check})"


def _describe_connect(error: Exception, server: str, check: str) -> str:
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    if number == errno.ECONNREFUSED:
        return f"{server} does not accept connections ({check})"
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"there is no route to {server} ({_CHECK_NETWORK})"
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(error).__name__
    return f"no connection to {server}: {reason} ({check})"


def _describe_proxy(error: Exception, proxy: str) -> str:
    import urllib3

    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return _describe_name(proxy, _CHECK_PROXY).replace("the name", "the name of the proxy")
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "the proxy: " + _describe_connect(error, proxy, _CHECK_PROXY)
    if " 407 " in f"{error} ":
        return f"the proxy {proxy} asks for a user and password (set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT)"
    status = str(error).rpartition("Tunnel connection failed: ")[2]
    reason = f"responds with {status}" if status != str(error) else "did not connect"
    return f"the proxy {proxy} {reason} ({_CHECK_PROXY})"


def _tls_cause(error: Exception) -> BaseException | None:
    """Return the error of the standard library in one of urllib3."""
    return error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error.__cause__


def _describe_tls(error: Exception, url: str) -> str:
    cause, server = _tls_cause(error), _server(url)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return describe_wrong_scheme(url)
        reason = cause.reason if isinstance(cause, ssl.SSLError) and cause.reason else type(cause).__name__
        return f"the TLS handshake with {server} failed ({reason})"
    if cause.verify_code in (_EXPIRED, _NOT_YET_VALID):
        state = "has expired" if cause.verify_code == _EXPIRED else "is not valid yet"
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return f"the certificate of {server} {state} (check this machine's clock, which says {now})"
    if cause.verify_code in _WRONG_NAMES:
        return f"the certificate of {server} is for other names (check the host in the URL)"
    return (
        f"the certificate of {server} is of an authority that this machine does not trust "
        "(own certificate authority: --ca-file or FERRY_CA_FILE; in Python ca_file)"
    )
