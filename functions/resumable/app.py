"""The resumable function: uploads by tus 1.0.0 and by the IETF draft "Resumable Uploads for HTTP"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ferry import wiring
from ferry.errors import FerryError, UploadExpired, UploadNotFound
from ferry.http import link_requests, urls
from ferry.http.bearer import WRITE_SCOPE, bearer_authenticator, link_authenticator
from ferry.http.protocols import draft, fields, rendering, tus
from ferry.http.protocols.endpoint import Endpoint
from ferry.http.request import Request
from ferry.http.request_errors import MalformedHeader
from ferry.http.response import Response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.model.sequential import Protocol
from ferry.resumable.lookup import find_sequential

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller
    from ferry.services import Services

app = create_app(
    bearer_authenticator(wiring.token_verifier),
    wiring.log_file_names,
    link_authenticator(wiring.token_verifier, wiring.links, wiring.client_address_header),
)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.services, wiring.token_verifier, clients=("s3_completion", "events", "lambda_"))


def _error_response(error: Exception, request: Request) -> Response:
    return rendering.error_response(error, request, wiring.services)


@app.public("OPTIONS /uploads", "OPTIONS /uploads/{upload_id}")
def capabilities(_: Request) -> Response:
    return Response(200, {**tus.CAPABILITIES, **draft.capabilities(wiring.services())})


@app.public("OPTIONS /l/{secret}/uploads", "OPTIONS /l/{secret}/uploads/{upload_id}", headers=link_requests.HEADERS)
def capabilities_of_link(request: Request) -> Response:
    return capabilities(request)


@app.protected(
    "POST /uploads",
    scope=WRITE_SCOPE,
    audit_event="upload.create",
    parameters=fields.CREATE_PARAMETERS,
    error_handler=_error_response,
)
def create(request: Request, ns: str) -> Response:
    return _create(wiring.services(), _endpoint(request, ns), request)


@app.protected("GET /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def head(request: Request, ns: str) -> Response:
    return _serve(wiring.services(), _endpoint(request, ns), request)


@app.protected("PATCH /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def patch(request: Request, ns: str) -> Response:
    return _serve(wiring.services(), _endpoint(request, ns), request)


@app.protected(
    "DELETE /uploads/{upload_id}", scope=WRITE_SCOPE, audit_event="upload.cancel", error_handler=_error_response
)
def delete(request: Request, ns: str) -> Response:
    return _serve(wiring.services(), _endpoint(request, ns), request)


@app.protected("POST /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def override(request: Request, ns: str) -> Response:
    return _serve(wiring.services(), _endpoint(request, ns), request)


@app.by_link("POST /uploads", kind="upload")
def create_by_token(request: Request, caller: LinkCaller) -> Response:
    services, endpoint = _by_link(request, caller)
    return _create(services, endpoint, request)


@app.by_link(
    "GET /uploads/{upload_id}",
    "PATCH /uploads/{upload_id}",
    "DELETE /uploads/{upload_id}",
    "POST /uploads/{upload_id}",
    kind="upload",
)
def serve_by_token(request: Request, caller: LinkCaller) -> Response:
    services, endpoint = _by_link(request, caller)
    return _serve(services, endpoint, request)


@app.public(
    "POST /l/{secret}/uploads",
    headers=link_requests.HEADERS,
    audit_event="upload.create",
    request_error_handler=_error_response,
)
def create_by_link(request: Request) -> Response:
    caller = _caller(request)
    request.check_query(fields.CREATE_PARAMETERS)
    services, endpoint = _by_secret(request, caller)
    return link_requests.audited(_create(services, endpoint, request), caller.link)


@app.public(
    "GET /l/{secret}/uploads/{upload_id}",
    "PATCH /l/{secret}/uploads/{upload_id}",
    "POST /l/{secret}/uploads/{upload_id}",
    headers=link_requests.HEADERS,
    request_error_handler=_error_response,
)
def serve_by_link(request: Request) -> Response:
    caller = _caller(request)
    request.check_query(frozenset())
    services, endpoint = _by_secret(request, caller)
    return link_requests.audited(_serve(services, endpoint, request), caller.link)


@app.public(
    "DELETE /l/{secret}/uploads/{upload_id}",
    headers=link_requests.HEADERS,
    audit_event="upload.cancel",
    request_error_handler=_error_response,
)
def delete_by_link(request: Request) -> Response:
    return serve_by_link(request)


def _endpoint(request: Request, ns: str) -> Endpoint:
    return Endpoint(ns, f"{urls.base_url(request, wiring.settings().public_url)}/uploads")


def _caller(request: Request) -> LinkCaller:
    """Return the caller of a request with the secret of an upload link.

    Raises:
        LinkNotFound, LinkExpired, LinkRevoked: there is no link that works.
        LinkForbidden: the link is for downloads.
        LinkPassword: it has a password, so a token is needed.
    """
    from ferry.links.downloads import LinkCaller
    from ferry.links.uploads import require_open_upload

    link = wiring.links().get_by_secret(link_requests.secret(request))
    require_open_upload(link)
    return LinkCaller(link, link_requests.network(request, wiring.settings().client_address_header))


def _by_secret(request: Request, caller: LinkCaller) -> tuple[Services, Endpoint]:
    """Return what serves a request below the address of a link, where names are relative to its folder."""
    services, endpoint = _by_link(request, caller)
    base_url = urls.base_url(request, wiring.settings().public_url)
    location_base = f"{base_url}/l/{link_requests.secret(request)}/uploads"
    return services, replace(endpoint, location_base=location_base, has_relative_names=True)


def _by_link(request: Request, caller: LinkCaller) -> tuple[Services, Endpoint]:
    """Return what serves a request by a link: its own uploads, and its folder."""
    from ferry.links.uploads import link_services, require_within

    services = link_services(wiring.services(), caller)
    endpoint = replace(
        _endpoint(request, caller.link.ns),
        link_prefix=caller.link.prefix,
        check_name=lambda name: require_within(caller.link, name),
    )
    return services, endpoint


def _override(request: Request) -> str:
    """Return the method that `X-HTTP-Method-Override` names, in upper case; empty without the header."""
    return request.headers.get("x-http-method-override", "").strip().upper()


def _method(request: Request) -> str:
    """Return the method that a request to an upload means. GET is the draft's HEAD.

    `X-HTTP-Method-Override` wins over POST and PATCH (tus 1.0.0, Requests). GET and HEAD stay what they are, because
    proxies and caches take them for reads. Raises `MalformedHeader` for a DELETE that names another method.
    """
    if request.method in ("GET", "HEAD"):
        return "HEAD"
    method = _override(request) or request.method
    method = "HEAD" if method == "GET" else method
    if method not in ("HEAD", "PATCH", "DELETE"):
        raise MalformedHeader("POST to an upload needs X-HTTP-Method-Override: PATCH, HEAD or DELETE.")
    if request.method == "DELETE" != method:
        raise MalformedHeader(f"X-HTTP-Method-Override: {method} is for POST. Send POST instead of DELETE.")
    return method


def _create(services: Services, endpoint: Endpoint, request: Request) -> Response:
    if _override(request) not in ("", "POST"):
        raise MalformedHeader("X-HTTP-Method-Override is for the address of an upload. Send a creation without it.")
    is_draft = draft.speaks(request) and not tus.speaks(request)
    create_upload = draft.create_upload if is_draft else tus.create_upload
    response = create_upload(services, endpoint, request)
    upload_id = response.headers["Location"].rpartition("/")[2]
    return response.with_audit(upload_id=upload_id, **_file_name(response))


def _serve(services: Services, endpoint: Endpoint, request: Request) -> Response:
    """Serve a request to an upload. Every response says where the upload continues, and its name, errors too."""
    upload_id = request.path_parameters.get("upload_id", "")
    try:
        return _serve_upload(_method(request), services, endpoint, upload_id, request)
    except FerryError as error:
        if not isinstance(error, (UploadNotFound, UploadExpired)):
            error.headers = _upload_headers(services, endpoint, upload_id)
        raise


def _upload_headers(services: Services, endpoint: Endpoint, upload_id: str) -> Mapping[str, str]:
    """Return the headers of every response about an upload; none if it cannot be read."""
    try:
        return endpoint.upload_headers(find_sequential(services, endpoint.ns, upload_id).upload)
    except FerryError:
        return {}


def _serve_upload(method: str, services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Serve a request to an upload by the protocol that created it."""
    is_tus = tus.speaks(request)
    if not is_tus:
        is_tus = find_sequential(services, endpoint.ns, upload_id).state.protocol is Protocol.TUS
    methods = tus.METHODS if is_tus else draft.METHODS
    response = methods[method](services, endpoint, upload_id, request)
    if method == "DELETE":
        return response.with_audit_event("upload.cancel", upload_id=upload_id, **_file_name(response))
    if "UploadsCompleted" in response.metrics:
        return response.with_audit_event("upload.complete", upload_id=upload_id, **_file_name(response))
    return response


def _file_name(response: Response) -> dict[str, str]:
    """Return the file's name as an audit field, if the response has one and names may be logged."""
    name = response.headers.get("Ferry-Filename")
    return {"file_name": unquote(name)} if name is not None and wiring.log_file_names() else {}
