"""The links function: routes for the owners of links, and routes that need the secret alone.

Routes import the use case that they need, because a cold start waits for what is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ferry import wiring
from ferry.http import link_requests, urls
from ferry.http import links as http
from ferry.http.bearer import SHARE_SCOPE, bearer_authenticator
from ferry.http.request import Request
from ferry.http.response import Response, empty_response
from ferry.http.router import create_app, problem_of
from ferry.http.tracing import with_tracing

if TYPE_CHECKING:
    from ferry.auth.verifier import Principal
    from ferry.model.links import Link, LinkUsage

app = create_app(bearer_authenticator(wiring.token_verifier), wiring.log_file_names)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(
    wiring.services,
    wiring.token_verifier,
    wiring.links,
    json_bodies=True,
    modules=(
        "ferry.downloads",
        "ferry.http.downloads",
        "ferry.http.file_listings",
        "ferry.http.link_pages",
        "ferry.links",
    ),
)


@app.by_principal("POST /links", scope=SHARE_SCOPE, audit_event="link.create")
def create(request: Request, principal: Principal) -> Response:
    from ferry.links.lookup import LinkStatus
    from ferry.links.manage import create_link
    from ferry.model.links import LinkUsage

    links, settings = wiring.links(), wiring.settings()
    requested = http.create_request(request, principal, settings)
    link, secret = create_link(
        wiring.services(), links, principal.ns, requested, client_id=principal.client_id, issuer=principal.issuer
    )
    url = f"{urls.base_url(request, settings.public_url)}/l/{secret}"
    return http.created_response(LinkStatus(link, LinkUsage(), links.state_of(link)), url)


@app.protected("GET /links", scope=SHARE_SCOPE)
def list_links(request: Request, ns: str) -> Response:
    from ferry.links import manage

    page = manage.list_links(wiring.links(), ns, request.optional_cursor(), http.page_limit(request))
    return http.links_response(page)


@app.protected("GET /links/{link_id}", scope=SHARE_SCOPE)
def get_link(request: Request, ns: str) -> Response:
    from ferry.links import manage

    return http.link_response(manage.get_link(wiring.links(), ns, http.link_id(request)))


@app.protected("DELETE /links/{link_id}", scope=SHARE_SCOPE, audit_event="link.delete", parameters={"link_id"})
def delete_link(request: Request, ns: str) -> Response:
    from ferry.links import manage

    link = manage.delete_link(wiring.links(), ns, http.link_id(request))
    return empty_response().with_audit(link_id=link.link_id)


@app.protected("GET /links/{link_id}/activity", scope=SHARE_SCOPE)
def list_activity(request: Request, ns: str) -> Response:
    from ferry.links import manage

    cursor, limit = request.optional_cursor(), http.page_limit(request)
    return http.activity_response(*manage.list_activity(wiring.links(), ns, http.link_id(request), cursor, limit))


def open_error(error: Exception, request: Request) -> Response:
    """Return a page for a person whose link has ended or does not exist, and problem details for all else."""
    from ferry.errors import Gone, NotFound

    if not isinstance(error, Gone | NotFound) or not http.prefers_html(request):
        return problem_of(error, request)
    from ferry.http.link_pages import error_page

    return error_page(error, **_page_origins(request))


@app.public("GET /l/{secret}", headers=link_requests.HEADERS, request_error_handler=open_error)
def open_link(request: Request) -> Response:
    from ferry.link_errors import LinkUsedUp

    links = wiring.links()
    link = links.get_by_secret(link_requests.secret(request))
    usage = links.get_usage(link)
    if usage.is_used_up(link):
        raise LinkUsedUp
    return _link_page(request, link, usage) if http.prefers_html(request) else http.shared_response(link, usage)


def _link_page(request: Request, link: Link, usage: LinkUsage) -> Response:
    from ferry.files.list import ListQuery, list_files
    from ferry.http.file_listings import measure
    from ferry.http.link_pages import MAX_LISTED_FILES, page_response
    from ferry.model.links import LinkKind

    files = []
    if link.kind is LinkKind.DOWNLOAD and link.prefix is not None and link.password is None:
        query = ListQuery(prefix=link.prefix, by_folder=False, cursor=None, limit=MAX_LISTED_FILES)
        files = list_files(wiring.services(), link.ns, query, measure).files
    return page_response(link_requests.secret(request), link, usage, files, **_page_origins(request))


def _page_origins(request: Request) -> Mapping[str, str]:
    """Return the origins that a page may use."""
    return {
        "base_url": urls.base_url(request, wiring.settings().public_url),
        "bucket_origin": wiring.bucket_origin(),
        "chunk_endpoint": wiring.settings().chunk_endpoint,
    }


@app.public("GET /l/{secret}/download", "GET /l/{secret}/download/{filename+}", headers=link_requests.HEADERS)
def download(request: Request) -> Response:
    from ferry.http.downloads import download_request, download_response
    from ferry.links.downloads import download_by_link, name_by_link, require_open_download

    request.reject_ambiguous_parameters()
    links = wiring.links()
    link = links.get_by_secret(link_requests.secret(request))
    require_open_download(link)
    caller = http.caller(request, link, wiring.settings().client_address_header)
    name = name_by_link(link, request.optional_filename())
    found = download_by_link(wiring.services(), links, caller, name, download_request(request))
    return link_requests.audited(download_response(found), link)


@app.public("GET /l/{secret}/files", headers=link_requests.HEADERS)
def list_files_of_link(request: Request) -> Response:
    from ferry.http import file_listings
    from ferry.links.downloads import require_open_download

    request.reject_ambiguous_parameters()
    link = wiring.links().get_by_secret(link_requests.secret(request))
    require_open_download(link)
    return file_listings.respond_by_link(wiring.services(), link, request)


@app.public("GET /robots.txt")
def get_robots(_: Request) -> Response:
    return http.robots_response()
