"""Files that one request stores whole."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from admin.quota_store import DynamoQuotaStore
from ferry import wiring
from ferry.rules.digests import crc32c, crc32c_to_base64
from ferry.rules.layout import MIB
from tests.integration.stack import OCTET_STREAM, READ, Result, Stack

BODY = bytes(range(256)) * 5
FAR_PAST = "Sun, 06 Nov 1994 08:49:37 GMT"


def put(stack: Stack, name: str, body: bytes = BODY, content_type: str | None = OCTET_STREAM, **headers: str) -> Result:
    """Store a file by its path. `_` in names of headers stands for `-`."""
    sent = {header.replace("_", "-"): value for header, value in headers.items()}
    if content_type is not None:
        sent["content-type"] = content_type
    return stack.request("PUT /files/{filename+}", filename=name, headers=sent, body=body)


def download(stack: Stack, name: str) -> Result:
    return stack.request("GET /download", query={"filename": name})


def metadata_header(metadata: object) -> str:
    return base64.b64encode(json.dumps(metadata).encode()).decode()


def stored_objects() -> set[str]:
    """Return the keys of all files' objects in S3."""
    found = wiring.aws_session().s3.list_objects_v2(Bucket="bucket", Prefix="o/")
    return {entry["Key"] for entry in found.get("Contents", [])}


def test_put_stores_file(stack: Stack) -> None:
    """The file is there with its bytes, type and metadata; the response has its record and its headers."""
    metadata = {"mtime": "2026-09-21T14:00:00.000000Z", "größe": "ü"}
    got = put(stack, "put/a.jpg", content_type="image/jpeg", ferry_metadata=metadata_header(metadata))
    assert got.status == 201
    checksum = crc32c_to_base64(crc32c(BODY))
    assert got.json["checksum"] == {"algorithm": "crc32c", "value": checksum}
    assert {name: got.json[name] for name in ("filename", "size", "content_type", "metadata", "state")} == {
        "filename": "put/a.jpg",
        "size": len(BODY),
        "content_type": "image/jpeg",
        "metadata": metadata,
        "state": "complete",
    }
    assert got.headers["etag"] not in ("", got.json["etag"])
    assert got.headers["repr-digest"] == f"crc32c=:{checksum}:"
    file = download(stack, "put/a.jpg")
    assert (file.status, file.body, file.headers["content-type"]) == (200, BODY, "image/jpeg")
    assert (file.headers["etag"], file.headers["last-modified"]) == (got.json["etag"], got.headers["last-modified"])
    record = stack.request("GET /files/{filename+}", filename="put/a.jpg")
    assert (record.json, record.headers["etag"]) == (got.json, got.headers["etag"])


def test_put_replaces_file(stack: Stack) -> None:
    """A second file of the name is a 200; its date is later, though it comes within the same second."""
    first = put(stack, "replaced", b"first")
    dates = [download(stack, "replaced").headers["last-modified"]]
    for content in (b"second", b"third"):
        got = put(stack, "replaced", content)
        assert (got.status, got.json["size"]) == (200, len(content))
        assert got.headers["etag"] != first.headers["etag"]
        file = download(stack, "replaced")
        assert file.body == content
        stale = stack.request("GET /download", query={"filename": "replaced"}, headers={"if-modified-since": dates[-1]})
        assert (stale.status, stale.body) == (200, content)
        dates.append(file.headers["last-modified"])
    assert len(set(dates)) == 3


