"""The status function: one upload, waiting, and listings."""

from __future__ import annotations

import pytest

from tests.integration.stack import Stack

KIB = 1024


def test_from_pending_to_complete(stack: Stack) -> None:
    """The states of an upload, what is missing, and where to go on."""
    size = 3 * 64 * KIB
    stack.post("POST /upload/start", {"filename": "states", "size": size, "chunk_size": 64 * KIB})
    pending = stack.call("GET /status/{filename}", filename="states").json
    assert (pending["state"], pending["percent"], pending["missing"]) == ("pending", 0.0, [[1, 3]])
    octets = {"content-type": "application/octet-stream"}
    for index in (1, 3, 2):
        query = {"filename": "states", "chunk_index": str(index)}
        stack.call("POST /upload/chunk", query=query, headers=octets, body=bytes(64 * KIB))
        if index == 1:
            partial = stack.call("GET /status/{filename}", filename="states").json
            assert (partial["state"], partial["missing"], partial["next_offset"]) == ("partial", [[2, 3]], 64 * KIB)
            assert partial["version"] > pending["version"]
    listed = stack.call("GET /status").json["uploads"]
    assert "states" in [upload["filename"] for upload in listed]
    stack.post("POST /upload/complete", {"filename": "states"})
    complete = stack.call("GET /status/{filename}", filename="states").json
    assert (complete["state"], complete["percent"], complete["missing"]) == ("complete", 100.0, [])
    assert complete["etag"].startswith('"')
    assert stack.call("GET /status").json["uploads"] == []


def test_a_new_upload_beside_the_finished_file(stack: Stack) -> None:
    """The upload is shown, with the file under `current_file`."""
    made = stack.upload("beside", b"old")
    stack.post("POST /upload/start", {"filename": "beside", "size": 9, "if_exists": "replace"})
    status = stack.call("GET /status/{filename}", filename="beside").json
    assert (status["state"], status["current_file"]) == ("pending", made)


def test_conditional_and_waiting(stack: Stack) -> None:
    """304 for the ETag one has; a wait for something older than what is known answers at once."""
    stack.upload("conditional", b"x")
    first = stack.call("GET /status/{filename}", filename="conditional")
    again = stack.call(
        "GET /status/{filename}", filename="conditional", headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")
    query = {"wait": "20", "since": str(first.json["version"] - 1)}
    assert stack.call("GET /status/{filename}", filename="conditional", query=query).json == first.json


def test_unchanged_when_the_time_is_up(stack: Stack) -> None:
    """A second is waited for, and the same status answered; 304 to who has it."""
    stack.upload("waited for", b"x")
    first = stack.call("GET /status/{filename}", filename="waited for")
    query = {"wait": "1", "since": str(first.json["version"])}
    assert stack.call("GET /status/{filename}", filename="waited for", query=query).json == first.json
    headers = {"if-none-match": first.headers["etag"]}
    assert stack.call("GET /status/{filename}", filename="waited for", query=query, headers=headers).status == 304


def test_an_unknown_name_is_not_found(stack: Stack) -> None:
    """404 `not_found`, which never means complete."""
    got = stack.call("GET /status/{filename}", filename="unknown")
    assert (got.status, got.code) == (404, "not_found")


def test_files_come_page_by_page(stack: Stack) -> None:
    """By name, with a prefix and a cursor, each once."""
    names = [f"page-{index}" for index in range(5)]
    for name in names:
        stack.upload(name, b"x")
    found, query = [], {"prefix": "page-", "limit": "2"}
    while True:
        page = stack.call("GET /files", query=query).json
        assert len(page["files"]) <= 2
        found += [file["filename"] for file in page["files"]]
        if "cursor" not in page:
            break
        query = {**query, "cursor": page["cursor"]}
    assert found == names
    other = stack.token("other")
    assert stack.call("GET /files", query={"prefix": "page-"}, token=other).json == {"files": []}


@pytest.mark.parametrize(
    ("key", "query"),
    [
        ("GET /files", {"cursor": "garbage"}),
        ("GET /files", {"cursor": ""}),
        ("GET /files", {"limit": "0"}),
        ("GET /files", {"limit": "9" * 50}),
        ("GET /files", {"limit": "1.5"}),
        ("GET /files", {"prefix": "x" * 256}),
        ("GET /status", {"cursor": "é"}),
        ("GET /status", {"filename": "x", "wait": "21", "since": "1"}),
        ("GET /status", {"filename": "x", "wait": "0", "since": "1"}),
        ("GET /status", {"filename": "x", "wait": "1", "since": "new"}),
    ],
)
def test_parameters_that_make_no_sense(stack: Stack, key: str, query: dict[str, str]) -> None:
    """422, naming the parameter."""
    got = stack.call(key, query=query)
    assert (got.status, got.code) == (422, "validation_failed")
    assert got.json["errors"][0]["loc"][0] in query
