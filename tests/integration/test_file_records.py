"""Records of files: reading them under conditions, and changing what may be changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.stack import READ, Result, Stack

MERGE_PATCH = "application/merge-patch+json"


def put(stack: Stack, name: str, body: bytes = b"content", **headers: str) -> Result:
    got = stack.request("PUT /files/{filename+}", filename=name, headers={"content-type": "text/plain"}, body=body)
    assert got.status in (200, 201)
    return got


def patch(stack: Stack, name: str, content: object, **headers: str) -> Result:
    """Send a merge patch; `_` in names of headers stands for `-`."""
    sent = {"content-type": MERGE_PATCH, **{header.replace("_", "-"): value for header, value in headers.items()}}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return stack.request("PATCH /files/{filename+}", filename=name, headers=sent, body=body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_record_by_path_and_by_query(stack: Stack, method: str) -> None:
    """The record has its own entity tag; HEAD has the headers of GET."""
    file = put(stack, f"record {method}")
    options: list[tuple[str, dict[str, Any]]] = [
        (f"{method} /files/{{filename+}}", {"filename": f"record {method}"}),
        (f"{method} /files", {"query": {"filename": f"record {method}"}}),
    ]
    for key, place in options:
        got = stack.request(key, **place)
        assert (got.status, got.headers["etag"]) == (200, file.headers["etag"])
        assert got.headers["last-modified"] == file.headers["last-modified"]
        assert got.body == b"" if method == "HEAD" else got.json == file.json
        unchanged = stack.request(key, headers={"if-none-match": file.headers["etag"]}, **place)
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert unchanged.headers["etag"] == file.headers["etag"]
        changed = stack.request(key, headers={"if-none-match": file.json["etag"]}, **place)
        assert changed.status == 200
        assert stack.request(key, headers={"if-match": file.json["etag"]}, **place).status == 200
        assert stack.request(key, headers={"if-match": '"x"'}, **place).status == 412


def test_missing_record_is_404(stack: Stack) -> None:
    """A name without a file, and another namespace's file, have no record."""
    put(stack, "mine")
    for name, token in (("no such file", ""), ("mine", stack.token("other-ns", READ))):
        got = stack.request("GET /files/{filename+}", filename=name, token=token)
        assert (got.status, got.code) == (404, "not_found")
        assert stack.request("GET /files", query={"filename": name}, token=token).status == 404


def test_change_is_seen_by_downloads_and_lists(stack: Stack) -> None:
    """A merge patch changes what it names; downloads have the new type, and the content's tag stays."""
    file = put(stack, "changed")
    first = patch(stack, "changed", {"content_type": "text/csv", "metadata": {"a": "1", "b": "2"}})
    assert first.status == 200
    assert first.json == {**file.json, "content_type": "text/csv", "metadata": {"a": "1", "b": "2"}}
    assert first.headers["etag"] != file.headers["etag"]
    second = patch(stack, "changed", {"metadata": {"a": None, "c": "3"}}, if_match=first.headers["etag"])
    assert (second.status, second.json["metadata"], second.json["content_type"]) == (
        200,
        {"b": "2", "c": "3"},
        "text/csv",
    )
    downloaded = stack.request("GET /download", query={"filename": "changed"})
    assert (downloaded.headers["content-type"], downloaded.headers["etag"]) == ("text/csv", file.json["etag"])
    link = stack.request("GET /download", query={"filename": "changed", "redirect": "false"}).json["url"]
    assert "text%2Fcsv" in link
    assert stack.request("GET /files", query={"prefix": "changed"}).json["files"] == [second.json]
    third = patch(stack, "changed", {"content_type": None, "metadata": None})
    assert (third.json["metadata"], third.json["content_type"]) == ({}, "application/octet-stream")
    empty = patch(stack, "changed", {})
    assert (empty.status, empty.json) == (200, third.json)


def test_change_by_query_without_content_type(stack: Stack) -> None:
    """The name may be in the query, and a body without a Content-Type is a merge patch."""
    put(stack, "by query")
    got = stack.request("PATCH /files", query={"filename": "by query"}, body=b'{"content_type": "a/b"}')
    assert (got.status, got.json["content_type"]) == (200, "a/b")