@pytest.mark.parametrize("key", ["PUT /files/{filename+}", "PUT /files"])
def test_put_empty_file(stack: Stack, key: str) -> None:
    """An empty file is a file. A Content-Type without a body is that of the gateway, and counts for nothing."""
    place: dict[str, Any] = {"filename": "empty"} if "{" in key else {"query": {"filename": "empty"}}
    got = stack.request(key, headers={"content-type": "text/html"}, **place)
    assert got.status in (200, 201)
    assert (got.json["size"], got.json["content_type"]) == (0, OCTET_STREAM)
    assert download(stack, "empty").body == b""
    typed = stack.request(
        "PUT /files", query={"filename": "empty", "content_type": "text/csv"}, headers={"content-type": "text/html"}
    )
    assert typed.json["content_type"] == "text/csv"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=utf-8", "grün\r\n".encode()),
        ("application/json", b'{"a": 1}'),
        ("application/xml", "<ü/>".encode()),
        ("application/merge-patch+json", b"{}"),
        ("application/xhtml+xml", b"\xff\xfe"),
        (None, b"\x00\xff"),
    ],
)
def test_put_keeps_bytes_of_any_type(stack: Stack, content_type: str | None, body: bytes) -> None:
    """A body arrives byte for byte, whether the gateway passes it on as text or in base64."""
    got = put(stack, "typed", body, content_type)
    assert got.json["content_type"] == (content_type or OCTET_STREAM)
    assert download(stack, "typed").body == body


@pytest.mark.parametrize("body", [b"\xff", "\ufffd".encode(), b"a\xed\xa0\x80"])
@pytest.mark.parametrize("key", ["PUT /files/{filename+}", "POST /upload/chunk"])
def test_raw_body_that_came_as_changed_text_is_rejected(stack: Stack, key: str, body: bytes) -> None:
    """Text that a gateway made of other bytes is a 415 with advice, on every raw route; nothing is stored."""
    is_put = key.startswith("PUT")
    if not is_put:
        stack.post_json("POST /upload/start", {"filename": "bent", "size": len(body), "restart": True})
    before = stored_objects()
    event_type = "text/plain" if is_put else OCTET_STREAM
    place: dict[str, Any] = {"filename": "bent"} if is_put else {"query": {"filename": "bent", "chunk_index": "1"}}
    got = send_as_text(stack, key, body, event_type, **place)
    assert (got.status, got.code) == (415, "body_not_exact")
    assert OCTET_STREAM in got.json["detail"]
    assert ("?content_type=" in got.json["detail"]) is is_put
    assert stored_objects() == before
    assert download(stack, "bent").status == 404
    if not is_put:
        assert stack.request("GET /status", query={"filename": "bent"}).json["received_bytes"] == 0


@pytest.mark.parametrize("length", ["0", "2", "", "x", None])
def test_text_without_exact_length_is_rejected(stack: Stack, length: str | None) -> None:
    """Text that does not have exactly `Content-Length` bytes is not what the client sent."""
    headers = {} if length is None else {"content-length": length}
    got = send_as_text(stack, "PUT /files/{filename+}", b"abc", "text/plain", filename="inexact", headers=headers)
    assert (got.status, got.code) == (415, "body_not_exact")
    assert download(stack, "inexact").status == 404


def send_as_text(stack: Stack, key: str, body: bytes, content_type: str, **options: Any) -> Result:
    """Send a request whose body the gateway passes on as text."""
    from tests.integration.events import build_event
    from tests.integration.stack import to_result, validate_against_openapi

    headers = {
        "authorization": f"Bearer {stack.token()}",
        "content-type": content_type,
        **options.pop("headers", {"content-length": str(len(body))}),
    }
    event = build_event(key, headers=headers, body=body, **options)
    event["headers"] = {**event["headers"], "content-length": headers.get("content-length")}
    if headers.get("content-length") is None:
        del event["headers"]["content-length"]
    event |= {"body": body.decode("utf-8", "replace"), "isBase64Encoded": False}
    result = to_result(stack.invoke("files" if key.startswith("PUT") else "upload", event))
    validate_against_openapi(key, result)
    return result


DIGESTS = {
    "sha-256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    "sha-512": base64.b64encode(hashlib.sha512(BODY).digest()).decode(),
    "md5": base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode(),
    "crc32c": crc32c_to_base64(crc32c(BODY)),
}
OTHER_CRC = crc32c_to_base64(crc32c(b"other"))


def test_put_of_a_whole_body_with_upload_headers(stack: Stack) -> None:
    """Headers of resumable uploads that say that the body is whole are accepted."""
    for headers in ({"upload-complete": "?1"}, {"upload-incomplete": "?0"}, {"upload-complete": "?1;a=b"}):
        got = stack.request("PUT /files", query={"filename": "whole"}, headers=headers, body=BODY)
        assert got.status in (200, 201), headers


