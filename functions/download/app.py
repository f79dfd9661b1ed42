"""The download function: whole files and ranges of them, which every route gives alike."""

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
@app.protected("GET /download/partial/{filename}", "HEAD /download/partial/{filename}", scope=READ)
def get_file(request: Request, ns: str) -> Answer:
    return _file(request, ns, request.filename())


@app.protected("GET /download/partial", "HEAD /download/partial", scope=READ)
def get_file_by_query_or_the_one_named_partial(request: Request, ns: str) -> Answer:
    """Without `?filename=` the path is that of a file called "partial"."""
    return _file(request, ns, request.optional_filename() or "partial")


def _file(request: Request, ns: str, name: str) -> Answer:
    return downloads.answer(download(wiring.engine(), ns, name, downloads.download_request(request)))
