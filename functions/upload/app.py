"""The upload function: start, chunks, parts, completion and cancellation.

Each route imports its own use case, because the first request of an instance waits for what is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry import wiring
from ferry.http import uploads, urls
from ferry.http.bearer import WRITE_SCOPE, bearer_authenticator, link_authenticator
from ferry.http.chunk_route import add_chunk_route
from ferry.http.request import Request
from ferry.http.response import Response, empty_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller
    from ferry.services import Services
    from ferry.uploads.complete import CompleteRequest

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
    clients=("s3_completion", "events", "lambda_"),
    json_bodies=True,
    modules=("ferry.http.checksums", "ferry.uploads", "google_crc32c", "pybase64"),
)


@app.protected("POST /upload/start", scope=WRITE_SCOPE)
def start_upload(request: Request, ns: str) -> Response:
    from ferry.uploads.start import start

    services = wiring.services()
    chunk_url = urls.chunk_url(request, wiring.settings().public_url, wiring.settings().chunk_endpoint)
    return uploads.start_response(services, start(services, ns, uploads.start_request(request)), chunk_url)


@app.protected("POST /upload/parts", scope=WRITE_SCOPE)
def sign_parts(request: Request, ns: str) -> Response:
    from ferry.uploads.presign import presign_parts

    parts = uploads.parts_request(request)
    return uploads.parts_response(parts.name, presign_parts(wiring.services(), ns, parts))


@app.protected("POST /upload/complete", scope=WRITE_SCOPE)
def complete_upload(request: Request, ns: str) -> Response:
    return _complete(wiring.services(), ns, uploads.complete_request(request))


@app.protected(
    "DELETE /upload/{filename+}",
    "DELETE /upload",
    scope=WRITE_SCOPE,
    audit_event="upload.cancel",
    parameters={"filename", "upload_id"},
)
def cancel_upload(request: Request, ns: str) -> Response:
    return _cancel(wiring.services(), ns, request.filename(), request.optional_upload_id())


@app.by_link("POST /upload/start", kind="upload")
def start_upload_by_link(request: Request, caller: LinkCaller) -> Response:
    from dataclasses import replace

    from ferry.links.uploads import choose_rename, link_services, require_within
    from ferry.uploads.start import start

    requested = uploads.start_request(request)
    require_within(caller.link, requested.name)
    requested = replace(requested, if_exists=choose_rename(requested.if_exists))
    services = link_services(wiring.services(), caller)
    chunk_url = urls.chunk_url(request, wiring.settings().public_url, wiring.settings().chunk_endpoint)
    return uploads.start_response(services, start(services, caller.link.ns, requested), chunk_url)


@app.by_link("POST /upload/parts", kind="upload")
def sign_parts_by_link(request: Request, caller: LinkCaller) -> Response:
    from ferry.links.uploads import link_services, require_within
    from ferry.uploads.presign import presign_parts

    parts = uploads.parts_request(request)
    require_within(caller.link, parts.name)
    signed = presign_parts(link_services(wiring.services(), caller), caller.link.ns, parts)
    return uploads.parts_response(parts.name, signed)


@app.by_link("POST /upload/complete", kind="upload")
def complete_upload_by_link(request: Request, caller: LinkCaller) -> Response:
    from dataclasses import replace

    from ferry.links.uploads import choose_rename, link_services, require_within

    options = uploads.complete_request(request)
    require_within(caller.link, options.name)
    options = replace(options, if_exists=choose_rename(options.if_exists, options.if_match))
    return _complete(link_services(wiring.services(), caller), caller.link.ns, options)


def _complete(services: Services, ns: str, requested: CompleteRequest) -> Response:
    from ferry.uploads.complete import CompletionAccepted, complete

    started_at = services.clock()
    result = complete(services, ns, requested)
    if isinstance(result, CompletionAccepted):
        return uploads.pending_response(requested.name, result)
    return uploads.complete_response(result, is_new=result.uploaded_at >= started_at)


@app.by_link("DELETE /upload/{filename+}", "DELETE /upload", kind="upload")
def cancel_upload_by_link(request: Request, caller: LinkCaller) -> Response:
    from ferry.links.uploads import link_services, require_within

    name = request.filename()
    require_within(caller.link, name)
    return _cancel(link_services(wiring.services(), caller), caller.link.ns, name, request.optional_upload_id())


def _cancel(services: Services, ns: str, name: str, upload_id: str | None) -> Response:
    from ferry.uploads.cancel import cancel

    cancelled = cancel(services, ns, name, upload_id)
    return empty_response().with_metrics(UploadsCancelled=1) if cancelled else empty_response()
