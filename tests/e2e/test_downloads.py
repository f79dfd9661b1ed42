"""Downloads: whole files, ranges, conditional requests and redirects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.local.client import FerryClient, fetch, quote_filename
from tests.e2e.clients import MIB, problem_code, random_bytes, upload_file

SMALL = random_bytes(100_000, seed=6)
LARGE = random_bytes(9 * MIB + 1, seed=7)


@pytest.fixture(scope="module")
def small(api: FerryClient) -> Iterator[dict[str, object]]:
    yield upload_file(api, "small file.html", SMALL, content_type="text/html")
    api.request("DELETE", "/files/small%20file.html")


@pytest.fixture(scope="module")
def large(api: FerryClient) -> Iterator[dict[str, object]]:
    yield upload_file(api, "large file.bin", LARGE)
    api.request("DELETE", "/files/large%20file.bin")


def test_download_small_file_is_inline_with_headers(api: FerryClient, small: dict[str, object]) -> None:
    """The headers describe the file and keep a stored page from running on the API's origin."""
    response = api.request("GET", "/download/small%20file.html")
    assert (response.status, response.body) == (200, SMALL)
    headers = response.headers
    assert headers["etag"] == small["etag"]
    assert headers["etag"].startswith('"')
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-type"] == "text/html"
    assert headers["content-disposition"].startswith("attachment;")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["repr-digest"].startswith("crc32c=:")
    assert headers["last-modified"].endswith("GMT")
    assert headers["x-request-id"]


@pytest.mark.parametrize("route", ["/download/", "/download/partial/"])
def test_head_describes_whole_file_without_redirect(api: FerryClient, large: dict[str, object], route: str) -> None:
    """HEAD has the headers of GET and no body, for any size and any Range."""
    response = api.request("HEAD", f"{route}large%20file.bin", headers={"Range": "bytes=0-9"})
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == response.headers["ferry-size"] == str(len(LARGE))
    assert response.headers["etag"] == large["etag"]


@pytest.mark.parametrize(
    ("byte_range", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-4194303", 0, 4 * MIB - 1),
        ("bytes=-7", len(LARGE) - 7, len(LARGE) - 1),
        (f"bytes={len(LARGE) - 3}-", len(LARGE) - 3, len(LARGE) - 1),
        (f"bytes={len(LARGE) - 3}-99999999999999999999", len(LARGE) - 3, len(LARGE) - 1),
        ("bytes=4194300-8388700", 4_194_300, 8_388_700),
        ("bytes=1-", 1, len(LARGE) - 1),
        ("bytes=-99999999999", 0, len(LARGE) - 1),
        ("Bytes=5-6", 5, 6),
    ],
)
def test_range_returns_exact_bytes(
    api: FerryClient, large: dict[str, object], byte_range: str, first: int, last: int
) -> None:
    """206 has exactly the requested bytes: inline up to 4 MiB, from S3 above."""
    direct = api.request("GET", "/download/partial/large%20file.bin", headers={"Range": byte_range})
    assert direct.status == (206 if last - first < 4 * MIB else 307)
    response = api.download("large file.bin", byte_range)
    assert response.status == 206
    assert response.body == LARGE[first : last + 1]
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(LARGE)}"
    assert response.headers["etag"] == large["etag"]


