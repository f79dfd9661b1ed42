"""Answers, before they are put into the gateway's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers and a body; bytes go out as they are, text as UTF-8. None is no body.

    `counts` are metrics, by name (`ferry.http.metrics`); `noted` is what the audit event says of it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)
    audit_fields: Mapping[str, Any] = field(default_factory=dict)

    def with_metrics(self, **metrics: int) -> Response:
        return replace(self, metrics=metrics)

    def with_audit(self, **audit_fields: Any) -> Response:
        return replace(self, audit_fields=audit_fields)


def json_response(
    status: int, content: object, headers: Mapping[str, str] | None = None, *, media_type: str = JSON
) -> Response:
    """`content` as JSON. Nothing is cached unless `headers` say so: answers tell states, and URLs that are secrets."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    base = {
        "Content-Type": media_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(status, {**base, **(headers or {})}, text)


def empty_response(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"Cache-Control": "no-store", **(headers or {})})
