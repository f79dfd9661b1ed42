"""The download function: whole files, ranges, conditions, redirects, and any legal name."""

from __future__ import annotations

import unicodedata

import pytest

from tests.integration.stack import Stack

CONTENT = bytes(range(100))

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
]


@pytest.mark.parametrize("name", NAMES)
def test_legal_name_round_trips(stack: Stack, name: str) -> None:
    """By path and by `?filename=`, on every route with a name."""
    view = stack.upload(name, CONTENT)
    assert view["filename"] == unicodedata.normalize("NFC", name)
    for key in ("GET /download", "GET /download/partial"):
        assert stack.request(key, query={"filename": name}).body == CONTENT
        assert stack.request(f"{key}/{{filename}}", filename=name).body == CONTENT
    assert stack.request("GET /status/{filename}", filename=name).json["filename"] == view["filename"]
    assert stack.request("GET /status", query={"filename": name}).json["state"] == "complete"
    assert view["filename"] in [
        file["filename"] for file in stack.request("GET /files", query={"prefix": name}).json["files"]
    ]
    assert stack.request("DELETE /files/{filename}", filename=name).status == 204
    assert stack.request("GET /download", query={"filename": name}).status == 404


@pytest.mark.parametrize("name", ["", " lead", "trail ", ".", "..", "a/b", "a\\b", "nul\0", "new\nline", "y" * 256])
def test_illegal_name_returns_422(stack: Stack, name: str) -> None:
    """The same code on every route, however the name comes."""
    refused = [
        stack.request(f"GET /{path}", query={"filename": name}) for path in ("download", "download/partial", "status")
    ]
    refused += [stack.request(f"GET /{path}/{{filename}}", filename=name) for path in ("download", "status")]
    refused += [stack.request(f"DELETE /{path}", query={"filename": name}) for path in ("upload", "files", "cleanup")]
    refused.append(stack.post_json("POST /upload/start", {"filename": name, "size": 1}))
    assert {(got.status, got.code) for got in refused} == {(422, "invalid_filename")}


def test_download_partial_without_name_returns_file_named_partial(stack: Stack) -> None:
    """Whole, or a range of it."""
    stack.upload("partial", CONTENT)
    got = stack.request("GET /download/partial")
    assert (got.status, got.body) == (200, CONTENT)
    got = stack.request("GET /download/partial", headers={"range": "bytes=0-1"})
    assert (got.status, got.body) == (206, CONTENT[:2])
    assert stack.request("HEAD /download/partial").headers["content-length"] == "100"
    stack.request("DELETE /files/{filename}", filename="partial")


def test_file_headers(stack: Stack) -> None:
    """GET and HEAD have the same; HEAD has no body."""
    view = stack.upload("headers", CONTENT, content_type="application/json")
    got = stack.request("GET /download/{filename}", filename="headers")
    assert (got.status, got.body) == (200, CONTENT)
    assert got.headers["etag"] == view["etag"]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("attachment;")
    assert got.headers["accept-ranges"] == "bytes"
    head = stack.request("HEAD /download/{filename}", filename="headers")
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
def test_ranges(stack: Stack, range_: str, status: int, content_range: str | None, body: bytes) -> None:
    """One range is a 206; what is malformed or several is the whole file; HEAD ignores Range."""
    if stack.request("HEAD /download", query={"filename": "ranges"}).status == 404:
        stack.upload("ranges", CONTENT)
    got = stack.request("GET /download/partial/{filename}", filename="ranges", headers={"range": range_})
    assert (got.status, got.headers.get("content-range"), got.body) == (status, content_range, body)
    head = stack.request("HEAD /download/partial/{filename}", filename="ranges", headers={"range": range_})
    assert (head.status, head.headers["content-length"]) == (200, "100")


def test_conditions_and_unsatisfiable_range(stack: Stack) -> None:
    """304, 412 and 416, with the headers they need."""
    etag = stack.upload("conditions", CONTENT)["etag"]
    key, name = "GET /download/partial/{filename}", "conditions"
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
    head = stack.request("HEAD /download/{filename}", filename=name, headers={"if-match": '"other"'})
    assert (head.status, head.body) == (412, b"")


def test_large_file_redirects_to_s3(stack: Stack) -> None:
    """307 with a presigned URL; `redirect=false` tells it."""
    content = bytes(5 * 1024 * 1024)
    stack.post_json("POST /upload/start", {"filename": "large", "size": len(content)})
    for index, at in ((1, 0), (2, 4 * 1024 * 1024)):
        query = {"filename": "large", "chunk_index": str(index)}
        data = content[at : at + 4 * 1024 * 1024]
        stack.request(
            "POST /upload/chunk", query=query, headers={"content-type": "application/octet-stream"}, body=data
        )
    assert stack.post_json("POST /upload/complete", {"filename": "large"}).status == 200
    moved = stack.request("GET /download/{filename}", filename="large")
    assert (moved.status, moved.body) == (307, b"")
    assert "X-Amz-Signature=" in moved.headers["location"]
    assert moved.headers["cache-control"] == "private, no-store"
    told = stack.request("GET /download/{filename}", filename="large", query={"redirect": "false"})
    assert (told.status, told.json["size"], told.headers["cache-control"]) == (200, len(content), "private, no-store")
    assert stack.request("HEAD /download/{filename}", filename="large").headers["content-length"] == str(len(content))
    long = stack.request("GET /download/partial/{filename}", filename="large", headers={"range": "bytes=1-"})
    assert long.status == 307
    assert stack.request("GET /download", query={"filename": "large", "redirect": "no"}).code == "validation_failed"


def test_file_of_other_namespace_returns_404(stack: Stack) -> None:
    """404, exactly like a name nobody has."""
    stack.upload("mine", CONTENT)
    other = stack.token("other")
    theirs = stack.request("GET /download/{filename}", filename="mine", token=other)
    nobodys = stack.request("GET /download/{filename}", filename="nobody's", token=other)
    assert theirs.status == 404
    assert theirs.json == nobodys.json
