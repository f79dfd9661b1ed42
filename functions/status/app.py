"""The status function: the status of uploads, and the lists of uploads in progress and of finished files."""

from __future__ import annotations

from ferry import wiring
from ferry.files.list import list_files
from ferry.http import queries
from ferry.http.bearer import READ_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.http.responses.files import FileList
from ferry.http.responses.status import UploadList
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.status.snapshot import list_uploads

app = create_app(bearer_authenticator(wiring.token_verifier))
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)


@app.protected("GET /status/{filename}", scope=READ_SCOPE)
def get_status(request: Request, ns: str) -> Response:
    return queries.status_response(wiring.services(), ns, request.filename(), request)


@app.protected("GET /status", scope=READ_SCOPE)
def get_status_by_query_or_list_uploads(request: Request, ns: str) -> Response:
    name = request.optional_filename()
    if name is not None:
        return queries.status_response(wiring.services(), ns, name, request)
    page = queries.page_request(request, max_limit=queries.MAX_UPLOADS_PER_PAGE)
    uploads = list_uploads(wiring.services(), ns, page.cursor, page.limit)
    return json_response(200, UploadList.from_page(uploads))


@app.protected("GET /files", scope=READ_SCOPE)
def get_files(request: Request, ns: str) -> Response:
    page = queries.page_request(request, max_limit=queries.MAX_FILES_PER_PAGE)
    files = list_files(wiring.services(), ns, queries.name_prefix(request), page.cursor, page.limit)
    return json_response(200, FileList.from_page(files))
