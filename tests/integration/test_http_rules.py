"""Rules of HTTP that hold on every route: preconditions of changes, text that is not UTF-8, and query parameters."""

from __future__ import annotations

import base64
import hashlib
import json
from uuid import uuid4

import pytest

from tests.integration.events import build_event
from tests.integration.stack import Stack, function_modules, to_result

PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 31 Dec 2049 23:59:59 GMT"
OTHER_ETAG = '"0123456789abcdef0123456789abcdef"'
REPLACEMENT = "caf\ufffd.txt"
"""What a lossy decoder leaves of a name in Latin-1."""

# headers, with {etag} for the file's own; the status of DELETE
DELETE_CASES: list[tuple[dict[str, str], int]] = [
    ({"if-match": OTHER_ETAG}, 412),
    ({"if-match": "W/{etag}"}, 412),
    ({"if-match": "nonsense"}, 412),
    ({"if-unmodified-since": PAST}, 412),
    ({"if-none-match": "*"}, 412),
    ({"if-none-match": "{etag}"}, 412),
    ({"if-none-match": "W/{etag}"}, 412),
    ({"if-none-match": "nonsense"}, 412),
    ({"if-match": "{etag}", "if-none-match": "*"}, 412),
    ({"if-match": ""}, 422),
    ({"if-none-match": " "}, 422),
    ({"if-unmodified-since": ""}, 422),
    ({"if-match": "{etag}"}, 204),
    ({"if-match": "*"}, 204),
    ({"if-match": "{etag}", "if-unmodified-since": PAST}, 204),
    ({"if-unmodified-since": FUTURE}, 204),
    ({"if-none-match": OTHER_ETAG}, 204),
    ({"if-modified-since": FUTURE}, 204),
]


@pytest.mark.parametrize(("headers", "status"), DELETE_CASES)
@pytest.mark.parametrize("by_path", [True, False])
def test_delete_file_obeys_preconditions(stack: Stack, headers: dict[str, str], status: int, by_path: bool) -> None:
    """A condition that does not hold is a 412, and the file stays; one that holds deletes it."""
    name = uuid4().hex
    etag = stack.upload(name, b"content")["etag"]
    sent = {name: value.format(etag=etag) for name, value in headers.items()}
    if by_path:
        got = stack.request("DELETE /files/{filename+}", filename=name, headers=sent)
    else:
        got = stack.request("DELETE /files", query={"filename": name}, headers=sent)
    assert got.status == status
    if status == 412:
        assert got.code == "precondition_failed"
    left = stack.request("GET /download", query={"filename": name})
    assert left.status == (404 if status == 204 else 200)


def test_delete_missing_file_with_condition_returns_404(stack: Stack) -> None:
    """A file that is not there (any more) is a 404, whatever the condition."""
    for headers in ({"if-match": OTHER_ETAG}, {"if-none-match": "*"}):
        assert stack.request("DELETE /files", query={"filename": "nothing"}, headers=headers).status == 404


@pytest.mark.parametrize(
    "prefix", ["GET /download", "HEAD /download", "GET /status", "DELETE /files", "DELETE /upload"]
)
def test_name_that_is_not_utf8_is_rejected(stack: Stack, prefix: str) -> None:
    """A name with U+FFFD is a 422, in the path and in the query: it stands for other bytes."""
    assert stack.request(f"{prefix}/{{filename+}}", filename=REPLACEMENT).status == 422
    assert stack.request(prefix, query={"filename": REPLACEMENT}).status == 422


@pytest.mark.parametrize(
    ("key", "parameter"),
    [
        ("GET /files", "prefix"),
        ("GET /files", "cursor"),
        ("DELETE /upload", "upload_id"),
        ("DELETE /cleanup", "x\ufffd"),
    ],
)
def test_query_that_is_not_utf8_is_rejected(stack: Stack, key: str, parameter: str) -> None:
    """A query parameter with U+FFFD, in its name or its value, is a 422."""
    query = {"filename": "fine", parameter: "a\ufffdb"} if "upload" in key else {parameter: "a\ufffdb"}
    assert stack.request(key, query=query).status == 422


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=iso-8859-1", ""])
def test_body_that_is_not_utf8_is_rejected(stack: Stack, content_type: str) -> None:
    """A JSON body in Latin-1 is a 400, whether the gateway passes it on as bytes or as text with U+FFFD in it."""
    body = b'{"filename": "caf\xe9.txt", "size": 1}'
    headers = {"content-type": content_type, "authorization": f"Bearer {stack.token()}"}
    event = build_event("POST /upload/start", headers=headers)
    if content_type:
        event["body"] = body.decode("utf-8", "replace")
        got = to_result(stack.invoke("upload", event))
    else:
        got = stack.request("POST /upload/start", headers=headers, body=body)
    assert (got.status, got.code) == (400, "malformed_body")
    for escaped in (b'{"filename": "caf\\ufffd.txt", "size": 1}', '{"filename": "caf\ufffd.txt", "size": 1}'.encode()):
        assert stack.request("POST /upload/start", body=escaped).code == "invalid_filename"
    assert stack.request("GET /files", query={"prefix": "caf"}).json["files"] == []
    assert stack.request("GET /status").json["uploads"] == []


