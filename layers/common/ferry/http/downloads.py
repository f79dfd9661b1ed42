"""Downloads: from headers to what the use case takes, and from what it says to an answer."""

from __future__ import annotations

from http import HTTPStatus

from ferry.downloads.download import DownloadRequest, ResponseKind
from ferry.downloads.download import DownloadResponse as Download
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.rules.conditions import Conditions
from ferry.rules.timestamps import format_rfc3339

_STATUSES = {
    ResponseKind.WHOLE: HTTPStatus.OK,
    ResponseKind.PART: HTTPStatus.PARTIAL_CONTENT,
    ResponseKind.HEADERS: HTTPStatus.OK,
    ResponseKind.NOT_MODIFIED: HTTPStatus.NOT_MODIFIED,
    ResponseKind.REDIRECT: HTTPStatus.TEMPORARY_REDIRECT,
}


def download_request(request: Request) -> DownloadRequest:
    """Raises `InvalidField` when `?redirect=` is no truth value."""
    sent = request.headers.get
    return DownloadRequest(
        head=request.method == "HEAD",
        range=sent("range"),
        conditions=Conditions(
            if_match=sent("if-match"),
            if_none_match=sent("if-none-match"),
            if_modified_since=sent("if-modified-since"),
            if_unmodified_since=sent("if-unmodified-since"),
            if_range=sent("if-range"),
        ),
        redirect=request.boolean("redirect", default=True),
    )


def download_response(download: Download) -> Response:
    """The file, a part of it, its headers, or where it is."""
    if download.kind is ResponseKind.LINK and download.link is not None:
        content = {
            "url": download.link.url,
            "expires_at": format_rfc3339(download.link.expires_at),
            "size": download.file.size,
            "etag": download.file.etag,
        }
        return json_response(200, content, download.headers)
    counts = {"Redirects": 1} if download.kind is ResponseKind.REDIRECT else {"ServedBytes": len(download.body or b"")}
    return Response(_STATUSES[download.kind], download.headers, download.body, counts)
