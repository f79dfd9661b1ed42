"""Files that a browser shows, and dates that S3 has otherwise than the API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.downloads.download import MAX_BODY_BYTES, DownloadRequest, DownloadResponse, ResponseKind, download
from ferry.errors import PreconditionFailed
from ferry.model.files import File
from ferry.rules.conditions import Conditions, format_http_date
from ferry.rules.disposition import inline, shown_type
from tests.support.files import put_file
from tests.support.in_memory_service import NAME, NS, InMemoryService

SHOWN = [
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("audio/mpeg", "audio/ogg; codecs=opus", "video/mp4", "Video/WebM", "application/pdf", "IMAGE/PNG"),
]
SAVED = [
    *("image/svg+xml", "image/tiff", "text/html", "text/xml", "application/xml", "application/xhtml+xml"),
    *("text/javascript", "application/javascript", "text/css", "text/csv", "application/json", "audio", "x-audio/x"),
    *("application/octet-stream", "multipart/x-mixed-replace", "message/rfc822", "application/pdfx"),
]


@pytest.fixture
def service() -> InMemoryService:
    return InMemoryService()


def get(service: InMemoryService, **options: object) -> DownloadResponse:
    """Download the file to be shown."""
    request = replace(DownloadRequest(inline=True), **options)  # type: ignore[arg-type]
    return download(service.services, NS, NAME, request)


def presigned_headers(service: InMemoryService, response: DownloadResponse) -> dict[str, str]:
    """Return the headers that S3 sends with the file."""
    assert response.link is not None
    return dict(service.object_store.grants[response.link.url].headers)


@pytest.mark.parametrize("content_type", SHOWN)
def test_shown_type_redirects_to_s3(service: InMemoryService, content_type: str) -> None:
    """A type that a browser may show comes from S3, whatever its size, with its type and `inline`."""
    put_file(service, NAME, b"x", content_type=content_type)
    for options in ({}, {"range": "bytes=0-0"}):
        response = get(service, **options)
        assert response.kind is ResponseKind.REDIRECT
        assert response.body is None
        assert presigned_headers(service, response) == {
            "content-type": content_type,
            "content-disposition": inline(NAME),
            "cache-control": "private, no-cache, no-transform",
        }


def test_plain_text_is_shown_as_utf8(service: InMemoryService) -> None:
    """A browser does not guess the encoding of text."""
    for content_type in ("text/plain", "text/plain; charset=utf-16", "TEXT/PLAIN"):
        put_file(service, NAME, b"x", content_type=content_type)
        assert presigned_headers(service, get(service))["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("content_type", SAVED)
def test_other_type_stays_attachment(service: InMemoryService, content_type: str) -> None:
    """A type that could run something is saved, also if a browser asks to show it."""
    assert shown_type(content_type) is None
    put_file(service, NAME, b"x", content_type=content_type)
    response = get(service)
    assert response.kind is ResponseKind.WHOLE
    assert response.headers["Content-Disposition"].startswith("attachment;")
    put_file(service, NAME, bytes(MAX_BODY_BYTES + 1), content_type=content_type)
    headers = presigned_headers(service, get(service))
    assert (headers["content-type"], headers["content-disposition"][:10]) == (content_type, "attachment")


def test_head_and_link_of_shown_file(service: InMemoryService) -> None:
    """HEAD never redirects, and a link shows the file too."""
    put_file(service, NAME, b"x", content_type="image/png")
    head = get(service, head=True)
    assert (head.kind, head.headers["Content-Disposition"]) == (ResponseKind.HEADERS, inline(NAME))
    link = get(service, redirect=False)
    assert link.kind is ResponseKind.LINK
    assert presigned_headers(service, link)["content-disposition"] == inline(NAME)
    assert get(service, inline=False).kind is ResponseKind.WHOLE


def with_dates(service: InMemoryService, *, last_modified: int, object_date: int | None) -> File:
    """Store an image whose dates differ: of the API, and of S3."""
    return put_file(
        service,
        NAME,
        b"x",
        content_type="image/png",
        uploaded_at=last_modified * 1000,
        last_modified_seconds=last_modified,
        object_date_seconds=object_date,
    )


DATES = ["if_modified_since", "if_unmodified_since", "if_range"]


@pytest.mark.parametrize("object_date", [None, 900, 1_100])
@pytest.mark.parametrize("header", DATES)
@pytest.mark.parametrize("date", [800, 900, 1_000, 1_100])
def test_date_that_s3_has_otherwise_is_rejected(
    service: InMemoryService, header: str, object_date: int | None, date: int
) -> None:
    """If the API would go on with a date alone and redirect, it is a 412 with the advice to send the ETag."""
    file = with_dates(service, last_modified=1_000, object_date=object_date)
    value = format_http_date(date)
    dated = Conditions(**{header: value})
    if header == "if_modified_since" and date >= 1_000:
        assert get(service, conditions=dated, range="bytes=0-0").kind is ResponseKind.NOT_MODIFIED
        return
    of_the_api = header == "if_unmodified_since" and date < 1_000
    with pytest.raises(PreconditionFailed) as raised:
        get(service, conditions=dated, range="bytes=0-0")
    assert ("S3" in raised.value.detail) is not of_the_api
    tag = {"if_modified_since": ("if_none_match", '"x"'), "if_unmodified_since": ("if_match", file.etag)}
    if header in tag:
        name, etag = tag[header]
        both = Conditions(**{header: value, name: etag})
        assert get(service, conditions=both).kind is ResponseKind.REDIRECT


@pytest.mark.parametrize("header", DATES)
def test_date_that_both_have_is_accepted(service: InMemoryService, header: str) -> None:
    """Where S3 has the same date, and where a date is invalid, the request is redirected."""
    with_dates(service, last_modified=1_000, object_date=1_000)
    date = {"if_modified_since": 900, "if_unmodified_since": 1_000, "if_range": 1_000}[header]
    for conditions in (Conditions(**{header: format_http_date(date)}), Conditions(if_range=None)):
        assert get(service, conditions=conditions, range="bytes=0-0").kind is ResponseKind.REDIRECT
    with_dates(service, last_modified=1_000, object_date=None)
    assert get(service, conditions=Conditions(**{header: "yesterday"})).kind is ResponseKind.REDIRECT
    assert get(service, conditions=Conditions(if_range=format_http_date(1_000))).kind is ResponseKind.REDIRECT