CHANGING_ROUTES = sorted(
    key
    for module in function_modules().values()
    for key, scope in module.app.scopes.items()
    if scope and not key.startswith(("GET ", "HEAD "))
)


@pytest.mark.parametrize("key", CHANGING_ROUTES)
def test_unknown_query_parameter_is_rejected(stack: Stack, key: str) -> None:
    """A route that changes something rejects a parameter that it does not know, and names it."""
    name = "kept" if "{filename+}" in key else None
    query = {"uploadid": "x"} if "{" in key or key.startswith("POST") else {"filename": "kept", "uploadid": "x"}
    got = stack.request(key, filename=name, query=query)
    assert (got.status, got.json["errors"][0]["loc"]) == (422, ["uploadid"])


@pytest.mark.parametrize(
    "key",
    [
        "GET /download/{filename+}",
        "HEAD /download/partial/{filename+}",
        "GET /status/{filename+}",
        "DELETE /files/{filename+}",
        "DELETE /upload/{filename+}",
    ],
)
def test_name_in_path_and_query_is_rejected(stack: Stack, key: str) -> None:
    """Two names are a 422."""
    got = stack.request(key, filename="one", query={"filename": "two"})
    assert got.status == 422
    assert key.startswith("HEAD") or got.json["errors"][0]["loc"] == ["filename"]


def test_empty_upload_id_and_cursor_are_rejected(stack: Stack) -> None:
    """An empty value is a 422, in a query and in a body: it does not mean that there is none."""
    raw = {"content-type": "application/octet-stream"}
    results = [
        stack.request("DELETE /upload", query={"filename": "x", "upload_id": ""}),
        stack.request("DELETE /upload/{filename+}", filename="x", query={"upload_id": ""}),
        stack.request(
            "POST /upload/chunk",
            query={"filename": "x", "chunk_index": "1", "upload_id": ""},
            headers=raw,
            body=b"x",
        ),
        stack.request("GET /files", query={"cursor": ""}),
        stack.request("GET /status", query={"cursor": ""}),
        stack.request("DELETE /cleanup", query={"cursor": ""}),
        stack.post_json("POST /upload/complete", {"filename": "x", "upload_id": ""}),
        stack.post_json("POST /upload/parts", {"filename": "x", "upload_id": "", "parts": [{"part_number": 1}]}),
        stack.post_json("POST /upload/chunk", {"filename": "x", "upload_id": "", "chunk_index": 1, "data": ""}),
    ]
    assert [got.status for got in results] == [422] * len(results)
    assert {json.dumps(got.json["errors"][0]["loc"]) for got in results} == {'["upload_id"]', '["cursor"]'}


RAW_QUERY = {"filename": "raw", "chunk_index": "1"}
CONTENT = b"hello"


@pytest.fixture
def raw_upload(stack: Stack) -> None:
    """An upload of five bytes, of which nothing has arrived."""
    stack.request("DELETE /upload", query={"filename": "raw"})
    started = stack.post_json("POST /upload/start", {"filename": "raw", "size": len(CONTENT)})
    assert started.status == 201


@pytest.mark.usefixtures("raw_upload")
def test_raw_chunk_without_content_type_is_accepted(stack: Stack) -> None:
    """Browsers send no type for a slice of a Blob: with name and index in the query, the body is raw bytes."""
    assert stack.request("POST /upload/chunk", query=RAW_QUERY, body=CONTENT).status == 200


@pytest.mark.usefixtures("raw_upload")
@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpeg",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/offset+octet-stream",
        "application/json",
    ],
)
def test_raw_chunk_of_other_type_is_rejected(stack: Stack, content_type: str) -> None:
    """Another type is a 415 that names application/octet-stream, and nothing is stored."""
    got = stack.request("POST /upload/chunk", query=RAW_QUERY, headers={"content-type": content_type}, body=CONTENT)
    assert (got.status, got.code) == (415, "unsupported_media_type")
    assert "application/octet-stream" in got.json["detail"]
    assert stack.request("GET /status", query={"filename": "raw"}).json["received_bytes"] == 0


