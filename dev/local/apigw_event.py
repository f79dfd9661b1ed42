"""Events as an API Gateway HTTP API shapes them: payload format version 2.0."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from dev.local.routing import RouteMatch
from dev.local.stack import ACCOUNT_ID

_TEXT_MEDIA_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
_HOP_BY_HOP = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """A request as it came over the wire; the path and the query still percent-encoded."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    client_ip: str
    protocol: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        """The path in ASCII: what a client sent unescaped is escaped."""
        return quote(self.raw_path, safe=_PRINTABLE_ASCII)

    def header(self, name: str) -> str:
        """The header's values joined by commas, or an empty string. `name` in lower case."""
        return ",".join(_decode_header(value) for key, value in self.headers if _decode_header(key).lower() == name)

    def head_size_bytes(self) -> int:
        """Bytes of the request line and the headers, line ends included."""
        line = (
            len(self.method) + len(self.raw_path) + len(self.raw_query) + bool(self.raw_query) + len(self.protocol) + 4
        )
        return line + sum(len(name) + len(value) + 4 for name, value in self.headers) + 2


def new_request_id() -> str:
    """Like API Gateway's: 16 characters of base64."""
    return base64.b64encode(secrets.token_bytes(11)).decode()


def is_text_type(content_type: str) -> bool:
    """Whether API Gateway hands a body of this type on as text, rather than in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_MEDIA_TYPES


def build_event(
    request: GatewayRequest, match: RouteMatch, *, request_id: str, now_seconds: float | None = None
) -> dict[str, Any]:
    """The event for a request that matched a route. `now` in seconds since the epoch."""
    at = time.time() if now_seconds is None else now_seconds
    headers, cookies = _event_headers(request, at)
    # API Gateway decodes the path before a function sees it, and cuts it at a `?` that comes to light.
    path = unquote(request.path).partition("?")[0]
    host = headers.get("host", "")
    domain = host.rpartition(":")[0] or host
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": path,
        "rawQueryString": quote(request.raw_query, safe=_PRINTABLE_ASCII),
        "headers": headers,
        "requestContext": {
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
            "requestId": request_id,
            "routeKey": match.route.key,
            "stage": "$default",
            "time": datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(at * 1000),
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


def _event_headers(request: GatewayRequest, now_seconds: float) -> tuple[dict[str, str], list[str]]:
    """Names in lower case, duplicates joined by commas; the cookies apart."""
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
    """Decoded; duplicates joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _decode_header(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