REJECTED: list[tuple[object, dict[str, str], int, str]] = [
    (b"", {}, 400, "malformed_body"),
    (b"{", {}, 400, "malformed_body"),
    ([], {}, 422, "validation_failed"),
    (None, {}, 422, "validation_failed"),
    ({"filename": "x"}, {}, 422, "validation_failed"),
    ({"content_type": "nonsense"}, {}, 422, "validation_failed"),
    ({"content_type": 1}, {}, 422, "validation_failed"),
    ({"metadata": "x"}, {}, 422, "validation_failed"),
    ({"metadata": {"a": 1}}, {}, 422, "validation_failed"),
    ({"metadata": {"": "a"}}, {}, 422, "validation_failed"),
    ({"metadata": {"a": "\u0007"}}, {}, 422, "validation_failed"),
    ({"metadata": {"a": "b" * 2_048}}, {}, 422, "validation_failed"),
    ({"metadata": {"b": "b" * 2_045}}, {}, 422, "validation_failed"),
    ({"content_type": "a/b"}, {"content_type": "application/json"}, 415, "unsupported_media_type"),
    ({"content_type": "a/b"}, {"content_encoding": "gzip"}, 415, "unsupported_media_type"),
    (b'{"content_type": "a/b"' + b" " * 65_536 + b"}", {}, 413, "body_too_large"),
    ({"content_type": "a/b"}, {"if_match": '"x"'}, 412, "precondition_failed"),
    ({"content_type": "a/b"}, {"if_none_match": "*"}, 412, "precondition_failed"),
    ({"content_type": "a/b"}, {"if_unmodified_since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 412, "precondition_failed"),
    ({"content_type": "a/b"}, {"if_match": ""}, 422, "validation_failed"),
]


@pytest.mark.parametrize(("content", "headers", "status", "code"), REJECTED)
def test_rejected_change_changes_nothing(
    stack: Stack, content: object, headers: dict[str, str], status: int, code: str
) -> None:
    """What is not a valid change gets its code, and the record stays as it is."""
    put(stack, "kept")
    before = patch(stack, "kept", {"metadata": {"a": "1234"}})
    got = patch(stack, "kept", content, **headers)
    assert (got.status, got.code) == (status, code)
    if status == 412:
        assert got.json["current_file"] == before.json
    after = stack.request("GET /files/{filename+}", filename="kept")
    assert (after.json, after.headers["etag"]) == (before.json, before.headers["etag"])


def test_change_without_file_or_scope(stack: Stack) -> None:
    """A change of a name without a file is a 404, under a condition too; one without the scope is a 403."""
    for headers in ({}, {"if_match": "*"}):
        got = patch(stack, "no such file", {"content_type": "a/b"}, **headers)
        assert (got.status, got.code) == (404, "not_found")
    put(stack, "read only")
    token = stack.token("demo", READ)
    got = stack.request("PATCH /files", query={"filename": "read only"}, body=b'{"content_type": "a/b"}', token=token)
    assert got.status == 403
    unknown = stack.request("PATCH /files", query={"filename": "read only", "x": "y"}, body=b"{}")
    assert unknown.status == 422


def test_deletion_takes_the_tag_of_the_record(stack: Stack) -> None:
    """DELETE takes the tag of the record or of the content, and otherwise says what is there."""
    file = put(stack, "deleted")
    rejected = stack.request("DELETE /files", query={"filename": "deleted"}, headers={"if-match": '"x"'})
    assert (rejected.status, rejected.json["current_file"]) == (412, file.json)
    old_tag = file.headers["etag"]
    changed = patch(stack, "deleted", {"content_type": "a/b"})
    stale = stack.request("DELETE /files", query={"filename": "deleted"}, headers={"if-match": old_tag})
    assert stale.status == 412
    tag = changed.headers["etag"]
    assert stack.request("DELETE /files", query={"filename": "deleted"}, headers={"if-match": tag}).status == 204
