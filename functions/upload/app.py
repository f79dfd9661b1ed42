"""The upload function: start, chunks, parts, completion and cancellation.

Each route imports its own use case, because the first request of an instance waits for what is imported.
"""

from __future__ import annotations

from ferry import wiring
from ferry.http import uploads, urls
from ferry.http.bearer import WRITE_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, empty_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(
    wiring.services,
    wiring.token_verifier,
    clients=("s3_completion", "events", "lambda_"),
    json_bodies=True,
    modules=("ferry.http.checksums", "ferry.uploads", "google_crc32c"),
)


@app.protected("POST /upload/start", scope=WRITE_SCOPE)
def start_upload(request: Request, ns: str) -> Response:
    from ferry.uploads.start import start

    services = wiring.services()
    chunk_url = urls.chunk_url(request, wiring.settings().public_url)
    return uploads.start_response(services, start(services, ns, uploads.start_request(request)), chunk_url)


@app.protected("POST /upload/chunk", scope=WRITE_SCOPE, parameters=uploads.CHUNK_PARAMETERS)
def send_chunk(request: Request, ns: str) -> Response:
    from ferry.uploads.chunk import accept_chunk

    chunk = uploads.chunk_request(request)
    return uploads.chunk_response(chunk, accept_chunk(wiring.services(), ns, chunk))


@app.protected("POST /upload/parts", scope=WRITE_SCOPE)
def sign_parts(request: Request, ns: str) -> Response:
    from ferry.uploads.presign import presign_parts

    parts = uploads.parts_request(request)
    return uploads.parts_response(parts.name, presign_parts(wiring.services(), ns, parts))


@app.protected("POST /upload/complete", scope=WRITE_SCOPE)
def complete_upload(request: Request, ns: str) -> Response:
    from ferry.uploads.complete import CompletionAccepted, complete

    services, options = wiring.services(), uploads.complete_request(request)
    started_at = services.clock()
    result = complete(services, ns, options)
    if isinstance(result, CompletionAccepted):
        return uploads.pending_response(options.name, result)
    return uploads.complete_response(result, is_new=result.uploaded_at >= started_at)


@app.protected(
    "DELETE /upload/{filename+}",
    "DELETE /upload",
    scope=WRITE_SCOPE,
    audit_event="upload.cancel",
    parameters={"filename", "upload_id"},
)
def cancel_upload(request: Request, ns: str) -> Response:
    from ferry.uploads.cancel import cancel

    cancelled = cancel(wiring.services(), ns, request.filename(), request.optional_upload_id())
    return empty_response().with_metrics(UploadsCancelled=1) if cancelled else empty_response()
