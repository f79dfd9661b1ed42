"""Build the event of a request as an HTTP API does (payload format 2.0)."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pybase64

from dev.local.pool import Event
from dev.local.routing import RouteMatch
from dev.local.stack import ACCOUNT_ID

_TEXT_MEDIA_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
_TEXT_TYPES_WITH_CHARSET = frozenset({"application/json", "text/plain"})
_HOP_BY_HOP = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """A request as it was received."""

    method: str
    """The HTTP method."""
    raw_path: bytes
    """The path, percent-encoded."""
    raw_query: bytes
    """The query without `?`, percent-encoded."""
    headers: Sequence[tuple[bytes, bytes]]
    """Pairs of name and value."""
    body: bytes
    """The request body."""
    client_ip: str
    """The client's address."""
    protocol: str = "HTTP/1.1"
    """The HTTP version."""

    @property
    def path(self) -> str:
        """The path in ASCII, with every other byte percent-encoded."""
        return quote(self.raw_path, safe=_PRINTABLE_ASCII)

    def header(self, name: str) -> str:
        """Return the values of a header (`name` in lower case) joined by commas, or an empty string."""
        return ",".join(_decode_header(value) for key, value in self.headers if _decode_header(key).lower() == name)

    def head_size_bytes(self) -> int:
        """Return the size of the request line and the headers, line ends included."""
        line = (
            len(self.method) + len(self.raw_path) + len(self.raw_query) + bool(self.raw_query) + len(self.protocol) + 4
        )
        return line + sum(len(name) + len(value) + 4 for name, value in self.headers) + 2


def new_request_id() -> str:
    """Return a request id like API Gateway's: 16 characters of base64."""
    return base64.b64encode(secrets.token_bytes(11)).decode()


def is_text_type(content_type: str) -> bool:
    """Return whether API Gateway passes a body of this type as text. It passes others in base64.

    With parameters only two types seem to stay text, with `charset=utf-8`. Functions read either form.
    """
    kind, _, parameters = (part.strip().lower() for part in content_type.partition(";"))
    if parameters:
        return kind in _TEXT_TYPES_WITH_CHARSET and parameters == "charset=utf-8"
    return kind.startswith("text/") or kind in _TEXT_MEDIA_TYPES


def build_event(
    request: GatewayRequest, match: RouteMatch, *, request_id: str, now_seconds: float | None = None
) -> dict[str, Any]:
    """Return the event for a request and its route. `now_seconds` is the Unix time, by default the current one."""
    at = time.time() if now_seconds is None else now_seconds
    headers, cookies = _event_headers(request, at)
    # API Gateway decodes the path, and cuts it at a `?` that the decoding yields.
    path = unquote(request.path).partition("?")[0]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": path,
        "rawQueryString": quote(request.raw_query, safe=_PRINTABLE_ASCII),
        "headers": headers,
        "requestContext": {
            **_request_context(request, headers, path, at),
            "requestId": request_id,
            "routeKey": match.route.key,
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query := _query_parameters(event["rawQueryString"]):
        event["queryStringParameters"] = query
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    if request.body:
        text = is_text_type(headers.get("content-type", ""))
        event["body"] = (
            request.body.decode("utf-8", "replace") if text else base64.b64encode(request.body).decode("ascii")
        )
        event["isBase64Encoded"] = not text
    return event


def _request_context(
    request: GatewayRequest, headers: Mapping[str, str], path: str, now_seconds: float
) -> dict[str, Any]:
    """Return the context of a request, without its id and its route."""
    host = headers.get("host", "")
    domain = host.rpartition(":")[0] or host
    return {
        "accountId": ACCOUNT_ID,
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.client_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "stage": "$default",
        "time": datetime.fromtimestamp(now_seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now_seconds * 1000),
    }


def encode_event(request: GatewayRequest, match: RouteMatch, *, request_id: str) -> Event:
    """Return the event for a request and its route as a JSON text.

    A body in base64 is a piece of its own: nothing in it needs an escape, and nothing copies it.
    """
    bodiless = build_event(replace(request, body=b""), match, request_id=request_id)
    bodiless["headers"]["content-length"] = str(len(request.body))
    if not request.body or is_text_type(bodiless["headers"].get("content-type", "")):
        if request.body:
            bodiless["body"] = request.body.decode("utf-8", "replace")
        return _to_json(bodiless)
    bodiless["isBase64Encoded"] = True
    return _to_json(bodiless)[:-1] + b', "body": "', pybase64.b64encode(request.body), b'"}'


def _to_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _event_headers(request: GatewayRequest, now_seconds: float) -> tuple[dict[str, str], list[str]]:
    """Return the headers (names in lower case, duplicates joined by commas) and the cookies."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in request.headers:
        name, value = _decode_header(raw_name).lower(), _decode_header(raw_value)
        if name == "cookie":
            cookies.extend(part for part in (item.strip() for item in value.split(";")) if part)
        elif name not in _HOP_BY_HOP:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    headers["content-length"] = str(len(request.body))
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(now_seconds):08x}-{secrets.token_hex(12)}")
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.client_ip}" if forwarded else request.client_ip
    headers["x-forwarded-port"] = headers.get("host", "").rpartition(":")[2] if ":" in headers.get("host", "") else "80"
    headers["x-forwarded-proto"] = "http"
    return headers, cookies


def _query_parameters(raw: str) -> dict[str, str]:
    """Return the decoded parameters, duplicates joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _decode_header(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
