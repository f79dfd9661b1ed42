"""The auth function: access tokens of clients and links, the public keys, the OpenAPI document and the health check.

Routes import the response body that they use, because a cold start waits for what is imported.
"""

from __future__ import annotations

from ferry import __version__, wiring
from ferry.auth.issuer import issue, public_key_set
from ferry.http import link_requests, token
from ferry.http.openapi import openapi_response
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

app = create_app()
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.token_issuer, wiring.links, json_bodies=True, modules=("ferry.links.tokens",))

JWKS_CACHE_CONTROL = "public, max-age=60"
"""Public keys may be cached for as long as Ferry's own verifiers cache them."""


@app.public("POST /auth/token", error_handler=token.error_response, audit_event="token.issue")
def issue_token(request: Request) -> Response:
    return token.token_response(issue(wiring.token_issuer(), token.token_request(request)))


@app.public("POST /l/{secret}/token", headers=link_requests.HEADERS, audit_event="link.token")
def issue_link_token(request: Request) -> Response:
    from ferry.links.tokens import get_token

    password = link_requests.token_password(request)
    network = link_requests.network(request, wiring.settings().client_address_header)
    found = get_token(wiring.links(), wiring.token_issuer(), link_requests.secret(request), password, network)
    return link_requests.token_response(found)


@app.public("GET /.well-known/jwks.json")
def get_jwks(_: Request) -> Response:
    from ferry.http.responses.keys import JsonWebKeySet

    keys = JsonWebKeySet.from_key_set(public_key_set(wiring.token_issuer()))
    return json_response(200, keys, {"Cache-Control": JWKS_CACHE_CONTROL})


@app.public("GET /openapi.json")
def get_openapi(request: Request) -> Response:
    return openapi_response(request)


@app.public("GET /health")
def get_health(_: Request) -> Response:
    from ferry.http.responses.health import Health

    return json_response(200, Health(version=__version__))
