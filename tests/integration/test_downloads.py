"""The download function: whole files, ranges, conditions, redirects, and every valid name."""

from __future__ import annotations

import unicodedata
from uuid import uuid4

import pytest

from tests.integration.stack import Stack

CONTENT = bytes(range(100))

LONGEST_NAME = "/".join(["ü" * 127] * 3 + ["n" * 235])
"""1,000 bytes of UTF-8."""

NAMES = [
    "plain.txt",
    "with space",
    "emoji 😀🏳️‍🌈.png",
    "quotes \" ' `",
    "hash#tag",
    "question?mark=1&b",
    "percent%41%",
    "%2e%2e",
    "partial",
    "start",
    "plus+plus",
    "semi;colon,comma",
    "{filename}",
    "<script>",
    "مرحبا.txt",
    "e\u0301 decomposed",
    "𝔘𝔫𝔦",
    "x" * 255,
    "folder/of a/file.txt",
    "partial/below",
    LONGEST_NAME,
]


@pytest.mark.parametrize("name", NAMES)
def test_legal_name_round_trips(stack: Stack, name: str) -> None:
    """A valid name works in the path and in `?filename=`, on every route with a name."""
    view = stack.upload(name, CONTENT)
    assert view["filename"] == unicodedata.normalize("NFC", name)
    for key in ("GET /download", "GET /download/partial"):
        assert stack.request(key, query={"filename": name}).body == CONTENT
        assert stack.request(f"{key}/{{filename+}}", filename=name).body == CONTENT
    assert stack.request("GET /status/{filename+}", filename=name).json["filename"] == view["filename"]
    assert stack.request("GET /status", query={"filename": name}).json["state"] == "complete"
    assert view["filename"] in [
        file["filename"] for file in stack.request("GET /files", query={"prefix": name}).json["files"]
    ]
    assert stack.request("DELETE /files/{filename+}", filename=name).status == 204
    assert stack.request("GET /download", query={"filename": name}).status == 404


@pytest.mark.parametrize(
    "name",
    ["", " lead", "trail ", ".", "..", "a/", "a//b", "a/../b", "a\\b", "nul\0", "new\nline", "y" * 256],
)
def test_illegal_name_returns_422(stack: Stack, name: str) -> None:
    """An invalid name has the same code on every route, in the path, the query and the body."""
    rejected = [
        stack.request(f"GET /{path}", query={"filename": name}) for path in ("download", "download/partial", "status")
    ]
    rejected += [stack.request(f"GET /{path}/{{filename+}}", filename=name) for path in ("download", "status")]
    rejected += [stack.request(f"DELETE /{path}", query={"filename": name}) for path in ("upload", "files", "cleanup")]
    rejected.append(stack.post_json("POST /upload/start", {"filename": name, "size": 1}))
    assert {(got.status, got.code) for got in rejected} == {(422, "invalid_filename")}


def test_download_partial_without_name_returns_file_named_partial(stack: Stack) -> None:
    """`/download/partial` without a name is a file with the name `partial`, whole or a range of it."""
    stack.upload("partial", CONTENT)
    got = stack.request("GET /download/partial")
    assert (got.status, got.body) == (200, CONTENT)
    got = stack.request("GET /download/partial", headers={"range": "bytes=0-1"})
    assert (got.status, got.body) == (206, CONTENT[:2])
    assert stack.request("HEAD /download/partial").headers["content-length"] == "100"
    stack.request("DELETE /files/{filename+}", filename="partial")


