"""The download function: whole files and ranges of them. Every route takes the same headers and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry import wiring
from ferry.downloads.download import download
from ferry.http.bearer import READ_SCOPE, bearer_authenticator, link_authenticator
from ferry.http.downloads import download_request, download_response
from ferry.http.request import Request
from ferry.http.response import Response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller

app = create_app(
    bearer_authenticator(wiring.token_verifier),
    wiring.log_file_names,
    link_authenticator(wiring.token_verifier, wiring.links, wiring.client_address_header),
)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.services, wiring.token_verifier)


@app.protected("GET /download/{filename+}", "GET /download", "GET /download/partial/{filename+}", scope=READ_SCOPE)
def get_file(request: Request, ns: str) -> Response:
    return _download(request, ns, request.filename())


@app.protected("GET /download/partial", scope=READ_SCOPE)
def get_range_by_query(request: Request, ns: str) -> Response:
    """Without `?filename=` the path is that of a file with the name `partial`."""
    return _download(request, ns, request.optional_filename() or "partial")


@app.by_link("GET /download/{filename+}", "GET /download", "GET /download/partial/{filename+}", kind="download")
def get_file_by_link(request: Request, caller: LinkCaller) -> Response:
    return _download_by_link(request, caller, request.filename())


@app.by_link("GET /download/partial", kind="download")
def get_range_by_link_and_query(request: Request, caller: LinkCaller) -> Response:
    return _download_by_link(request, caller, request.optional_filename() or "partial")


def _download_by_link(request: Request, caller: LinkCaller, name: str) -> Response:
    from ferry.http.links import reject_prefetch
    from ferry.links.downloads import download_by_link, name_by_link

    reject_prefetch(request)
    name = name_by_link(caller.link, name)
    requested = download_request(request)
    return download_response(download_by_link(wiring.services(), wiring.links(), caller, name, requested))


def _download(request: Request, ns: str, name: str) -> Response:
    return download_response(download(wiring.services(), ns, name, download_request(request)))