def test_put_verifies_digests(stack: Stack) -> None:
    """Every digest that is right is accepted."""
    accepted = [{"content-digest": f"{name}=:{value}:"} for name, value in DIGESTS.items()]
    accepted += [{"content-md5": DIGESTS["md5"]}, {"digest": f"SHA-256={DIGESTS['sha-256']}"}]
    accepted += [{"x-amz-checksum-crc32c": DIGESTS["crc32c"]}, {"repr-digest": f"crc32c=:{DIGESTS['crc32c']}:"}]
    for headers in accepted:
        got = stack.request("PUT /files", query={"filename": "digests"}, headers=headers, body=BODY)
        assert got.status in (200, 201), headers


REJECTED: list[tuple[dict[str, str], dict[str, str], int, str]] = [
    ({}, {"content-digest": f"crc32c=:{OTHER_CRC}:"}, 400, "checksum_mismatch"),
    ({}, {"content-digest": f"sha-256=:{DIGESTS['sha-256']}:, crc32c=:{OTHER_CRC}:"}, 400, "checksum_mismatch"),
    ({}, {"content-md5": base64.b64encode(bytes(16)).decode()}, 400, "checksum_mismatch"),
    ({}, {"x-amz-checksum-crc32c": OTHER_CRC}, 400, "checksum_mismatch"),
    ({}, {"repr-digest": f"crc32c=:{OTHER_CRC}:"}, 400, "checksum_mismatch"),
    ({}, {"repr-digest": "sha-1=:AAAA:"}, 422, "checksum_unsupported"),
    ({}, {"repr-digest": "garbage"}, 422, "validation_failed"),
    ({}, {"content-digest": "sha-1=:AAAA:"}, 422, "checksum_unsupported"),
    ({}, {"x-amz-checksum-sha1": "AAAA"}, 422, "checksum_unsupported"),
    ({}, {"content-digest": "garbage"}, 422, "validation_failed"),
    ({}, {"content-range": "bytes 0-9/100"}, 400, "not_a_whole_file"),
    ({}, {"content-range": "bytes */*"}, 400, "not_a_whole_file"),
    ({}, {"upload-complete": "?0"}, 400, "not_a_whole_file"),
    ({}, {"upload-complete": " ?0;a=b"}, 400, "not_a_whole_file"),
    ({}, {"upload-incomplete": "?1"}, 400, "not_a_whole_file"),
    ({}, {"content-encoding": "gzip"}, 415, "unsupported_media_type"),
    ({}, {"content-type": "nonsense"}, 422, "validation_failed"),
    ({}, {"content-type": "text/plain\r\nx: y"}, 422, "validation_failed"),
    ({"content_type": "nonsense"}, {}, 422, "validation_failed"),
    ({"content_type": ""}, {}, 422, "validation_failed"),
    ({"content_type": "a/" + "b" * 254}, {}, 422, "validation_failed"),
    ({"unknown": "1"}, {}, 422, "validation_failed"),
    ({}, {"ferry-metadata": ""}, 422, "validation_failed"),
    ({}, {"ferry-metadata": "e30"}, 422, "validation_failed"),
    ({}, {"ferry-metadata": "not base64"}, 422, "validation_failed"),
    ({}, {"ferry-metadata": base64.b64encode(b"\xff").decode()}, 422, "validation_failed"),
    ({}, {"ferry-metadata": base64.b64encode(b'{"a": "1", "a": "2"}').decode()}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header([])}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header(None)}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header({"a": 1})}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header({"": "a"})}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header({"a": "\n"})}, 422, "validation_failed"),
    ({}, {"ferry-metadata": metadata_header({"a": "b" * 2_048})}, 422, "validation_failed"),
    ({}, {"if-match": '"x"'}, 412, "precondition_failed"),
    ({}, {"if-match": "*"}, 412, "precondition_failed"),
    ({}, {"if-match": ""}, 422, "validation_failed"),
    ({}, {"if-none-match": " "}, 422, "validation_failed"),
    ({}, {"if-unmodified-since": ""}, 422, "validation_failed"),
]