@pytest.mark.usefixtures("raw_upload")
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
def test_content_type_of_empty_chunk_is_ignored(stack: Stack, content_type: str) -> None:
    """API Gateway adds a type to an empty body: the chunk has the wrong length, whatever the type."""
    got = stack.request("POST /upload/chunk", query=RAW_QUERY, headers={"content-type": content_type})
    assert (got.status, got.code) == (422, "chunk_size_mismatch")


def test_json_chunk_with_upload_id_in_query_is_rejected(stack: Stack) -> None:
    """A JSON chunk has its upload_id in the body: in the query it would be ignored."""
    body = {"filename": "raw", "chunk_index": 1, "data": "aGVsbG8="}
    got = stack.post_json("POST /upload/chunk", body, query={"upload_id": "x"})
    assert (got.status, got.json["errors"][0]["loc"]) == (422, ["upload_id"])


def _base64_digest(algorithm: str, content: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


DIGEST_HEADERS = [
    ("content-md5", "{}", "md5"),
    ("digest", "SHA-256={}", "sha256"),
    ("digest", "md5={}", "md5"),
    ("x-amz-checksum-sha256", "{}", "sha256"),
    ("content-digest", "sha-512=:{}:", "sha512"),
]


@pytest.mark.usefixtures("raw_upload")
@pytest.mark.parametrize(("header", "form", "algorithm"), DIGEST_HEADERS)
@pytest.mark.parametrize("as_json", [True, False])
def test_digest_header_is_verified(stack: Stack, header: str, form: str, algorithm: str, as_json: bool) -> None:
    """A digest beside a chunk is that of the request's body: another one is a 400, and nothing is stored."""
    body, query, content_type = CONTENT, RAW_QUERY, "application/octet-stream"
    if as_json:
        body = json.dumps({"filename": "raw", "chunk_index": 1, "data": base64.b64encode(CONTENT).decode()}).encode()
        query, content_type = {}, "application/json"
    for digested, status in ((b"other", 400), (body, 200)):
        headers = {"content-type": content_type, header: form.format(_base64_digest(algorithm, digested))}
        got = stack.request("POST /upload/chunk", query=query, headers=headers, body=body)
        assert got.status == status
        if status == 400:
            assert got.code == "checksum_mismatch"
            assert stack.request("GET /status", query={"filename": "raw"}).json["received_bytes"] == 0


@pytest.mark.usefixtures("raw_upload")
@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("content-md5", "", "validation_failed"),
        ("content-md5", "x", "validation_failed"),
        ("content-md5", "AAAA", "validation_failed"),
        ("digest", "unixsum=1", "checksum_unsupported"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "checksum_unsupported"),
        ("x-amz-checksum-sha1", "AAAA", "checksum_unsupported"),
    ],
)
def test_digest_header_that_cannot_be_verified_is_rejected(stack: Stack, header: str, value: str, code: str) -> None:
    """A header that is malformed, or of another algorithm, is a 422: it is not ignored."""
    headers = {"content-type": "application/octet-stream", header: value}
    got = stack.request("POST /upload/chunk", query=RAW_QUERY, headers=headers, body=CONTENT)
    assert (got.status, got.code) == (422, code)


REPEATED_PARAMETERS = [
    ("GET /download", [("filename", "one"), ("filename", "two")]),
    ("DELETE /files", [("filename", "one"), ("filename", "two")]),
    ("DELETE /files", [("filename", "one"), ("f%69lename", "two")]),
    ("DELETE /upload", [("filename", "one"), ("upload_id", "a"), ("upload_id", "b")]),
    ("GET /files", [("limit", "1"), ("limit", "1")]),
]


@pytest.mark.parametrize(("route", "query"), REPEATED_PARAMETERS)
def test_repeated_parameter_is_rejected(stack: Stack, route: str, query: list[tuple[str, str]]) -> None:
    """A parameter that is sent twice is a 422: the gateway joins the values, and that is another name."""
    stack.upload("one,two", b"content", if_exists="replace")
    if any("%" in name for name, _ in query):
        decoded = [(name.replace("%69", "i"), value) for name, value in query]
        got = stack.request(route, query=decoded, raw_query="&".join(f"{name}={value}" for name, value in query))
    else:
        got = stack.request(route, query=query)
    assert (got.status, got.code) == (422, "validation_failed")
    assert stack.request("GET /download", query={"filename": "one,two"}).status == 200


@pytest.mark.parametrize("route", ["GET /status", "GET /download", "DELETE /files", "DELETE /upload"])
def test_undecodable_name_in_query_is_an_invalid_filename(stack: Stack, route: str) -> None:
    """U+FFFD in `?filename=` has the same code as in a path and in JSON."""
    got = stack.request(route, query={"filename": "a\ufffdb"})
    assert (got.status, got.code) == (422, "invalid_filename")
