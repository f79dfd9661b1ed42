"""Links: requests to the arguments of the use cases, and results to responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.errors import InsufficientScope, InvalidField, InvalidFilename
from ferry.http.bearer import READ_SCOPE, WRITE_SCOPE
from ferry.http.file_listings import limit
from ferry.http.link_requests import network
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.link_errors import PrefetchForbidden
from ferry.model.links import LinkKind
from ferry.rules.filenames import normalize_filename

if TYPE_CHECKING:
    from ferry.auth.verifier import Principal
    from ferry.links.downloads import LinkCaller
    from ferry.links.lookup import LinkStatus
    from ferry.links.manage import CreateRequest
    from ferry.model.links import Activity, Link, LinkUsage
    from ferry.ports.types import Page
    from ferry.settings import Settings

ROBOTS = "User-agent: *\nDisallow: /l/\n"
"""The content of /robots.txt (RFC 9309)."""


def create_request(request: Request, principal: Principal, settings: Settings) -> CreateRequest:
    """Return the link that the body asks for.

    Raises:
        InsufficientScope: the client may not do itself what the link would allow.
        InvalidField, InvalidFilename: the body is not valid. Also what `BodyReader.read` raises.
    """
    from ferry.http.request_bodies import LINK_CREATE
    from ferry.links.manage import CreateRequest

    body = LINK_CREATE.read(request)
    kind = LinkKind(body.kind)
    scope = READ_SCOPE if kind is LinkKind.DOWNLOAD else WRITE_SCOPE
    if scope not in principal.scopes:
        raise InsufficientScope(f"A link of kind {kind} needs a token with the scope {scope}, too.", scope=scope)
    is_upload = kind is LinkKind.UPLOAD
    max_downloads = body.max_downloads if "max_downloads" in body.model_fields_set else settings.link_max_downloads
    return CreateRequest(
        kind=kind,
        expires_in_seconds=body.expires_in,
        filename=None if body.filename is None else normalize_filename(body.filename),
        prefix=None if body.prefix is None else _normalize_prefix(body.prefix),
        label=body.label,
        password=body.password,
        max_downloads=None if is_upload else max_downloads,
        max_files=(body.max_files or settings.link_max_files) if is_upload else None,
        max_bytes=(body.max_bytes or settings.link_max_bytes) if is_upload else None,
    )


def _normalize_prefix(prefix: str) -> str:
    """Return a folder in normal form. Raises `InvalidField` unless it is a valid name with `/` at its end."""
    if not prefix.endswith("/"):
        raise InvalidField.for_member("prefix", "is a folder: it must end with /")
    try:
        return normalize_filename(prefix[:-1]) + "/"
    except InvalidFilename as error:
        raise InvalidField.for_member("prefix", error.detail) from error


def link_id(request: Request) -> str:
    """Return the id in the path."""
    return request.path_parameters.get("link_id", "")


def caller(request: Request, link: Link, client_address_header: str) -> LinkCaller:
    """Return the caller of a request with the secret. Raises `PrefetchForbidden`."""
    from ferry.links.downloads import LinkCaller

    reject_prefetch(request)
    return LinkCaller(link, network(request, client_address_header))


def reject_prefetch(request: Request) -> None:
    """Raise `PrefetchForbidden` for a request that a browser sends before a person asks for it."""
    if "prefetch" in request.headers.get("sec-purpose", "").lower():
        raise PrefetchForbidden


def created_response(status: LinkStatus, url: str) -> Response:
    """Return the new link with its address."""
    from ferry.http.responses.links import link_body

    link = status.link
    return json_response(201, link_body(status, url)).with_audit(link_id=link.link_id, kind=link.kind.value)


def link_response(status: LinkStatus) -> Response:
    """Return a link for its owner."""
    from ferry.http.responses.links import link_body

    return json_response(200, link_body(status))


def links_response(page: Page[LinkStatus]) -> Response:
    """Return a page of links."""
    from ferry.http.responses.links import LinkList

    return json_response(200, LinkList.from_page(page))


def activity_response(link: Link, page: Page[Activity]) -> Response:
    """Return a page of what happened by a link."""
    from ferry.http.responses.links import ActivityList

    return json_response(200, ActivityList.from_page(link, page))


def page_limit(request: Request) -> int:
    """Return `?limit=`, as listings of files have it. Raises `InvalidField`."""
    return limit(request)


def shared_response(link: Link, usage: LinkUsage) -> Response:
    """Return a link for those who open it, as JSON."""
    from ferry.http.responses.links import SharedLink

    return json_response(200, SharedLink.from_link(link, usage))


def robots_response() -> Response:
    """Return the page that keeps crawlers away from links."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "public, max-age=3600"}
    return Response(200, {**headers, "X-Content-Type-Options": "nosniff"}, ROBOTS)


def prefers_html(request: Request) -> bool:
    """Return whether the request would rather have a page than JSON (RFC 9110 section 12.5.1)."""
    weights = {"text/html": 0.0, "application/json": 0.0}
    for entry in request.headers.get("accept", "").lower().split(","):
        media_range, *parameters = (part.strip() for part in entry.split(";"))
        if media_range in weights:
            weights[media_range] = _weight(parameters)
    return weights["text/html"] > 0 and weights["text/html"] >= weights["application/json"]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
