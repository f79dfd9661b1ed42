"""The status function: how far uploads are, and which files there are."""

from __future__ import annotations

from ferry import wiring
from ferry.http import listings, views
from ferry.http.answer import Answer, json_answer
from ferry.http.app import create_app
from ferry.http.bearer import READ, bearer
from ferry.http.request import Request
from ferry.http.tracing import traced
from ferry.progress import uploads
from ferry.uploads.files import list_files

app = create_app(bearer(wiring.verifier))
lambda_handler = traced(app.handle, wiring.tracing)


@app.protected("GET /status/{filename}", scope=READ)
def get_status(request: Request, ns: str) -> Answer:
    return listings.status_answer(wiring.engine(), ns, request.filename(), request)


@app.protected("GET /status", scope=READ)
def get_status_by_query_or_list(request: Request, ns: str) -> Answer:
    name = request.optional_filename()
    if name is not None:
        return listings.status_answer(wiring.engine(), ns, name, request)
    wanted = listings.page(request, most=listings.MOST_UPLOADS)
    found = uploads(wiring.engine(), ns, wanted.cursor, wanted.limit)
    return json_answer(200, views.page("uploads", found, views.status))


@app.protected("GET /files", scope=READ)
def get_files(request: Request, ns: str) -> Answer:
    wanted = listings.page(request, most=listings.MOST_FILES)
    found = list_files(wiring.engine(), ns, listings.prefix(request), wanted.cursor, wanted.limit)
    return json_answer(200, views.page("files", found, views.file))