def test_get_and_head_have_same_headers(stack: Stack) -> None:
    """GET and HEAD have the same headers; HEAD has no body."""
    view = stack.upload("headers", CONTENT, content_type="application/json")
    got = stack.request("GET /download/{filename+}", filename="headers")
    assert (got.status, got.body) == (200, CONTENT)
    assert got.headers["etag"] == view["etag"]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("attachment;")
    assert got.headers["accept-ranges"] == "bytes"
    head = stack.request("HEAD /download/{filename+}", filename="headers")
    assert (head.status, head.body) == (200, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize(
    ("range_", "status", "content_range", "body"),
    [
        ("bytes=0-9", 206, "bytes 0-9/100", CONTENT[:10]),
        ("bytes=90-", 206, "bytes 90-99/100", CONTENT[90:]),
        ("bytes=-5", 206, "bytes 95-99/100", CONTENT[95:]),
        ("bytes=0-0,5-6", 200, None, CONTENT),
        ("lines=0-1", 200, None, CONTENT),
        ("bytes=9-1", 200, None, CONTENT),
    ],
)
def test_range_request_returns_range_or_whole_file(
    stack: Stack, range_: str, status: int, content_range: str | None, body: bytes
) -> None:
    """One range is a 206; a malformed one and several return the whole file; HEAD ignores Range."""
    if stack.request("HEAD /download", query={"filename": "ranges"}).status == 404:
        stack.upload("ranges", CONTENT)
    got = stack.request("GET /download/partial/{filename+}", filename="ranges", headers={"range": range_})
    assert (got.status, got.headers.get("content-range"), got.body) == (status, content_range, body)
    head = stack.request("HEAD /download/partial/{filename+}", filename="ranges", headers={"range": range_})
    assert (head.status, head.headers["content-length"]) == (200, "100")


def test_failed_condition_and_range_have_required_headers(stack: Stack) -> None:
    """304, 412 and 416 have the headers that HTTP requires."""
    etag = stack.upload("conditions", CONTENT)["etag"]
    key, name = "GET /download/partial/{filename+}", "conditions"
    unchanged = stack.request(key, filename=name, headers={"if-none-match": etag})
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    failed = stack.request(key, filename=name, headers={"if-match": '"other"'})
    assert (failed.status, failed.code) == (412, "precondition_failed")
    beyond = stack.request(key, filename=name, headers={"range": "bytes=100-"})
    assert (beyond.status, beyond.code, beyond.headers["content-range"]) == (
        416,
        "range_not_satisfiable",
        "bytes */100",
    )
    head = stack.request("HEAD /download/{filename+}", filename=name, headers={"if-match": '"other"'})
    assert (head.status, head.body) == (412, b"")


def test_large_file_redirects_to_s3(stack: Stack) -> None:
    """A large file is a 307 to a presigned URL; with `redirect=false`, JSON with the URL."""
    content = bytes(5 * 1024 * 1024)
    stack.post_json("POST /upload/start", {"filename": "large", "size": len(content)})
    for index, offset in ((1, 0), (2, 4 * 1024 * 1024)):
        query = {"filename": "large", "chunk_index": str(index)}
        data = content[offset : offset + 4 * 1024 * 1024]
        stack.request(
            "POST /upload/chunk", query=query, headers={"content-type": "application/octet-stream"}, body=data
        )
    assert stack.post_json("POST /upload/complete", {"filename": "large"}).status == 200
    redirect = stack.request("GET /download/{filename+}", filename="large")
    assert (redirect.status, redirect.body) == (307, b"")
    assert "X-Amz-Signature=" in redirect.headers["location"]
    assert redirect.headers["cache-control"] == "private, no-store"
    link = stack.request("GET /download/{filename+}", filename="large", query={"redirect": "false"})
    assert (link.status, link.json["size"], link.headers["cache-control"]) == (200, len(content), "private, no-store")
    assert stack.request("HEAD /download/{filename+}", filename="large").headers["content-length"] == str(len(content))
    long = stack.request("GET /download/partial/{filename+}", filename="large", headers={"range": "bytes=1-"})
    assert long.status == 307
    assert stack.request("GET /download", query={"filename": "large", "redirect": "no"}).code == "validation_failed"


def test_file_of_other_namespace_returns_404(stack: Stack) -> None:
    """A file of another namespace has the same response as a name that does not exist."""
    stack.upload("mine", CONTENT)
    other = stack.token("other")
    theirs = stack.request("GET /download/{filename+}", filename="mine", token=other)
    unknown = stack.request("GET /download/{filename+}", filename="unknown", token=other)
    assert theirs.status == 404
    assert theirs.json == unknown.json


DESTINATIONS = [("script", 403), ("style", 403), ("worker", 403), ("sharedworker", 403), ("ServiceWorker ", 403)]
DESTINATIONS += [("empty", 200), ("document", 200), ("image", 200)]


@pytest.mark.parametrize(("destination", "status"), DESTINATIONS)
@pytest.mark.parametrize("key", ["GET /download", "HEAD /download", "GET /download/partial"])
def test_file_as_script_style_or_worker_returns_403(stack: Stack, key: str, destination: str, status: int) -> None:
    """A browser gets no file that it would run or apply on the API's origin, not even a URL of one."""
    name = f"{uuid4().hex}.js"
    stack.upload(name, b"alert(1)")
    for query in ({}, {"redirect": "false"}):
        got = stack.request(key, query={"filename": name, **query}, headers={"sec-fetch-dest": destination})
        assert got.status == status
        if status == 403 and key.startswith("GET"):
            assert got.code == "destination_forbidden"
        if status == 200 and not query:
            assert got.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/openapi.json", "/.well-known/jwks.json", "/status", "/download"])
def test_cacheable_response_varies_by_origin(stack: Stack, path: str) -> None:
    """A cache does not serve the CORS headers of one origin to another: `Vary` of 200 and 304 has `Origin`."""
    name = uuid4().hex
    stack.upload(name, CONTENT)
    got = stack.request(f"GET {path}", query={"filename": name})
    vary = "Accept-Encoding, Origin" if path == "/openapi.json" else "Origin"
    assert (got.status, got.headers["vary"]) == (200, vary)
    if "etag" in got.headers:
        headers = {"if-none-match": got.headers["etag"]}
        unchanged = stack.request(f"GET {path}", query={"filename": name}, headers=headers)
        assert (unchanged.status, unchanged.headers["vary"]) == (304, vary)


def test_uncacheable_response_has_no_vary(stack: Stack) -> None:
    """A response that no cache may store needs no Vary."""
    for key in ("GET /files", "GET /health"):
        got = stack.request(key)
        assert (got.headers["cache-control"], "vary" in got.headers) == ("no-store", False)


def test_unknown_disposition_is_rejected(stack: Stack) -> None:
    """Another disposition than `inline` and `attachment` is a 422."""
    stack.upload("disposition", b"x")
    for key in ("GET /download", "HEAD /download", "GET /download/partial"):
        for unknown in ("", "Inline", "form-data", "inline, inline"):
            got = stack.request(key, query={"filename": "disposition", "disposition": unknown})
            assert got.status == 422, (key, unknown)
        for known in ("attachment", "inline"):
            assert stack.request(key, query={"filename": "disposition", "disposition": known}).status == 200
