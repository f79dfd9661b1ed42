"""Downloads: whole, by ranges, conditional, redirected."""

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
    """Strong ETag, digest, and nothing by which a stored page could run on the API's origin."""
    answer = api.request("GET", "/download/small%20file.html")
    assert (answer.status, answer.body) == (200, SMALL)
    headers = answer.headers
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
    """HEAD has GET's headers and no body, whatever the size and whatever Range says."""
    answer = api.request("HEAD", f"{route}large%20file.bin", headers={"Range": "bytes=0-9"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.headers["etag"] == large["etag"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
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
    api: FerryClient, large: dict[str, object], asked: str, first: int, last: int
) -> None:
    """206 with just those bytes: inline up to 4 MiB, through S3 above, and never shorter than asked."""
    direct = api.request("GET", "/download/partial/large%20file.bin", headers={"Range": asked})
    assert direct.status == (206 if last - first < 4 * MIB else 307)
    answer = api.download("large file.bin", asked)
    assert answer.status == 206
    assert answer.body == LARGE[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(LARGE)}"
    assert answer.headers["etag"] == large["etag"]


@pytest.mark.parametrize("asked", ["bytes=100000-", "bytes=-0", "bytes=500000-600000"])
def test_range_beyond_file_returns_416(api: FerryClient, small: dict[str, object], asked: str) -> None:
    """416 with the size, so that the client can ask again."""
    answer = api.request("GET", "/download/partial/small%20file.html", headers={"Range": asked})
    assert problem_code(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */100000"


@pytest.mark.parametrize("asked", [None, "bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes", "bytes=--1"])
def test_range_absent_or_invalid_returns_whole_file(
    api: FerryClient, small: dict[str, object], asked: str | None
) -> None:
    """No Range, a malformed one, several, another unit: 200 and everything."""
    headers = {} if asked is None else {"Range": asked}
    answer = api.request("GET", "/download/partial/small%20file.html", headers=headers)
    assert (answer.status, answer.body) == (200, SMALL)


def test_conditional_requests_follow_rfc_9110(api: FerryClient, small: dict[str, object]) -> None:
    """304 for what the client has, 412 for what it did not expect; If-Range decides between a part and the whole."""
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
        answer = api.request("GET", path, headers=headers)
        assert (answer.status, len(answer.body)) == (status, length), headers
        assert answer.headers["etag"] == etag
    for headers in ({"If-Match": '"other"'}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}):
        assert problem_code(api.request("GET", path, headers=headers)) == (412, "precondition_failed")


def test_conditional_requests_hold_across_redirect(api: FerryClient, large: dict[str, object]) -> None:
    """S3 evaluates the same conditions on the same ETag that the API gave."""
    url = api.request("GET", "/download/large%20file.bin").headers["location"]
    etag = str(large["etag"])
    assert fetch("GET", url, headers={"If-Match": etag}).body == LARGE
    assert fetch("GET", url, headers={"If-Match": '"other"'}).status == 412
    assert fetch("GET", url, headers={"If-None-Match": etag}).status == 304


def test_redirect_is_not_cacheable(api: FerryClient, large: dict[str, object]) -> None:
    """307, not cached; with ?redirect=false the URL is told instead, for clients that would send their token along."""
    redirect = api.request("GET", "/download/large%20file.bin")
    assert (redirect.status, redirect.body) == (307, b"")
    assert redirect.headers["cache-control"] == "private, no-store"
    assert redirect.headers["etag"] == large["etag"]
    told = api.request("GET", "/download/large%20file.bin?redirect=false")
    assert told.status == 200
    assert told.json.keys() == {"url", "expires_at", "size", "etag"}
    assert (told.json["size"], told.json["etag"]) == (len(LARGE), large["etag"])
    assert fetch("GET", told.json["url"]).body == LARGE
    assert fetch("GET", told.json["url"].replace("X-Amz-Signature=", "X-Amz-Signature=0")).status == 403


def test_download_other_namespace_returns_404(
    api: FerryClient, other: FerryClient, reader: FerryClient, small: dict[str, object]
) -> None:
    """Someone else's file is a 404 like one that is not there; a reader of the same namespace may read, not delete."""
    path = quote_filename("small file.html")
    absent = other.request("GET", "/download/nothing")
    foreign = other.request("GET", f"/download/{path}")
    assert problem_code(foreign) == problem_code(absent) == (404, "not_found")
    assert {**foreign.json, "request_id": ""} == {**absent.json, "request_id": ""}
    assert problem_code(other.request("GET", f"/status/{path}")) == (404, "not_found")
    assert problem_code(other.request("DELETE", f"/files/{path}")) == (404, "not_found")
    assert other.request("GET", "/files").json["files"] == []
    assert reader.download("small file.html").body == SMALL
    assert problem_code(reader.request("DELETE", f"/files/{path}")) == (403, "insufficient_scope")
