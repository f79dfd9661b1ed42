"""CORS as an HTTP API does it from its CorsConfiguration; here every loopback origin and `null` are allowed besides."""

from __future__ import annotations

import re

from dev.local.apigw_event import GatewayRequest
from dev.local.lambda_response import GatewayResponse
from dev.local.stack import CorsRules

_LOOPBACK_ORIGIN = re.compile(r"https?://((?:[\w-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_CORS_HEADERS = frozenset(
    f"access-control-{name}"
    for name in ("allow-origin", "allow-methods", "allow-headers", "allow-credentials", "expose-headers", "max-age")
)


def allowed_origin(rules: CorsRules, origin: str) -> str | None:
    """The value of Access-Control-Allow-Origin for an origin, or None when it may not call."""
    if "*" in rules.origins:
        return "*"
    if origin in rules.origins or origin == "null" or _LOOPBACK_ORIGIN.fullmatch(origin):
        return origin
    return None


def preflight_response(rules: CorsRules | None, request: GatewayRequest) -> GatewayResponse | None:
    """The answer to a preflight, which the gateway gives by itself; None when the request is none."""
    if rules is None or request.method != "OPTIONS":
        return None
    origin, wanted = request.header("origin"), request.header("access-control-request-method")
    if not origin or not wanted:
        return None
    allowed = allowed_origin(rules, origin)
    if allowed is None:
        return GatewayResponse(204)
    headers = [
        ("access-control-allow-origin", allowed),
        ("access-control-allow-methods", ",".join(rules.methods)),
        ("access-control-allow-headers", ",".join(rules.allow_headers)),
    ]
    if rules.max_age_seconds is not None:
        headers.append(("access-control-max-age", str(rules.max_age_seconds)))
    return GatewayResponse(204, (*headers, *_common_headers(rules)))


def with_cors_headers(rules: CorsRules | None, request: GatewayRequest, response: GatewayResponse) -> GatewayResponse:
    """The answer with the gateway's CORS headers instead of the function's own."""
    if rules is None:
        return response
    headers = tuple((name, value) for name, value in response.headers if name not in _CORS_HEADERS)
    origin = request.header("origin")
    allowed = allowed_origin(rules, origin) if origin else None
    if allowed is not None:
        headers = (*headers, ("access-control-allow-origin", allowed), *_common_headers(rules))
    return GatewayResponse(response.status, headers, response.body)


def _common_headers(rules: CorsRules) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if rules.expose_headers:
        found.append(("access-control-expose-headers", ",".join(rules.expose_headers)))
    if rules.allow_credentials:
        found.append(("access-control-allow-credentials", "true"))
    return tuple(found)
