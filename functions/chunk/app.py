"""The chunk function: `POST /upload/chunk` behind a function URL, for which AWS charges no fee per request.

A function URL passes on every path and method. For every other route the router responds with 404.
"""

from __future__ import annotations

from ferry import wiring
from ferry.http.bearer import bearer_authenticator, link_authenticator
from ferry.http.chunk_route import add_chunk_route
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

app = create_app(
    bearer_authenticator(wiring.token_verifier),
    wiring.log_file_names,
    link_authenticator(wiring.token_verifier, wiring.links, wiring.client_address_header),
)
add_chunk_route(app, wiring.services)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(
    wiring.services,
    wiring.token_verifier,
    clients=("events",),
    json_bodies=True,
    modules=("ferry.http.checksums", "ferry.uploads", "google_crc32c", "pybase64"),
)
