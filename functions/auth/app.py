"""The auth function: tokens, the keys to check them with, and what describes the service."""

from __future__ import annotations

from ferry import __version__, wiring
from ferry.auth.issuer import issue, public_key_set
from ferry.auth.key_cache import jwks
from ferry.http import token
from ferry.http.openapi import openapi_response
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

app = create_app()
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)

# As long as verifiers keep keys themselves.
JWKS_CACHE_CONTROL = "public, max-age=60"


@app.public("POST /auth/token", error_handler=token.error_response, audit_event="token.issue")
def issue_token(request: Request) -> Response:
    wanted = token.token_request(request)
    return token.token_response(issue(wiring.token_issuer(), wanted))


@app.public("GET /.well-known/jwks.json")
def get_jwks(_: Request) -> Response:
    return json_response(200, jwks(public_key_set(wiring.token_issuer())), {"Cache-Control": JWKS_CACHE_CONTROL})


@app.public("GET /openapi.json")
def get_openapi(_: Request) -> Response:
    return openapi_response()


@app.public("GET /health")
def get_health(_: Request) -> Response:
    return json_response(200, {"status": "ok", "version": __version__})
