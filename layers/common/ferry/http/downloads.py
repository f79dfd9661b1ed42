"""Downloads: request headers to a `DownloadRequest`, and its result to a response."""

from __future__ import annotations

from http import HTTPStatus

from ferry.downloads.download import DownloadRequest, ResponseKind
from ferry.downloads.download import DownloadResponse as Download
from ferry.errors import InvalidField
from ferry.http.conditions import request_conditions
from ferry.http.request import Request
from ferry.http.request_errors import DestinationForbidden
from ferry.http.response import IssuedUrls, Response, json_response

_STATUSES = {
    ResponseKind.WHOLE: HTTPStatus.OK,
    ResponseKind.PART: HTTPStatus.PARTIAL_CONTENT,
    ResponseKind.HEADERS: HTTPStatus.OK,
    ResponseKind.NOT_MODIFIED: HTTPStatus.NOT_MODIFIED,
    ResponseKind.REDIRECT: HTTPStatus.TEMPORARY_REDIRECT,
}

_FORBIDDEN_DESTINATIONS = frozenset({"script", "style", "worker", "sharedworker", "serviceworker"})
"""Values of Sec-Fetch-Dest with which a browser would run the file, or apply it, on the API's origin."""


def download_request(request: Request) -> DownloadRequest:
    """Return what the request asks for.

    Raises:
        DestinationForbidden: a browser asks for a script, a style sheet or a worker (Fetch Metadata, `Sec-Fetch-Dest`).
        InvalidField: `?redirect=` or `?disposition=` is none of its values, or a condition is empty.
    """
    header = request.headers.get
    if header("sec-fetch-dest", "").strip().lower() in _FORBIDDEN_DESTINATIONS:
        raise DestinationForbidden
    return DownloadRequest(
        head=request.method == "HEAD",
        range=header("range"),
        conditions=request_conditions(request),
        redirect=request.boolean("redirect", default=True),
        inline=_is_inline(request),
    )


def _is_inline(request: Request) -> bool:
    value = request.query.get("disposition", "attachment")
    if value not in ("attachment", "inline"):
        raise InvalidField.for_member("disposition", "must be attachment or inline")
    return value == "inline"


def download_response(download: Download) -> Response:
    """Return the file, a range of it, its headers, a redirect to it, or a link to it."""
    link = download.link
    if link is None:
        metrics = {"ServedBytes": len(download.body or b"")}
        return Response(_STATUSES[download.kind], download.headers, download.body, metrics)
    issued = IssuedUrls("GET", 1, link.expires_at, download.file.name)
    if download.kind is ResponseKind.REDIRECT:
        return Response(_STATUSES[download.kind], download.headers, None, {"Redirects": 1}, issued_urls=issued)
    # Imported for a link only: most downloads return bytes or a redirect.
    from ferry.http.responses.downloads import DownloadLink

    return json_response(200, DownloadLink.from_link(link, download.file), download.headers).with_issued_urls(issued)
