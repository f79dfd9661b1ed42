"""The upload function: start, chunks, parts, completion, cancelling, and deleting a file."""

from __future__ import annotations

from ferry import wiring
from ferry.http import uploads, views
from ferry.http.answer import Answer, empty, json_answer
from ferry.http.app import create_app
from ferry.http.bearer import WRITE, bearer
from ferry.http.request import Request
from ferry.http.tracing import traced
from ferry.uploads import files
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import send
from ferry.uploads.complete import StillCompleting, complete
from ferry.uploads.parts import sign
from ferry.uploads.received import received
from ferry.uploads.start import start

app = create_app(bearer(wiring.verifier), wiring.log_file_names)
lambda_handler = traced(app.handle, wiring.tracing)


@app.protected("POST /upload/start", scope=WRITE)
def start_upload(request: Request, ns: str) -> Answer:
    engine = wiring.engine()
    started = start(engine, ns, uploads.start_request(request))
    limits = {"limits": views.limits(engine)}
    if started.file is not None:
        return json_answer(200, views.file(started.file) | limits)
    assert started.upload is not None
    plan = views.plan(started.upload, received(started.upload, started.parts))
    answer = json_answer(201 if started.created else 200, plan | limits)
    return answer.counting(UploadsStarted=1) if started.created else answer


@app.protected("POST /upload/chunk", scope=WRITE)
def send_chunk(request: Request, ns: str) -> Answer:
    chunk = uploads.chunk_request(request)
    accepted = views.chunk(chunk.name, send(wiring.engine(), ns, chunk))
    return json_answer(200, accepted).counting(Chunks=1, ChunkBytes=len(chunk.body))


@app.protected("POST /upload/parts", scope=WRITE)
def sign_parts(request: Request, ns: str) -> Answer:
    signed = sign(wiring.engine(), ns, uploads.parts_request(request))
    answer = json_answer(200, {"parts": [views.signed_part(part) for part in signed]})
    return answer.counting(PartsSigned=len(signed))


@app.protected("POST /upload/complete", scope=WRITE)
def complete_upload(request: Request, ns: str) -> Answer:
    wanted, engine = uploads.complete_request(request), wiring.engine()
    begun = engine.clock()
    result = complete(engine, ns, wanted)
    if isinstance(result, StillCompleting):
        return json_answer(202, views.completing(wanted.name, result), {"Retry-After": str(result.retry_after)})
    answer = json_answer(200, views.file(result))
    # Repeated, it is the answer of an earlier completion.
    return answer.counting(UploadsCompleted=1, FileBytes=result.size) if result.uploaded_at >= begun else answer


@app.protected("DELETE /upload/{filename}", "DELETE /upload", scope=WRITE, audit="upload.cancel")
def cancel_upload(request: Request, ns: str) -> Answer:
    cancelled = cancel(wiring.engine(), ns, request.filename(), request.optional_upload_id())
    return empty().counting(UploadsCancelled=1) if cancelled else empty()


@app.protected("DELETE /files/{filename}", "DELETE /files", scope=WRITE, audit="file.delete")
def delete_file(request: Request, ns: str) -> Answer:
    files.delete(wiring.engine(), ns, request.filename())
    return empty()
