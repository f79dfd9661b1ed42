"""Responses, before they get the gateway's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ferry.http.json_values import to_json

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class IssuedUrls:
    """What the audit log says of presigned URLs: neither the URLs nor the keys of the objects."""

    method: str
    """The method that they are signed for: GET of a file, PUT of parts."""
    count: int
    """How many there are."""
    expires_at: int
    """When the last of them stops working, in epoch milliseconds."""
    filename: str
    """The file's name, which is logged with `LogFileNames` only."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response of a route."""

    status: int
    """The HTTP status code."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header fields, without `X-Request-Id`, which the router adds."""
    body: bytes | str | None = None
    """The content: bytes are sent as they are, text as UTF-8; None for no content."""
    metrics: Mapping[str, int] = field(default_factory=dict)
    """Metrics to emit with the response, by name (`ferry.http.metrics`)."""
    error_code: str = ""
    """The code of the error, which is counted; empty for other responses. The router sets it."""
    audit_fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields to add to the audit event of the request."""
    audit_event: str = ""
    """The audit event of this response, on a route that has none for each request; empty for none."""
    issued_urls: IssuedUrls | None = None
    """The presigned URLs in the response, for the audit event `url.issue`; None without any."""

    def with_metrics(self, **metrics: int) -> Response:
        return replace(self, metrics=metrics)

    def with_audit(self, **audit_fields: Any) -> Response:
        return replace(self, audit_fields={**self.audit_fields, **audit_fields})

    def with_audit_event(self, event: str, **audit_fields: Any) -> Response:
        return replace(self.with_audit(**audit_fields), audit_event=event)

    def with_issued_urls(self, issued_urls: IssuedUrls) -> Response:
        return replace(self, issued_urls=issued_urls)


def json_response(
    status: int, content: object, headers: Mapping[str, str] | None = None, *, media_type: str = JSON
) -> Response:
    """Return a response whose body is `content`, a dataclass of `ferry.http.responses`.

    Without a `Cache-Control` in `headers` no cache may store it: bodies hold states, which change, and presigned URLs,
    which are secrets.
    """
    text = json.dumps(to_json(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    base = {
        "Content-Type": media_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(status, {**base, **(headers or {})}, text)


def empty_response(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response without content."""
    return Response(status, {"Cache-Control": "no-store", **(headers or {})})
