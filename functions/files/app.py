"""The files function: finished files, one by one and in lists."""

from __future__ import annotations

from ferry import wiring
from ferry.files.delete import delete_file
from ferry.files.list import list_files
from ferry.http import file_listings
from ferry.http.bearer import READ_SCOPE, WRITE_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, empty_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.services, wiring.token_verifier, clients=("events",))


@app.protected(
    "DELETE /files/{filename+}",
    "DELETE /files",
    scope=WRITE_SCOPE,
    audit_event="file.delete",
    parameters={"filename"},
)
def delete(request: Request, ns: str) -> Response:
    from ferry.http.conditions import request_conditions

    delete_file(wiring.services(), ns, request.filename(), request_conditions(request))
    return empty_response()


@app.protected("GET /files", scope=READ_SCOPE)
def get_files(request: Request, ns: str) -> Response:
    listing = list_files(wiring.services(), ns, file_listings.list_query(request), file_listings.measure)
    return file_listings.listing_response(listing)