@pytest.mark.parametrize("byte_range", ["bytes=100000-", "bytes=-0", "bytes=500000-600000"])
def test_range_beyond_file_returns_416(api: FerryClient, small: dict[str, object], byte_range: str) -> None:
    """416 has the size of the file, so that the client can correct its request."""
    response = api.request("GET", "/download/partial/small%20file.html", headers={"Range": byte_range})
    assert problem_code(response) == (416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */100000"


@pytest.mark.parametrize(
    "byte_range", [None, "bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes", "bytes=--1"]
)
def test_range_absent_or_invalid_returns_whole_file(
    api: FerryClient, small: dict[str, object], byte_range: str | None
) -> None:
    """No range, a malformed one, several ranges or another unit return the whole file with 200."""
    headers = {} if byte_range is None else {"Range": byte_range}
    response = api.request("GET", "/download/partial/small%20file.html", headers=headers)
    assert (response.status, response.body) == (200, SMALL)


def test_conditional_requests_follow_rfc_9110(api: FerryClient, small: dict[str, object]) -> None:
    """304 if the client has the file, 412 if a precondition fails; If-Range chooses between the range and the file."""
    etag = str(small["etag"])
    path = "/download/partial/small%20file.html"
    modified = api.request("HEAD", path).headers["last-modified"]
    table = [
        ({"If-None-Match": etag}, 304, 0),
        ({"If-None-Match": f'"other", W/{etag}'}, 304, 0),
        ({"If-None-Match": "*"}, 304, 0),
        ({"If-None-Match": '"other"'}, 200, 100_000),
        ({"If-Modified-Since": modified}, 304, 0),
        ({"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200, 100_000),
        ({"If-None-Match": '"other"', "If-Modified-Since": modified}, 200, 100_000),
        ({"If-Match": etag}, 200, 100_000),
        ({"If-Unmodified-Since": modified}, 200, 100_000),
        ({"Range": "bytes=0-9", "If-Range": etag}, 206, 10),
        ({"Range": "bytes=0-9", "If-Range": '"other"'}, 200, 100_000),
        ({"Range": "bytes=0-9", "If-Range": f"W/{etag}"}, 200, 100_000),
        ({"Range": "bytes=0-9", "If-Match": etag}, 206, 10),
    ]
    for headers, status, length in table:
        response = api.request("GET", path, headers=headers)
        assert (response.status, len(response.body)) == (status, length), headers
        assert response.headers["etag"] == etag
    for headers in ({"If-Match": '"other"'}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}):
        assert problem_code(api.request("GET", path, headers=headers)) == (412, "precondition_failed")


def test_conditional_requests_hold_across_redirect(api: FerryClient, large: dict[str, object]) -> None:
    """S3 evaluates conditions on the same ETag as the API."""
    url = api.request("GET", "/download/large%20file.bin").headers["location"]
    etag = str(large["etag"])
    assert fetch("GET", url, headers={"If-Match": etag}).body == LARGE
    assert fetch("GET", url, headers={"If-Match": '"other"'}).status == 412
    assert fetch("GET", url, headers={"If-None-Match": etag}).status == 304


def test_redirect_is_not_cacheable(api: FerryClient, large: dict[str, object]) -> None:
    """307 is not cached; `redirect=false` returns the URL in JSON, for clients that would send their token to S3."""
    redirect = api.request("GET", "/download/large%20file.bin")
    assert (redirect.status, redirect.body) == (307, b"")
    assert redirect.headers["cache-control"] == "private, no-store"
    assert not {"etag", "last-modified", "accept-ranges", "repr-digest"} & redirect.headers.keys()
    link = api.request("GET", "/download/large%20file.bin?redirect=false")
    assert link.status == 200
    assert link.json.keys() == {"url", "expires_at", "size", "etag"}
    assert (link.json["size"], link.json["etag"]) == (len(LARGE), large["etag"])
    assert fetch("GET", link.json["url"]).body == LARGE
    assert fetch("GET", link.json["url"].replace("X-Amz-Signature=", "X-Amz-Signature=0")).status == 403


def test_download_other_namespace_returns_404(
    api: FerryClient, other: FerryClient, reader: FerryClient, small: dict[str, object]
) -> None:
    """A file of another namespace gets the same 404 as no file; a reader of the namespace may read and not delete."""
    path = quote_filename("small file.html")
    absent = other.request("GET", "/download/nothing")
    foreign = other.request("GET", f"/download/{path}")
    assert problem_code(foreign) == problem_code(absent) == (404, "not_found")
    assert {**foreign.json, "request_id": ""} == {**absent.json, "request_id": ""}
    assert problem_code(other.request("GET", f"/status/{path}")) == (404, "not_found")
    assert problem_code(other.request("DELETE", f"/files/{path}")) == (404, "not_found")
    assert "small file.html" not in [file["filename"] for file in other.request("GET", "/files").json["files"]]
    assert reader.download("small file.html").body == SMALL
    assert problem_code(reader.request("DELETE", f"/files/{path}")) == (403, "insufficient_scope")