@pytest.mark.parametrize(("query", "headers", "status", "code"), REJECTED)
def test_rejected_put_stores_nothing(
    stack: Stack, query: dict[str, str], headers: dict[str, str], status: int, code: str
) -> None:
    """What is not a valid request gets its code, and leaves neither a file nor an object."""
    before = stored_objects()
    sent = {"content-type": OCTET_STREAM, **headers}
    got = stack.request("PUT /files/{filename+}", filename="rejected", query=query, headers=sent, body=BODY)
    assert (got.status, got.code) == (status, code)
    assert "current_file" not in got.json
    assert download(stack, "rejected").status == 404
    assert stored_objects() == before


@pytest.mark.parametrize(
    ("extra", "content_type", "length_status"),
    [(0, OCTET_STREAM, 201), (1, OCTET_STREAM, 413), (1, "text/plain", 413)],
)
def test_put_takes_four_mib_at_most(stack: Stack, extra: int, content_type: str, length_status: int) -> None:
    """4 MiB are stored, a byte more is not."""
    name = f"size {extra} {content_type}"
    got = put(stack, name, b"a" * (4 * MIB + extra), content_type)
    assert got.status == length_status
    if extra:
        assert got.code == "body_too_large"
        assert download(stack, name).status == 404


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "a/../b", " a", "a\\b", "x" * 256])
def test_put_with_invalid_name_is_rejected(stack: Stack, name: str) -> None:
    """An invalid name is a 422 in the path and in the query."""
    for place in ({"filename": name}, {"query": {"filename": name}}):
        key = "PUT /files/{filename+}" if "filename" in place else "PUT /files"
        options: dict[str, Any] = dict(place)
        got = stack.request(key, body=b"x", **options)
        assert (got.status, got.code) == (422, "invalid_filename")
    assert stack.request("PUT /files", body=b"x").code == "validation_failed"
    both = stack.request("PUT /files/{filename+}", filename="a", query={"filename": "a"}, body=b"x")
    assert both.status == 422


def test_put_without_scope_stores_nothing(stack: Stack) -> None:
    """A token that may only read, and no token, store nothing."""
    reader = stack.token("demo", READ)
    assert stack.request("PUT /files/{filename+}", filename="no scope", body=b"x", token=reader).status == 403
    assert stack.request("PUT /files/{filename+}", filename="no scope", body=b"x", token=None).status == 401
    assert download(stack, "no scope").status == 404


def test_put_under_failed_condition_stores_nothing(stack: Stack) -> None:
    """A condition that does not hold is a 412 with the record of what is there, and leaves no object."""
    first = put(stack, "conditional", b"first")
    before = stored_objects()
    failing = [
        {"if_none_match": "*"},
        {"if_none_match": first.headers["etag"]},
        {"if_none_match": first.json["etag"]},
        {"if_none_match": "without-quotes"},
        {"if_match": "without-quotes"},
        {"if_match": '"other"'},
        {"if_match": f"W/{first.headers['etag']}"},
        {"if_unmodified_since": FAR_PAST},
    ]
    for headers in failing:
        got = put(stack, "conditional", b"second", **headers)
        assert (got.status, got.code, got.json["current_file"]) == (412, "precondition_failed", first.json), headers
    assert download(stack, "conditional").body == b"first"
    assert stored_objects() == before


def test_put_under_condition_that_holds(stack: Stack) -> None:
    """If-Match takes the entity tag of the record or of the content; If-None-Match takes a new name."""
    name = "held"
    got = put(stack, name, b"1", if_none_match="*")
    assert got.status == 201
    for number, condition in enumerate(("record", "content", "any", "date", "other tag"), 2):
        headers = {
            "record": {"if_match": got.headers["etag"]},
            "content": {"if_match": f'"x", {got.json["etag"]}'},
            "any": {"if_match": "*"},
            "date": {"if_unmodified_since": got.headers["last-modified"]},
            "other tag": {"if_none_match": '"x"'},
        }[condition]
        got = put(stack, name, str(number).encode(), **headers)
        assert got.status == 200, condition
    assert download(stack, name).body == b"6"


