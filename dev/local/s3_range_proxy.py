"""Serve ranged GET requests as S3 does, in front of SeaweedFS.

SeaweedFS ignores If-Range, and rejects malformed ranges and dates that S3 ignores. The gateway redirects requests with
such headers to this proxy. All other requests, and every upload, go to SeaweedFS itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from dev.local.asgi import send_empty, serve_connection
from dev.local.lambda_response import GatewayResponse
from dev.local.sigv4 import is_local_host
from ferry.rules import conditions, ranges
from ferry.rules.conditions import Conditions, PreconditionResult, Validators

Headers = Iterable[tuple[bytes, bytes]]

_CONDITIONAL_HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
_DATE_HEADERS = ("if-modified-since", "if-unmodified-since")
_REPLACED_HEADERS = {"host", "connection", "range", *_CONDITIONAL_HEADERS}
_SIMPLE_RANGE = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_MAX_SIZE_BYTES = 10**18
_READ_SIZE_BYTES = 1024 * 1024


def needs_proxy(headers: Headers) -> bool:
    """Return whether SeaweedFS would handle the request in another way than S3."""
    sent = _decode_headers(headers)
    range_header = sent.get("range")
    simple = range_header is None or (_SIMPLE_RANGE.fullmatch(range_header) and not _is_ignored_range(range_header))
    bad_date = any(
        name in sent and conditions.parse_http_date(sent[name], _now_seconds()) is None for name in _DATE_HEADERS
    )
    return "if-range" in sent or not simple or bad_date


def rewrite_redirect(response: GatewayResponse, from_origin: str, to_origin: str) -> GatewayResponse:
    """Return a redirect with `from_origin` in its Location replaced by `to_origin`."""
    headers = tuple(
        (
            name,
            to_origin + value.removeprefix(from_origin)
            if name == "location" and value.startswith(f"{from_origin}/")
            else value,
        )
        for name, value in response.headers
    )
    return replace(response, headers=headers)


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """A response of SeaweedFS."""

    status: int
    """The status code."""
    headers: list[tuple[bytes, bytes]]
    """Pairs of name (lower case) and value."""
    body: asyncio.StreamReader
    """The body, unread."""


class S3RangeProxy:
    """An ASGI application in front of SeaweedFS at a URL."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._host, self._port, self._authority = split.hostname, split.port, split.netloc

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await serve_connection(scope, receive, send, self._serve)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if not is_local_host(_decode_headers(scope["headers"]).get("host", "")):
            await send_empty(send, 403)
            return
        if scope["method"] not in ("GET", "OPTIONS"):
            await send_empty(send, 405)
            return
        forwarded = [
            (name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in _REPLACED_HEADERS
        ]
        async with contextlib.AsyncExitStack() as upstream:
            try:
                response = await upstream.enter_async_context(self._send_upstream(scope, forwarded))
                if scope["method"] == "GET" and response.status == 200:
                    header = equivalent_header(_decode_headers(scope["headers"]), response.headers)
                    if header is not None:
                        response = await upstream.enter_async_context(self._send_upstream(scope, [*forwarded, header]))
            except (OSError, asyncio.IncompleteReadError):
                await send_empty(send, 502)  # SeaweedFS is stopping
                return
            await _relay_response(response, receive, send)

    @contextlib.asynccontextmanager
    async def _send_upstream(self, scope: HTTPScope, headers: Headers) -> AsyncIterator[UpstreamResponse]:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        # The URL is signed for SeaweedFS's own address. In HTTP/1.0 the end of the connection ends the body.
        lines = [scope["method"].encode() + b" " + target + b" HTTP/1.0", b"host: " + self._authority.encode()]
        lines += [name + b": " + value for name, value in headers]
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_READ_SIZE_BYTES)
        try:
            writer.write(b"\r\n".join([*lines, b"", b""]))
            status, *found = (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
            pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in found)]
            yield UpstreamResponse(int(status.split()[1]), pairs, reader)
        finally:
            writer.close()


def equivalent_header(request_headers: Mapping[str, str], response_headers: Headers) -> tuple[bytes, bytes] | None:
    """Return the one header with which SeaweedFS responds as S3 does to these request headers.

    Args:
        request_headers: the client's headers, by name in lower case.
        response_headers: SeaweedFS's headers for the whole file.

    Returns:
        A header, or None when the whole file is the response.
    """
    found = _decode_headers(response_headers)
    now = _now_seconds()
    current = Validators(found["etag"], conditions.parse_http_date(found["last-modified"], now) or 0)
    request_conditions = Conditions(
        **{name.replace("-", "_"): request_headers[name] for name in _CONDITIONAL_HEADERS if name in request_headers}
    )
    outcome = conditions.evaluate_preconditions(request_conditions, current, now)
    if outcome is PreconditionResult.FAILED:
        return b"if-match", b'"none"'
    if outcome is PreconditionResult.NOT_MODIFIED:
        return b"if-none-match", current.etag.encode("latin-1")
    if "range" not in request_headers or not conditions.if_range_matches(request_conditions.if_range, current, now):
        return None
    size = int(found["content-length"])
    requested = ranges.parse_range(request_headers["range"], size)
    if isinstance(requested, ranges.Satisfiable):
        return b"range", f"bytes={requested.first}-{requested.last}".encode()
    return (b"range", f"bytes={size}-".encode()) if isinstance(requested, ranges.Unsatisfiable) else None


async def _relay_response(response: UpstreamResponse, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Send the response until its end, or until the client disconnects. A truncated body is not ended here either."""
    disconnected = asyncio.create_task(_wait_for_disconnect(receive))
    headers = [(name, value) for name, value in response.headers if name not in (b"connection", b"date")]
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False})
        remaining = 0 if response.status == 304 else int(_decode_headers(response.headers).get("content-length", 0))
        while remaining and not disconnected.done() and (data := await response.body.read(_READ_SIZE_BYTES)):
            remaining -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if not remaining:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        disconnected.cancel()


async def _wait_for_disconnect(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _decode_headers(headers: Headers) -> dict[str, str]:
    """Return the headers by name in lower case, values joined by commas."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _is_ignored_range(range_header: str) -> bool:
    return isinstance(ranges.parse_range(range_header, _MAX_SIZE_BYTES), ranges.Ignored)


def _now_seconds() -> int:
    return int(time.time())
