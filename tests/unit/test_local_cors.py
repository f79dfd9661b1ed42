"""CORS headers of the local gateway."""

from __future__ import annotations

import pytest

from dev.local import cors
from dev.local.apigw_event import GatewayRequest
from dev.local.lambda_response import GatewayResponse
from dev.local.stack import CorsRules

RULES = CorsRules(
    ("https://app.example",), ("GET", "POST"), ("authorization",), ("etag",), 600, allow_credentials=False
)


def request(method: str = "POST", **headers: str) -> GatewayRequest:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return GatewayRequest(method, b"/chunk", b"", pairs, b"", "127.0.0.1")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", "https://app.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("https://web.localhost", "https://web.localhost"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("null", "null"),
        ("https://evil.example", None),
        ("http://localhost.evil.example", None),
        ("http://127.0.0.1.evil.example", None),
    ],
)
def test_allowed_origins_get_cors_headers(origin: str, allowed: str | None) -> None:
    """The template's origins, every loopback origin and `null` are allowed, in preflights and in responses."""
    preflight = cors.preflight_response(RULES, request("OPTIONS", origin=origin, access_control_request_method="POST"))
    plain = cors.with_cors_headers(
        RULES, request(origin=origin), GatewayResponse(200, (("access-control-allow-origin", "*"),))
    )
    assert preflight is not None
    assert preflight.status == 204
    for response in (preflight, plain):
        headers = dict(response.headers)
        assert headers.get("access-control-allow-origin") == allowed
        assert headers.get("access-control-expose-headers") == ("etag" if allowed else None)
    assert dict(preflight.headers).get("access-control-max-age") == ("600" if allowed else None)


def test_request_without_origin_gets_no_cors_headers() -> None:
    """Without Origin there are no CORS headers, and OPTIONS alone is no preflight."""
    assert cors.with_cors_headers(RULES, request(), GatewayResponse(200)).headers == ()
    assert cors.preflight_response(RULES, request("OPTIONS")) is None
    assert cors.preflight_response(None, request("OPTIONS", origin="null", access_control_request_method="GET")) is None
