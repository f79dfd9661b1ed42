"""CORS as an HTTP API does it from its CorsConfiguration; here every loopback origin and `null` are allowed besides."""

from __future__ import annotations

import re

from local.answers import Answer
from local.events import Request
from local.stack import CorsRules

_LOOPBACK = re.compile(r"https?://((?:[\w-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_OWN = frozenset(
    f"access-control-{name}"
    for name in ("allow-origin", "allow-methods", "allow-headers", "allow-credentials", "expose-headers", "max-age")
)


def allowed_origin(rules: CorsRules, origin: str) -> str | None:
    """The value of Access-Control-Allow-Origin for an origin, or None when it may not call."""
    if "*" in rules.origins:
        return "*"
    if origin in rules.origins or origin == "null" or _LOOPBACK.fullmatch(origin):
        return origin
    return None


def preflight(rules: CorsRules | None, request: Request) -> Answer | None:
    """The answer to a preflight, which the gateway gives by itself; None when the request is none."""
    if rules is None or request.method != "OPTIONS":
        return None
    origin, wanted = request.header("origin"), request.header("access-control-request-method")
    if not origin or not wanted:
        return None
    allowed = allowed_origin(rules, origin)
    if allowed is None:
        return Answer(204)
    headers = [
        ("access-control-allow-origin", allowed),
        ("access-control-allow-methods", ",".join(rules.methods)),
        ("access-control-allow-headers", ",".join(rules.allow_headers)),
    ]
    if rules.max_age is not None:
        headers.append(("access-control-max-age", str(rules.max_age)))
    return Answer(204, (*headers, *_shared(rules)))


def decorate(rules: CorsRules | None, request: Request, answer: Answer) -> Answer:
    """The answer with the gateway's CORS headers instead of the function's own."""
    if rules is None:
        return answer
    headers = tuple((name, value) for name, value in answer.headers if name not in _OWN)
    origin = request.header("origin")
    allowed = allowed_origin(rules, origin) if origin else None
    if allowed is not None:
        headers = (*headers, ("access-control-allow-origin", allowed), *_shared(rules))
    return Answer(answer.status, headers, answer.body)


def _shared(rules: CorsRules) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if rules.expose_headers:
        found.append(("access-control-expose-headers", ",".join(rules.expose_headers)))
    if rules.credentials:
        found.append(("access-control-allow-credentials", "true"))
    return tuple(found)
