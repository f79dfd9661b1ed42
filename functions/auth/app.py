"""The auth function: tokens, the keys to check them with, and what describes the service."""

from __future__ import annotations

from ferry import __version__, wiring
from ferry.access.issue import issue, public_keys
from ferry.access.keyring import key_set
from ferry.http import token
from ferry.http.answer import Answer, json_answer
from ferry.http.app import create_app
from ferry.http.document import openapi
from ferry.http.request import Request
from ferry.http.tracing import traced

app = create_app()
lambda_handler = traced(app.handle, wiring.tracing)

# As long as verifiers keep keys themselves.
KEYS_CACHE = "public, max-age=60"


@app.open("POST /auth/token", refuse=token.refused, audit="token.issue")
def issue_token(request: Request) -> Answer:
    wanted = token.token_request(request)
    return token.issued(issue(wiring.issuer(), wanted))


@app.open("GET /.well-known/jwks.json")
def get_keys(_: Request) -> Answer:
    return json_answer(200, key_set(public_keys(wiring.issuer())), {"Cache-Control": KEYS_CACHE})


@app.open("GET /openapi.json")
def get_openapi(_: Request) -> Answer:
    return openapi()


@app.open("GET /health")
def get_health(_: Request) -> Answer:
    return json_answer(200, {"status": "ok", "version": __version__})
