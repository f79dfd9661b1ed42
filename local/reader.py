"""S3's reading of ranges, in front of SeaweedFS.

SeaweedFS does not know If-Range, and refuses ranges and dates that are none, which S3 passes over. Where a request
would meet the difference, the gateway redirects it here instead; all others, and every upload, go to SeaweedFS itself.
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

from ferry import conditions, ranges
from ferry.conditions import Conditions, Outcome, Validators
from local.answers import Answer
from local.asgi import answer_empty, lifespan

Headers = Iterable[tuple[bytes, bytes]]

_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
_DATES = ("if-modified-since", "if-unmodified-since")
_OWN = {"host", "connection", "range", *_CONDITIONS}
_PLAIN = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_LARGEST = 10**18
_PIECE = 1024 * 1024


def is_needed(headers: Headers) -> bool:
    """Whether SeaweedFS would read the request otherwise than S3."""
    sent = _texts(headers)
    asked = sent.get("range")
    plain = asked is None or (_PLAIN.fullmatch(asked) and not _is_ignored(asked))
    no_date = any(name in sent and conditions.parse_date(sent[name], _now()) is None for name in _DATES)
    return "if-range" in sent or not plain or no_date


def moved(answer: Answer, here: str, there: str) -> Answer:
    """The redirect to an address under `here` as one to the same under `there`."""
    headers = tuple(
        (name, there + value.removeprefix(here) if name == "location" and value.startswith(f"{here}/") else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers)


@dataclass(frozen=True, slots=True)
class Upstream:
    """An answer, its body still to be read to its end."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: asyncio.StreamReader


class Reader:
    """An ASGI application in front of the S3 stand-in at that URL."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._host, self._port, self._authority = split.hostname, split.port, split.netloc

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["method"] not in ("GET", "OPTIONS"):
            await answer_empty(send, 405)
            return
        plain = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in _OWN]
        async with contextlib.AsyncExitStack() as asking:
            try:
                answer = await asking.enter_async_context(self._ask(scope, plain))
                if scope["method"] == "GET" and answer.status == 200:
                    told = instead(_texts(scope["headers"]), answer.headers)
                    if told is not None:
                        answer = await asking.enter_async_context(self._ask(scope, [*plain, told]))
            except (OSError, asyncio.IncompleteReadError):
                await answer_empty(send, 502)  # it is stopping
                return
            await _pass_on(answer, receive, send)

    @contextlib.asynccontextmanager
    async def _ask(self, scope: HTTPScope, headers: Headers) -> AsyncIterator[Upstream]:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        # The URL is signed for SeaweedFS's own address. In HTTP/1.0 a body ends where the connection does.
        lines = [scope["method"].encode() + b" " + target + b" HTTP/1.0", b"host: " + self._authority.encode()]
        lines += [name + b": " + value for name, value in headers]
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_PIECE)
        try:
            writer.write(b"\r\n".join([*lines, b"", b""]))
            status, *found = (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
            pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in found)]
            yield Upstream(int(status.split()[1]), pairs, reader)
        finally:
            writer.close()


def instead(sent: Mapping[str, str], whole: Headers) -> tuple[bytes, bytes] | None:
    """The one header by which SeaweedFS answers as S3 would, or None when the whole, which has those headers, is the
    answer.
    """
    found = _texts(whole)
    now = _now()
    current = Validators(found["etag"], conditions.parse_date(found["last-modified"], now) or 0)
    given = Conditions(**{name.replace("-", "_"): sent[name] for name in _CONDITIONS if name in sent})
    outcome = conditions.evaluate(given, current, now)
    if outcome is Outcome.FAILED:
        return b"if-match", b'"none"'
    if outcome is Outcome.NOT_MODIFIED:
        return b"if-none-match", current.etag.encode("latin-1")
    if "range" not in sent or not conditions.range_applies(given.if_range, current, now):
        return None
    size = int(found["content-length"])
    asked = ranges.parse(sent["range"], size)
    if isinstance(asked, ranges.Satisfiable):
        return b"range", f"bytes={asked.first}-{asked.last}".encode()
    return (b"range", f"bytes={size}-".encode()) if isinstance(asked, ranges.Unsatisfiable) else None


async def _pass_on(answer: Upstream, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """All of it, or until the client has gone. A body that is cut short there is cut short here: by not ending it."""
    gone = asyncio.create_task(_gone(receive))
    headers = [(name, value) for name, value in answer.headers if name not in (b"connection", b"date")]
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
        left = 0 if answer.status == 304 else int(_texts(answer.headers).get("content-length", 0))
        while left and not gone.done() and (piece := await answer.body.read(_PIECE)):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not left:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()


async def _gone(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _texts(headers: Headers) -> dict[str, str]:
    """By name in lower case, values joined by commas."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _is_ignored(asked: str) -> bool:
    return isinstance(ranges.parse(asked, _LARGEST), ranges.Ignored)


def _now() -> int:
    return int(time.time())
