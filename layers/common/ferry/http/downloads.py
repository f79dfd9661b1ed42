"""Downloads: from headers to what the use case takes, and from what it says to an answer."""

from __future__ import annotations

from http import HTTPStatus

from ferry.conditions import Conditions
from ferry.downloads import Answer as Download
from ferry.downloads import DownloadRequest, Kind
from ferry.http.answer import Answer, json_answer
from ferry.http.request import Request
from ferry.times import rfc3339

_STATUSES = {
    Kind.WHOLE: HTTPStatus.OK,
    Kind.PART: HTTPStatus.PARTIAL_CONTENT,
    Kind.HEADERS: HTTPStatus.OK,
    Kind.NOT_MODIFIED: HTTPStatus.NOT_MODIFIED,
    Kind.REDIRECT: HTTPStatus.TEMPORARY_REDIRECT,
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
        redirect=request.flag("redirect", default=True),
    )


def answer(download: Download) -> Answer:
    """The file, a part of it, its headers, or where it is."""
    if download.kind is Kind.DESCRIBED and download.link is not None:
        content = {
            "url": download.link.url,
            "expires_at": rfc3339(download.link.expires_at),
            "size": download.file.size,
            "etag": download.file.etag,
        }
        return json_answer(200, content, download.headers)
    counts = {"Redirects": 1} if download.kind is Kind.REDIRECT else {"ServedBytes": len(download.body or b"")}
    return Answer(_STATUSES[download.kind], download.headers, download.body, counts)
