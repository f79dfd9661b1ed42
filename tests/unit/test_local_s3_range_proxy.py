"""The requests that the range proxy handles for SeaweedFS, and what it sends to SeaweedFS."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from dev.local.lambda_response import GatewayResponse
from dev.local.s3_range_proxy import S3RangeProxy, equivalent_header, needs_proxy, rewrite_redirect

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
HEADERS = {"etag": '"abc"', "last_modified": DATE, "content_length": "100"}


def pairs(**headers: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("headers", "needed"),
    [
        ({}, False),
        ({"range": "bytes=0-9"}, False),
        ({"range": "bytes=9-"}, False),
        ({"range": "bytes=-9", "if_match": '"abc"'}, False),
        ({"if_none_match": '"x"', "if_modified_since": DATE}, False),
        ({"range": "bytes=0-9", "if_range": '"abc"'}, True),
        ({"if_range": ""}, True),
        ({"range": "bytes=9-5"}, True),
        ({"range": "bytes=0-1,5-6"}, True),
        ({"range": "Bytes=0-9"}, True),
        ({"range": "bytes=0-99999999999999999999"}, True),
        ({"if_modified_since": "yesterday"}, True),
        ({"if_unmodified_since": ""}, True),
    ],
)
def test_needs_proxy_for_unsupported_headers(headers: dict[str, str], needed: bool) -> None:
    """Requests with If-Range, with a malformed or unusual range, or with a malformed date need the proxy."""
    assert needs_proxy(pairs(**headers)) is needed


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, None),
        ({"range": "bytes=9-5"}, None),
        ({"range": "Bytes=007-"}, (b"range", b"bytes=7-99")),
        ({"range": "bytes=5-9", "if-range": '"abc"'}, (b"range", b"bytes=5-9")),
        ({"range": "bytes=5-9", "if-range": DATE}, (b"range", b"bytes=5-9")),
        ({"range": "bytes=5-9", "if-range": '"other"'}, None),
        ({"range": "bytes=100-", "if-range": '"abc"'}, (b"range", b"bytes=100-")),
        ({"range": "bytes=5-9", "if-match": '"other"'}, (b"if-match", b'"none"')),
        ({"if-range": '"other"', "if-none-match": 'W/"abc"'}, (b"if-none-match", b'"abc"')),
        ({"if-modified-since": "yesterday"}, None),
    ],
)
def test_equivalent_header_matches_s3(sent: dict[str, str], expected: tuple[bytes, bytes] | None) -> None:
    """The proxy sends the one header with which SeaweedFS responds as S3 does, or none for the whole file."""
    assert equivalent_header(sent, pairs(**HEADERS)) == expected


def test_rewrite_redirect_changes_origin_only() -> None:
    """A redirect to S3's origin gets the proxy's origin; another redirect stays as it is."""
    to_s3 = GatewayResponse(307, (("location", "http://a:1/b/o?x=http://a:1/"), ("etag", '"abc"')))
    assert rewrite_redirect(to_s3, "http://a:1", "http://a:2").headers == (
        ("location", "http://a:2/b/o?x=http://a:1/"),
        ("etag", '"abc"'),
    )
    elsewhere = GatewayResponse(307, (("location", "http://a:11/b"),))
    assert rewrite_redirect(elsewhere, "http://a:1", "http://a:2") == elsewhere


@pytest.mark.parametrize(("host", "method"), [("page.example:80", "GET"), ("", "GET"), ("127.0.0.1:1", "PUT")])
def test_other_host_or_method_reaches_no_server(host: str, method: str) -> None:
    """A request for another host is a 403, and one that is no download is a 405. Neither opens a connection."""
    statuses: list[int] = []

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            statuses.append(event["status"])

    async def receive() -> Any:
        raise AssertionError

    scope: Any = {"type": "http", "method": method, "headers": [(b"host", host.encode())] if host else []}
    # No event loop: the response needs nothing that would have to be waited for.
    with contextlib.suppress(StopIteration):
        S3RangeProxy("http://127.0.0.1:1")(scope, receive, send).send(None)
    assert statuses == [405 if method == "PUT" else 403]
