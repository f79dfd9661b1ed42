"""The status function: the status of uploads, and the list of uploads in progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry import wiring
from ferry.http import queries
from ferry.http.bearer import READ_SCOPE, bearer_authenticator, link_authenticator
from ferry.http.request import Request
from ferry.http.response import Response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.status.long_poll import wait_for_update
from ferry.status.snapshot import get_status, list_uploads

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller
    from ferry.services import Services

app = create_app(
    bearer_authenticator(wiring.token_verifier),
    authenticate_link=link_authenticator(wiring.token_verifier, wiring.links, wiring.client_address_header),
)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(wiring.services, wiring.token_verifier)


@app.protected("GET /status/{filename+}", scope=READ_SCOPE)
def get_status_by_path(request: Request, ns: str) -> Response:
    return _status(request, ns, request.filename())


@app.protected("GET /status", scope=READ_SCOPE)
def get_status_by_query_or_list_uploads(request: Request, ns: str) -> Response:
    name = request.optional_filename()
    if name is not None:
        return _status(request, ns, name)
    page = queries.page_request(request, max_limit=queries.MAX_UPLOADS_PER_PAGE)
    return queries.uploads_response(list_uploads(wiring.services(), ns, page.cursor, page.limit))


@app.by_link("GET /status/{filename+}", "GET /status", kind="upload")
def get_status_by_link(request: Request, caller: LinkCaller) -> Response:
    from ferry.link_errors import LinkForbidden
    from ferry.links.uploads import link_services, require_within

    name = request.optional_filename()
    if name is None:
        raise LinkForbidden("A link lists no uploads. Send ?filename=<name>.")
    require_within(caller.link, name)
    return _status(request, caller.link.ns, name, link_services(wiring.services(), caller, for_status=True))


def _status(request: Request, ns: str, name: str, services: Services | None = None) -> Response:
    services, wait = services or wiring.services(), queries.long_poll_request(request)
    upload_id = request.optional_upload_id()
    if wait is None:
        report = get_status(services, ns, name, upload_id)
    else:
        report = wait_for_update(
            services, ns, name, upload_id, since_version=wait.since_version, timeout_seconds=wait.timeout_seconds
        )
    return queries.status_response(request, report, services.clock())
