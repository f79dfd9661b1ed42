"""Add CORS headers as an HTTP API does from its CorsConfiguration. Loopback origins and `null` are allowed too."""

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
    """Return the value of Access-Control-Allow-Origin, or None for an origin that is not allowed."""
    if "*" in rules.origins:
        return "*"
    if origin in rules.origins or origin == "null" or _LOOPBACK_ORIGIN.fullmatch(origin):
        return origin
    return None


def preflight_response(rules: CorsRules | None, request: GatewayRequest) -> GatewayResponse | None:
    """Return the response to a preflight request, or None for any other request."""
    if rules is None or request.method != "OPTIONS":
        return None
    origin, requested_method = request.header("origin"), request.header("access-control-request-method")
    if not origin or not requested_method:
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
    """Return the response with the gateway's CORS headers in place of the function's own."""
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
