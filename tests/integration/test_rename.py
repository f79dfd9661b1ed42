"""`if_exists: rename` and `if_match` of uploads over HTTP."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ferry.rules.digests import crc32c, crc32c_to_base64
from tests.integration.stack import Result, Stack

BODY = b"renamed"
CHECKSUM = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(BODY))}


def put(stack: Stack, name: str, content: bytes = b"x") -> dict[str, Any]:
    record: dict[str, Any] = stack.request("PUT /files/{filename+}", filename=name, body=content).json
    return record


def start(stack: Stack, name: str, **options: object) -> Result:
    body = {"filename": name, "size": len(BODY), "if_exists": "rename", **options}
    return stack.post_json("POST /upload/start", body)


def send(stack: Stack, name: str) -> None:
    chunk = {"filename": name, "chunk_index": 1, "data": base64.b64encode(BODY).decode()}
    assert stack.post_json("POST /upload/chunk", chunk).status == 200


def test_start_under_rename_gets_a_free_name(stack: Stack) -> None:
    """The plan has the upload's name, which later requests use; the file that was there stays."""
    put(stack, "rn/a.txt")
    plan = start(stack, "rn/a.txt")
    assert (plan.status, plan.json["filename"], plan.json["if_exists"]) == (201, "rn/a (2).txt", "rename")
    send(stack, "rn/a (2).txt")
    done = stack.post_json("POST /upload/complete", {"filename": "rn/a (2).txt"})
    assert (done.status, done.json["filename"]) == (200, "rn/a (2).txt")
    assert stack.request("GET /download", query={"filename": "rn/a (2).txt"}).body == BODY
    assert stack.request("GET /download", query={"filename": "rn/a.txt"}).body == b"x"


def test_start_repeated_under_rename_resumes(stack: Stack) -> None:
    """With a checksum the repetition is the same upload, and once it is complete the finished file."""
    put(stack, "rs2/a")
    first, second = (start(stack, "rs2/a", checksum=CHECKSUM) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.json["upload_id"] == second.json["upload_id"]
    send(stack, "rs2/a (2)")
    stack.post_json("POST /upload/complete", {"filename": "rs2/a (2)"})
    third = start(stack, "rs2/a", checksum=CHECKSUM)
    assert (third.status, third.json["state"], third.json["filename"]) == (200, "complete", "rs2/a (2)")


def test_open_upload_makes_name_taken_under_rename(stack: Stack) -> None:
    """Without proof every start is a new upload, and none is a 409."""
    names = [start(stack, "op/a").json["filename"] for _ in range(3)]
    assert names == ["op/a", "op/a (2)", "op/a (3)"]


def test_complete_of_taken_name_returns_the_name_that_counts(stack: Stack) -> None:
    """A name that was taken before the completion is stepped over; the response has the file's name, repeated too."""
    assert start(stack, "tk/a").json["filename"] == "tk/a"
    send(stack, "tk/a")
    put(stack, "tk/a")
    for _ in range(2):
        done = stack.post_json("POST /upload/complete", {"filename": "tk/a"})
        assert (done.status, done.json["filename"]) == (200, "tk/a (2)")
    listed = stack.request("GET /files", query={"prefix": "tk/"}).json["files"]
    assert [file["filename"] for file in listed] == ["tk/a", "tk/a (2)"]


def test_name_without_room_is_rejected(stack: Stack) -> None:
    """A name that is taken and too long for a number is a 422, and nothing is started."""
    name = "long/a." + "x" * 253
    put(stack, name)
    got = start(stack, name)
    assert (got.status, got.code) == (422, "invalid_filename")
    uploads = stack.request("GET /status").json["uploads"]
    assert not [upload for upload in uploads if upload["filename"].startswith("long/")]


@pytest.mark.parametrize("has_file", [True, False])
def test_complete_if_match_of_other_file_is_rejected(stack: Stack, has_file: bool) -> None:
    """Another file than that of `if_match`, or none, is a 412; the upload stays, and the file too."""
    name = f"im2/{has_file}"
    record = put(stack, name) if has_file else None
    assert start(stack, name, if_exists="replace").status == 201
    send(stack, name)
    got = stack.post_json("POST /upload/complete", {"filename": name, "if_match": '"other"'})
    assert (got.status, got.code, got.json.get("current_file")) == (412, "precondition_failed", record)
    assert stack.request("GET /status", query={"filename": name}).json["state"] == "partial"
    if record is not None:
        assert stack.request("GET /files", query={"filename": name}).json == record
        done = stack.post_json("POST /upload/complete", {"filename": name, "if_match": record["etag"]})
        assert (done.status, stack.request("GET /download", query={"filename": name}).body) == (200, BODY)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("POST /upload/start", {"filename": "bad", "size": 1, "if_exists": "keep"}),
        ("POST /upload/complete", {"filename": "bad", "if_exists": "keep"}),
        ("POST /upload/complete", {"filename": "bad", "if_match": ""}),
        ("POST /upload/complete", {"filename": "bad", "if_match": 1}),
    ],
)
def test_invalid_choice_is_rejected(stack: Stack, route: str, body: dict[str, Any]) -> None:
    """Another value of `if_exists`, or an empty `if_match`, is a 422."""
    got = stack.post_json(route, body)
    assert (got.status, got.code) == (422, "validation_failed")