def test_put_over_quota_stores_nothing(stack: Stack) -> None:
    """A file beyond a limit is a 403 with the limit; one that replaces another counts the difference."""
    quotas, token = DynamoQuotaStore(wiring.metadata_table()), stack.token("put-quota")
    quotas.set_limits("put-quota", max_bytes=10, max_uploads=1, max_file_bytes=9)

    def send(name: str, body: bytes) -> Result:
        return stack.request("PUT /files/{filename+}", filename=name, body=body, token=token)

    assert send("a", b"x" * 8).status == 201
    before = stored_objects()
    too_large = send("b", b"x" * 10)
    assert (too_large.status, too_large.code) == (403, "quota_exceeded")
    assert {name: too_large.json[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "file",
        "limit": 9,
        "used": 0,
        "requested": 10,
    }
    too_much = send("b", b"xxx")
    assert (too_much.status, too_much.code) == (403, "quota_exceeded")
    assert {name: too_much.json[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "bytes",
        "limit": 10,
        "used": 8,
        "requested": 3,
    }
    assert stack.request("GET /files", query={"filename": "b"}, token=token).status == 404
    assert stored_objects() == before
    assert send("a", b"x" * 9).status == 200
    usage = stack.request("GET /usage", token=token)
    assert usage.json == {"limits": {"bytes": 10, "uploads": 1, "file": 9}, "used": {"bytes": 9, "uploads": 0}}
    assert stack.request("DELETE /files", query={"filename": "a"}, token=token).status == 204
    assert stack.request("GET /usage", token=token).json["used"]["bytes"] == 0


def test_usage_without_quota_is_empty(stack: Stack) -> None:
    """A namespace without limits has no usage; one with a limit of a file's size alone counts none."""
    assert stack.request("GET /usage").json == {}
    quotas, token = DynamoQuotaStore(wiring.metadata_table()), stack.token("sized")
    quotas.set_limits("sized", max_bytes=None, max_uploads=None, max_file_bytes=9)
    assert stack.request("GET /usage", token=token).json == {"limits": {"file": 9}, "used": {}}
    quotas.set_limits("sized", max_bytes=None, max_uploads=None, max_file_bytes=None)
    assert stack.request("GET /usage", token=token).json == {}


def test_put_leaves_upload_in_progress(stack: Stack) -> None:
    """An upload in progress of the name goes on, and its completion finds the file."""
    started = stack.post_json("POST /upload/start", {"filename": "both", "size": 3})
    assert put(stack, "both", b"put").status == 201
    query = {"filename": "both", "chunk_index": "1"}
    assert stack.request("POST /upload/chunk", query=query, body=b"abc").status == 200
    status = stack.request("GET /status", query={"filename": "both"}).json
    assert (status["upload_id"], status["current_file"]["size"]) == (started.json["upload_id"], 3)
    completed = stack.post_json("POST /upload/complete", {"filename": "both"})
    assert (completed.status, completed.code) == (409, "file_exists")
    assert download(stack, "both").body == b"put"
    replaced = stack.post_json("POST /upload/complete", {"filename": "both", "if_exists": "replace"})
    assert replaced.status == 200
    assert download(stack, "both").body == b"abc"


def test_start_finds_file_that_was_put(stack: Stack) -> None:
    """A start with the same size and checksum learns that this very file is there, with or without a fingerprint."""
    file = put(stack, "found").json
    start = {"filename": "found", "size": len(BODY), "checksum": file["checksum"]}
    for request in (start, {**start, "fingerprint": "abc"}):
        got = stack.post_json("POST /upload/start", request)
        assert (got.status, got.json["state"], got.json["upload_id"]) == (200, "complete", file["upload_id"])
    other = stack.post_json("POST /upload/start", {**start, "size": 1})
    assert (other.status, other.code) == (409, "file_exists")


def test_status_of_file_that_was_put(stack: Stack) -> None:
    """Its status is complete."""
    file = put(stack, "status of put").json
    status = stack.request("GET /status", query={"filename": "status of put"}).json
    assert (status["state"], status["upload_id"], status["etag"]) == ("complete", file["upload_id"], file["etag"])
