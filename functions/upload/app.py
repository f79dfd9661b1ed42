"""The upload function: start, chunks, parts, completion, cancelling, and deleting a file."""

from __future__ import annotations

from ferry import wiring
from ferry.files.delete import delete_file as delete
from ferry.http import serializers, uploads
from ferry.http.bearer import WRITE_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, empty_response, json_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import accept_chunk
from ferry.uploads.complete import CompletionAccepted, complete
from ferry.uploads.presign import presign_parts
from ferry.uploads.received import compute_received
from ferry.uploads.start import start

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)


@app.protected("POST /upload/start", scope=WRITE_SCOPE)
def start_upload(request: Request, ns: str) -> Response:
    engine = wiring.services()
    started = start(engine, ns, uploads.start_request(request))
    limits = {"limits": serializers.limits(engine)}
    if started.file is not None:
        return json_response(200, serializers.file(started.file) | limits)
    assert started.upload is not None
    plan = serializers.upload_plan(started.upload, compute_received(started.upload, started.parts))
    answer = json_response(201 if started.created else 200, plan | limits)
    return answer.with_metrics(UploadsStarted=1) if started.created else answer


@app.protected("POST /upload/chunk", scope=WRITE_SCOPE)
def send_chunk(request: Request, ns: str) -> Response:
    chunk = uploads.chunk_request(request)
    accepted = serializers.chunk(chunk.name, accept_chunk(wiring.services(), ns, chunk))
    return json_response(200, accepted).with_metrics(Chunks=1, ChunkBytes=len(chunk.body))


@app.protected("POST /upload/parts", scope=WRITE_SCOPE)
def sign_parts(request: Request, ns: str) -> Response:
    signed = presign_parts(wiring.services(), ns, uploads.parts_request(request))
    answer = json_response(200, {"parts": [serializers.signed_part(part) for part in signed]})
    return answer.with_metrics(PartsSigned=len(signed))


@app.protected("POST /upload/complete", scope=WRITE_SCOPE)
def complete_upload(request: Request, ns: str) -> Response:
    wanted, engine = uploads.complete_request(request), wiring.services()
    begun = engine.clock()
    result = complete(engine, ns, wanted)
    if isinstance(result, CompletionAccepted):
        return json_response(
            202, serializers.completion_pending(wanted.name, result), {"Retry-After": str(result.retry_after_seconds)}
        )
    answer = json_response(200, serializers.file(result))
    # Repeated, it is the answer of an earlier completion.
    return answer.with_metrics(UploadsCompleted=1, FileBytes=result.size) if result.uploaded_at >= begun else answer


@app.protected("DELETE /upload/{filename}", "DELETE /upload", scope=WRITE_SCOPE, audit_event="upload.cancel")
def cancel_upload(request: Request, ns: str) -> Response:
    cancelled = cancel(wiring.services(), ns, request.filename(), request.optional_upload_id())
    return empty_response().with_metrics(UploadsCancelled=1) if cancelled else empty_response()


@app.protected("DELETE /files/{filename}", "DELETE /files", scope=WRITE_SCOPE, audit_event="file.delete")
def delete_file(request: Request, ns: str) -> Response:
    delete(wiring.services(), ns, request.filename())
    return empty_response()
