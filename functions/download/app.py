"""The download function: whole files and ranges of them."""

from __future__ import annotations

from ferry import wiring
from ferry.downloads import download
from ferry.http import downloads
from ferry.http.answer import Answer
from ferry.http.app import create_app
from ferry.http.bearer import READ, bearer
from ferry.http.request import Request
from ferry.http.tracing import traced

app = create_app(bearer(wiring.verifier))
lambda_handler = traced(app.handle, wiring.tracing)


@app.protected("GET /download/{filename}", "HEAD /download/{filename}", "GET /download", "HEAD /download", scope=READ)
def get_file(request: Request, ns: str) -> Answer:
    wanted = downloads.download_request(request, partial=False)
    return downloads.answer(download(wiring.engine(), ns, request.filename(), wanted))


@app.protected("GET /download/partial/{filename}", "HEAD /download/partial/{filename}", scope=READ)
def get_range(request: Request, ns: str) -> Answer:
    wanted = downloads.download_request(request, partial=True)
    return downloads.answer(download(wiring.engine(), ns, request.filename(), wanted))


@app.protected("GET /download/partial", "HEAD /download/partial", scope=READ)
def get_range_by_query_or_file_named_partial(request: Request, ns: str) -> Answer:
    """Without `?filename=` the path is that of a file called "partial"."""
    name = request.optional_filename()
    wanted = downloads.download_request(request, partial=name is not None)
    return downloads.answer(download(wiring.engine(), ns, name or "partial", wanted))
