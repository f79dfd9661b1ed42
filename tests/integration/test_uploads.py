"""The upload function: the routes, and the requests that they reject."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

from ferry.rules.digests import crc32c, crc32c_to_base64
from tests.integration.stack import Result, Stack, openapi_document

OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}
MIB = 1024 * 1024
KIB = 1024


def start_upload(
    stack: Stack, name: str, size: int, headers: dict[str, str] | None = None, **options: object
) -> Result:
    return stack.post_json("POST /upload/start", {"filename": name, "size": size, **options}, headers=headers or {})


def send_json_chunk(stack: Stack, name: str, index: object, data: bytes, **options: object) -> Result:
    content = {"filename": name, "chunk_index": index, "data": base64.b64encode(data).decode(), **options}
    return stack.post_json("POST /upload/chunk", content)


def send_raw_chunk(stack: Stack, query: dict[str, str], data: bytes, headers: dict[str, str] | None = None) -> Result:
    return stack.request(
        "POST /upload/chunk", query=query, headers={**OCTET_STREAM_HEADERS, **(headers or {})}, body=data
    )


def test_start_returns_upload_plan(stack: Stack) -> None:
    """A start returns 201 with layout and limits; the same start again returns 200."""
    created = start_upload(stack, "plan", 20 * MIB, chunk_size=64 * KIB, metadata={"a": "b"}, fingerprint="f")
    assert created.status == 201
    plan = created.json
    assert (plan["state"], plan["chunk_size"], plan["chunk_count"]) == ("pending", 65_536, 320)
    assert (plan["part_size"], plan["part_count"], plan["chunks_per_part"]) == (8 * MIB, 3, 128)
    assert plan["received"] == {"chunks": [], "parts": []}
    assert plan["expires_at"].endswith("Z")
    assert plan["limits"]["chunk_size_max"] == 4 * MIB
    again = start_upload(stack, "plan", 20 * MIB, fingerprint="f")
    assert (again.status, again.json["upload_id"]) == (200, plan["upload_id"])


CLIENT_HEADERS = {"host": "evil.example", "forwarded": "host=evil.example", "x-forwarded-host": "evil.example"}


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("", "https://id.execute-api.us-east-1.amazonaws.com"),
        ("https://cdn.example/ferry", "https://cdn.example/ferry"),
    ],
)
def test_plan_has_chunk_url(stack: Stack, monkeypatch: pytest.MonkeyPatch, public_url: str, expected: str) -> None:
    """`chunk_url` begins with PublicUrl or the gateway's domain name, whatever the request's headers say."""
    monkeypatch.setenv("FERRY_PUBLIC_URL", public_url)
    stack.new_process()
    for _ in range(2):  # a new upload, and the same one resumed
        plan = start_upload(stack, f"to {expected[8:]}", 5, headers=CLIENT_HEADERS).json
        assert plan["chunk_url"] == f"{expected}/upload/chunk"
    monkeypatch.undo()
    stack.new_process()


def test_start_conflicts_with_open_upload(stack: Stack) -> None:
    """Another size is a 409 that names the open upload; `restart` replaces it."""
    first = start_upload(stack, "in the way", 5).json
    rejected = start_upload(stack, "in the way", 6)
    assert (rejected.status, rejected.code) == (409, "upload_in_progress")
    assert (rejected.json["upload_id"], rejected.json["size"]) == (first["upload_id"], 5)
    assert rejected.json["expires_at"] == first["expires_at"]
    assert start_upload(stack, "in the way", 6, restart=True).status == 201


def test_json_and_raw_chunks_make_a_file(stack: Stack) -> None:
    """JSON and raw chunks in any order, with checksums, make one file; each may be repeated."""
    content = bytes(range(256)) * 512
    first, second = content[: 64 * KIB], content[64 * KIB :]
    start_upload(stack, "both", len(content), chunk_size=64 * KIB)
    digest = base64.b64encode(hashlib.sha256(second).digest()).decode()
    sent = send_raw_chunk(
        stack, {"filename": "both", "chunk_index": "2"}, second, {"content-digest": f"sha-256=:{digest}:"}
    )
    assert sent.status == 200
    assert (sent.json["chunk_index"], sent.json["received_bytes"], sent.json["state"]) == (2, 64 * KIB, "partial")
    checksum = {"algorithm": "crc32", "value": base64.b64encode(zlib.crc32(first).to_bytes(4, "big")).decode()}
    for _ in range(2):
        assert send_json_chunk(stack, "both", 1, first, checksum=checksum).json["received_bytes"] == len(content)
    whole = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(content))}
    done = stack.post_json("POST /upload/complete", {"filename": "both", "checksum": whole})
    assert done.status == 200
    assert (done.json["state"], done.json["size"], done.json["checksum"]) == ("complete", len(content), whole)
    assert stack.post_json("POST /upload/complete", {"filename": "both"}).json == done.json
    assert send_json_chunk(stack, "both", 1, first).code == "upload_complete"
    assert stack.request("GET /download", query={"filename": "both"}).body == content


def test_chunk_of_4_mib_is_accepted(stack: Stack) -> None:
    """A chunk of 4 MiB is accepted, and one with a byte more is a 413, in both forms."""
    data = bytes(4 * MIB)
    start_upload(stack, "big", 8 * MIB)
    assert send_json_chunk(stack, "big", 1, data).status == 200
    assert send_raw_chunk(stack, {"filename": "big", "chunk_index": "2"}, data).status == 200
    for rejected in (
        send_json_chunk(stack, "big", 1, data + b"x"),
        send_raw_chunk(stack, {"filename": "big", "chunk_index": "2"}, data + b"x"),
        stack.post_json("POST /upload/chunk", b" " * (6 * MIB + 1)),
    ):
        assert (rejected.status, rejected.code) == (413, "chunk_too_large")


def test_start_of_existing_file_returns_it_or_conflicts(stack: Stack) -> None:
    """A start of the same file returns it; a start of another is a 409, unless it is to be replaced."""
    checksum = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(b"same"))}
    existing = stack.upload("there", b"same", checksum=checksum)
    same = start_upload(stack, "there", 4, checksum=checksum)
    assert (same.status, same.json["state"], same.json["upload_id"]) == (200, "complete", existing["upload_id"])
    assert start_upload(stack, "there", 5).code == "file_exists"
    assert start_upload(stack, "there", 5, if_exists="replace").status == 201


def test_empty_file_completes(stack: Stack) -> None:
    """An empty file is completed without a chunk."""
    assert stack.upload("empty", b"")["size"] == 0


def test_parts_are_presigned(stack: Stack) -> None:
    """Each part gets a presigned PUT with its length and the headers to send."""
    start_upload(stack, "direct", 10 * MIB)
    checksum = {"algorithm": "crc32c", "value": "AAAAAA=="}
    parts = [{"part_number": 2, "checksum": checksum}, {"part_number": 1}]
    got = stack.post_json("POST /upload/parts", {"filename": "direct", "parts": parts})
    assert got.status == 200
    assert [(part["part_number"], part["size"]) for part in got.json["parts"]] == [(2, 2 * MIB), (1, 8 * MIB)]
    assert "x-amz-checksum-crc32c" in {name.lower() for name in got.json["parts"][0]["headers"]}
    out_of_range = stack.post_json("POST /upload/parts", {"filename": "direct", "parts": [{"part_number": 3}]})
    assert (out_of_range.status, out_of_range.code) == (422, "part_number_out_of_range")
    sha = {"algorithm": "sha256", "value": "AAAAAA=="}
    other = stack.post_json(
        "POST /upload/parts", {"filename": "direct", "parts": [{"part_number": 1, "checksum": sha}]}
    )
    assert (other.status, other.code) == (422, "checksum_unsupported")


def test_incomplete_upload_lists_missing_ranges(stack: Stack) -> None:
    """A completion without all chunks is a 409 with the ranges that are missing."""
    start_upload(stack, "missing", 3 * 64 * KIB, chunk_size=64 * KIB)
    send_json_chunk(stack, "missing", 2, bytes(64 * KIB))
    rejected = stack.post_json("POST /upload/complete", {"filename": "missing"})
    assert (rejected.status, rejected.code, rejected.json["missing"]) == (409, "upload_incomplete", [[1, 1], [3, 3]])


def test_cancel_is_idempotent(stack: Stack) -> None:
    """Each repeated cancellation returns 204, and chunks then get 410."""
    start_upload(stack, "cancelled", 5)
    for _ in range(2):
        assert stack.request("DELETE /upload/{filename+}", filename="cancelled").status == 204
    assert stack.request("DELETE /upload", query={"filename": "cancelled"}).status == 204
    gone = send_json_chunk(stack, "cancelled", 1, b"hello")
    assert (gone.status, gone.code) == (410, "upload_cancelled")
    never = stack.request("DELETE /upload/{filename+}", filename="never there")
    assert (never.status, never.code) == (404, "upload_not_found")


def test_deleted_file_returns_404(stack: Stack) -> None:
    """A deletion by path and by query returns 204, and 404 when it is repeated."""
    for name, options in (("d1", {"filename": "d1"}), ("d2", {"query": {"filename": "d2"}})):
        stack.upload(name, b"x")
        key = "DELETE /files/{filename+}" if "filename" in options else "DELETE /files"
        assert stack.request(key, **options).status == 204
        assert stack.request(key, **options).status == 404


def test_chunk_outside_layout_is_rejected(stack: Stack) -> None:
    """Each kind of invalid chunk has its own code, and nothing of it is stored."""
    start_upload(stack, "strict", 5)
    wrong = {"algorithm": "md5", "value": base64.b64encode(bytes(16)).decode()}
    unknown = {"algorithm": "sha1", "value": "AAAA"}
    query = {"filename": "strict", "chunk_index": "1"}
    table: list[tuple[Result, int, str]] = [
        (send_json_chunk(stack, "strict", 1, b"hell"), 422, "chunk_size_mismatch"),
        (send_json_chunk(stack, "strict", 2, b"hello"), 422, "chunk_index_out_of_range"),
        (send_json_chunk(stack, "strict", 0, b"hello"), 422, "chunk_index_out_of_range"),
        (send_json_chunk(stack, "strict", -(10**30), b"hello"), 422, "chunk_index_out_of_range"),
        (send_json_chunk(stack, "strict", 1, b"hello", checksum=wrong), 400, "checksum_mismatch"),
        (send_json_chunk(stack, "strict", 1, b"hello", checksum=unknown), 422, "checksum_unsupported"),
        (send_json_chunk(stack, "strict", 1, b"hello", upload_id="another"), 409, "upload_superseded"),
        (send_json_chunk(stack, "never started", 1, b"hello"), 404, "upload_not_found"),
        (send_raw_chunk(stack, query, b"hello", {"content-digest": "sha-1=:AAAA:"}), 422, "checksum_unsupported"),
        (send_raw_chunk(stack, query, b"hello", {"content-digest": "garbage"}), 422, "validation_failed"),
        (send_raw_chunk(stack, query, b"hello", {"content-encoding": "gzip"}), 415, "unsupported_media_type"),
        (send_raw_chunk(stack, {"filename": "strict"}, b"hello"), 422, "validation_failed"),
        (send_raw_chunk(stack, {"filename": "strict", "chunk_index": "one"}, b"hello"), 422, "validation_failed"),
        (send_raw_chunk(stack, {"chunk_index": "1"}, b"hello"), 422, "validation_failed"),
    ]
    assert [(got.status, got.code) for got, _, _ in table] == [(status, code) for _, status, code in table]
    assert stack.request("GET /status/{filename+}", filename="strict").json["received_bytes"] == 0


def test_chunk_with_other_content_conflicts(stack: Stack) -> None:
    """Different bytes for an accepted chunk are a 409."""
    start_upload(stack, "conflict", 10)
    assert send_json_chunk(stack, "conflict", 1, b"0123456789").status == 200
    other = send_json_chunk(stack, "conflict", 1, b"9876543210")
    assert (other.status, other.code) == (409, "chunk_conflict")


@pytest.mark.parametrize("data", ["aGVsbG8", "aGVs bG8=", "aGVsbG8=\n", "aGVsbG8_", "é", "=aGVsbG8"])
def test_chunk_data_must_be_strict_base64(stack: Stack, data: str) -> None:
    """Base64 without padding, with white space or in another alphabet is a 422 at `data`."""
    start_upload(stack, "base64", 5)
    content: dict[str, Any] = {"filename": "base64", "chunk_index": 1, "data": data}
    got = stack.post_json("POST /upload/chunk", content)
    assert (got.status, got.code, got.json["errors"][0]["loc"]) == (422, "validation_failed", ["data"])


def test_documented_examples_upload_file(stack: Stack) -> None:
    """The request examples of the OpenAPI document, sent in their order, upload a file."""
    for route, status in (("start", 201), ("chunk", 200), ("parts", 200), ("complete", 200)):
        key = f"POST /upload/{route}"
        content = openapi_document()["paths"][f"/upload/{route}"]["post"]["requestBody"]["content"]
        assert stack.post_json(key, content["application/json"]["example"]).status == status, route
    assert stack.request("GET /download/{filename+}", filename="hello.txt").body == b"hello"


def test_raw_chunk_of_other_type_gets_415_with_octet_stream(stack: Stack) -> None:
    """The error names the Content-Type of the form that the request used: here, raw bytes."""
    query = {"filename": "typed", "chunk_index": "1"}
    got = stack.request("POST /upload/chunk", query=query, headers={"content-type": "image/png"}, body=b"x")
    assert (got.status, got.code) == (415, "unsupported_media_type")
    assert "image/png" in got.json["detail"]
    assert "application/octet-stream" in got.json["detail"]


def test_longest_names_work_on_every_route(stack: Stack) -> None:
    """Names of 1,000 bytes are listed with cursors, completed, cancelled and cleaned up; one byte more is a 422."""
    folder = "/".join(["ü" * 127] * 3) + "/"
    names = [folder + letter * 235 for letter in "abc"]
    assert {len(name.encode()) for name in names} == {1_000}
    for name in names:
        assert start_upload(stack, name, 5).status == 201
    for route, member in (("GET /status", "uploads"), ("GET /files", "files")):
        assert list_names(stack, route, member) == names
        for name in names if route == "GET /status" else ():
            assert send_json_chunk(stack, name, 1, b"hello").status == 200
            assert stack.post_json("POST /upload/complete", {"filename": name}).status == 200
    assert start_upload(stack, f"{names[0]}x", 5).code == "invalid_filename"
    for name in names:
        assert start_upload(stack, name, 6, if_exists="replace").status == 201
    assert stack.request("DELETE /upload/{filename+}", filename=names[0]).status == 204
    query = {"older_than": "0", "filename": names[1]}
    assert stack.request("DELETE /cleanup", query=query).json["expired"] == 1
    assert list_names(stack, "GET /status", "uploads") == names[2:]
    assert stack.request("GET /download/{filename+}", filename=names[0]).body == b"hello"
    for name in names:
        assert stack.request("DELETE /files/{filename+}", filename=name).status == 204


def list_names(stack: Stack, route: str, member: str) -> list[str]:
    """Return the long names of a listing, read in pages of one."""
    names: list[str] = []
    query = {"limit": "1", **({"prefix": "ü"} if member == "files" else {})}
    while True:
        page = stack.request(route, query=query).json
        names += [item["filename"] for item in page[member] if item["filename"].startswith("ü")]
        if "cursor" not in page:
            return names
        query = {**query, "cursor": page["cursor"]}


def test_upload_id_of_complete_upload_is_superseded_while_other_is_open(stack: Stack) -> None:
    """Each route answers 409 to it; the response to a repeated completion has the file."""
    file = stack.upload("first, then second", b"hello")
    second = stack.post_json(
        "POST /upload/start", {"filename": "first, then second", "size": 5, "if_exists": "replace"}
    ).json
    named = {"filename": "first, then second", "upload_id": file["upload_id"]}
    rejected = [
        send_json_chunk(stack, "first, then second", 1, b"hello", upload_id=file["upload_id"]),
        stack.post_json("POST /upload/parts", {**named, "parts": [{"part_number": 1}]}),
        stack.post_json("POST /upload/complete", named),
    ]
    assert [(each.status, each.code) for each in rejected] == [(409, "upload_superseded")] * 3
    assert rejected[2].json["current_file"] == file
    assert stack.request("DELETE /upload", query={**named, "upload_id": second["upload_id"]}).status == 204
    assert stack.post_json("POST /upload/complete", named).json == file


def test_upload_id_of_ended_upload_answers_its_own_state(stack: Stack) -> None:
    """While no upload of the name is open, the state of the id answers; an unknown id is not found."""
    first = start_upload(stack, "own state", 5).json["upload_id"]
    second = stack.post_json("POST /upload/start", {"filename": "own state", "size": 6, "restart": True}).json[
        "upload_id"
    ]
    assert send_json_chunk(stack, "own state", 1, b"hello", upload_id=first).code == "upload_superseded"
    cancel = {"filename": "own state", "upload_id": first}
    assert stack.request("DELETE /upload", query=cancel).status == 204
    assert stack.request("DELETE /upload", query={**cancel, "upload_id": second}).status == 204
    assert stack.request("DELETE /upload", query=cancel).status == 204
    again = send_json_chunk(stack, "own state", 1, b"hello", upload_id=first)
    assert (again.status, again.code) == (410, "upload_cancelled")
    for route in ("DELETE /upload", "POST /upload/complete"):
        unknown = {"filename": "own state", "upload_id": "0" * 32}
        got = stack.request(route, query=unknown) if route == "DELETE /upload" else stack.post_json(route, unknown)
        assert (got.status, got.code) == (404, "upload_not_found")
        assert "no upload with this upload_id" in got.json["detail"]
    status = stack.request("GET /status", query={"filename": "own state", "upload_id": "0" * 32})
    assert (status.status, "no upload with this upload_id" in status.json["detail"]) == (404, True)
