"""The resumable function: uploads by tus 1.0.0 and by the IETF draft "Resumable Uploads for HTTP"."""

from __future__ import annotations

from ferry import wiring
from ferry.http import urls
from ferry.http.bearer import WRITE_SCOPE, bearer_authenticator
from ferry.http.protocols import draft, fields, rendering, tus
from ferry.http.request import Request
from ferry.http.request_errors import MalformedHeader
from ferry.http.response import Response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.model.sequential import Protocol
from ferry.resumable.lookup import find_sequential

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.services, wiring.token_verifier, clients=("s3_completion", "events", "lambda_"))


def _error_response(error: Exception, request: Request) -> Response:
    return rendering.error_response(error, request, wiring.services)


@app.public("OPTIONS /uploads", "OPTIONS /uploads/{upload_id}")
def capabilities(_: Request) -> Response:
    return Response(200, {**tus.CAPABILITIES, **draft.capabilities(wiring.services())})


@app.protected("POST /uploads", scope=WRITE_SCOPE, parameters=fields.CREATE_PARAMETERS, error_handler=_error_response)
def create(request: Request, ns: str) -> Response:
    location_base = f"{urls.base_url(request, wiring.settings().public_url)}/uploads"
    if draft.speaks(request) and not tus.speaks(request):
        return draft.create_upload(wiring.services(), ns, request, location_base)
    return tus.create_upload(wiring.services(), ns, request, location_base)


@app.protected("GET /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def head(request: Request, ns: str) -> Response:
    return _serve("HEAD", request, ns)


@app.protected("PATCH /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def patch(request: Request, ns: str) -> Response:
    return _serve("PATCH", request, ns)


@app.protected(
    "DELETE /uploads/{upload_id}", scope=WRITE_SCOPE, audit_event="upload.cancel", error_handler=_error_response
)
def delete(request: Request, ns: str) -> Response:
    return _serve("DELETE", request, ns)


@app.protected("POST /uploads/{upload_id}", scope=WRITE_SCOPE, error_handler=_error_response)
def override(request: Request, ns: str) -> Response:
    method = request.headers.get("x-http-method-override", "").strip().upper()
    if method not in ("HEAD", "PATCH", "DELETE"):
        raise MalformedHeader("POST to an upload needs X-HTTP-Method-Override: PATCH, HEAD or DELETE.")
    return _serve(method, request, ns)


def _serve(method: str, request: Request, ns: str) -> Response:
    """Serve a request to an upload by the protocol that created it."""
    services, upload_id = wiring.services(), request.path_parameters.get("upload_id", "")
    is_tus = tus.speaks(request)
    if not is_tus:
        is_tus = find_sequential(services, ns, upload_id).state.protocol is Protocol.TUS
    if is_tus:
        return tus.METHODS[method](services, ns, upload_id, request)
    return draft.METHODS[method](services, ns, upload_id, request)
