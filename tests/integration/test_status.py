"""The status function: one upload, long polls, and lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry import wiring
from tests.integration.stack import Stack

KIB = 1024


def test_status_from_pending_to_complete(stack: Stack) -> None:
    """An upload is pending, partial and complete, with its missing chunks and its next offset."""
    size = 3 * 64 * KIB
    stack.post_json("POST /upload/start", {"filename": "states", "size": size, "chunk_size": 64 * KIB})
    pending = stack.request("GET /status/{filename+}", filename="states").json
    assert (pending["state"], pending["percent"], pending["missing"]) == ("pending", 0.0, [[1, 3]])
    headers_of_bytes = {"content-type": "application/octet-stream"}
    for index in (1, 3, 2):
        query = {"filename": "states", "chunk_index": str(index)}
        stack.request("POST /upload/chunk", query=query, headers=headers_of_bytes, body=bytes(64 * KIB))
        if index == 1:
            partial = stack.request("GET /status/{filename+}", filename="states").json
            assert (partial["state"], partial["missing"], partial["next_offset"]) == ("partial", [[2, 3]], 64 * KIB)
            assert partial["version"] > pending["version"]
    listed = stack.request("GET /status").json["uploads"]
    assert "states" in [upload["filename"] for upload in listed]
    stack.post_json("POST /upload/complete", {"filename": "states"})
    complete = stack.request("GET /status/{filename+}", filename="states").json
    assert (complete["state"], complete["percent"], complete["missing"]) == ("complete", 100.0, [])
    assert complete["etag"].startswith('"')
    assert stack.request("GET /status").json["uploads"] == []


def test_new_upload_shows_current_file(stack: Stack) -> None:
    """An upload that is to replace a file is shown with it as `current_file`."""
    existing = stack.upload("beside", b"old")
    stack.post_json("POST /upload/start", {"filename": "beside", "size": 9, "if_exists": "replace"})
    status = stack.request("GET /status/{filename+}", filename="beside").json
    assert (status["state"], status["current_file"]) == ("pending", existing)


def test_known_status_returns_304_and_older_one_at_once(stack: Stack) -> None:
    """A matching ETag is a 304; a long poll for an older version returns at once."""
    stack.upload("conditional", b"x")
    first = stack.request("GET /status/{filename+}", filename="conditional")
    again = stack.request(
        "GET /status/{filename+}", filename="conditional", headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")
    query = {"wait": "20", "since": str(first.json["version"] - 1)}
    assert stack.request("GET /status/{filename+}", filename="conditional", query=query).json == first.json


def test_long_poll_timeout_returns_unchanged_status(stack: Stack) -> None:
    """A long poll without a change returns the same status after a second, or 304 for a matching ETag."""
    stack.upload("waited for", b"x")
    first = stack.request("GET /status/{filename+}", filename="waited for")
    query = {"wait": "1", "since": str(first.json["version"])}
    assert stack.request("GET /status/{filename+}", filename="waited for", query=query).json == first.json
    headers = {"if-none-match": first.headers["etag"]}
    assert stack.request("GET /status/{filename+}", filename="waited for", query=query, headers=headers).status == 304


def test_long_polls_of_busy_namespace_leave_turns_for_others(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty long polls of one namespace hold 7 of 10 permits, so another namespace's waits. Once all are held, it
    is answered at once.
    """
    seconds: list[float] = []
    started_at = wiring.services().clock()
    waiting = replace(wiring.services(), sleep=seconds.append, clock=lambda: started_at + round(sum(seconds) * 1_000))
    monkeypatch.setattr(wiring, "services", lambda: waiting)
    stack.upload("watched", b"x")
    version = stack.request("GET /status/{filename+}", filename="watched").json["version"]
    query = {"wait": "3", "since": str(version)}
    pool = wiring.permit_pool()
    assert pool is not None
    held = [pool.acquire("busy", expires_at=started_at + 20_000, now=started_at) for _ in range(30)]
    assert sum(permit is not None for permit in held) == 7
    assert stack.request("GET /status/{filename+}", filename="watched", query=query).status == 200
    assert seconds == [1.0, 1.0, 1.0]
    others = [pool.acquire(ns, expires_at=started_at + 20_000, now=started_at) for ns in "bcd"]
    assert None not in others
    assert stack.request("GET /status/{filename+}", filename="watched", query=query).status == 200
    assert len(seconds) == 3


def test_unknown_name_returns_404(stack: Stack) -> None:
    """An unknown name is a 404 `not_found`."""
    got = stack.request("GET /status/{filename+}", filename="unknown")
    assert (got.status, got.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("key", "query"),
    [
        ("GET /status", {"cursor": "é"}),
        ("GET /status", {"filename": "x", "wait": "21", "since": "1"}),
        ("GET /status", {"filename": "x", "wait": "0", "since": "1"}),
        ("GET /status", {"filename": "x", "wait": "1", "since": "new"}),
    ],
)
def test_invalid_parameters_are_rejected(stack: Stack, key: str, query: dict[str, str]) -> None:
    """An invalid parameter is a 422 that names it."""
    got = stack.request(key, query=query)
    assert (got.status, got.code) == (422, "validation_failed")
    assert got.json["errors"][0]["loc"][0] in query


def test_status_by_upload_id_shows_that_upload(stack: Stack) -> None:
    """`?upload_id=` names an upload of the name, also an ended one. An unknown id is a 404, an empty one a 422."""
    first = stack.post_json("POST /upload/start", {"filename": "several", "size": 5, "fingerprint": "1"}).json
    second = stack.post_json("POST /upload/start", {"filename": "several", "size": 6, "restart": True}).json
    query = {"upload_id": first["upload_id"]}
    ended = stack.request("GET /status/{filename+}", filename="several", query=query).json
    assert (ended["upload_id"], ended["state"], ended["size"]) == (first["upload_id"], "cancelled", 5)
    newest = stack.request("GET /status/{filename+}", filename="several").json
    assert newest["upload_id"] == second["upload_id"]
    known = {**query, "wait": "1", "since": str(ended["version"] - 1)}
    assert stack.request("GET /status/{filename+}", filename="several", query=known).json == ended
    unknown = stack.request("GET /status", query={"filename": "several", "upload_id": "0" * 32})
    assert (unknown.status, unknown.code) == (404, "upload_not_found")
    other_name = stack.request("GET /status", query={"filename": "another", **query})
    assert (other_name.status, other_name.code) == (404, "upload_not_found")
    empty = stack.request("GET /status/{filename+}", filename="several", query={"upload_id": ""})
    assert (empty.status, empty.code) == (422, "validation_failed")


def test_status_by_upload_id_of_a_finished_upload_shows_its_file(stack: Stack) -> None:
    """An upload that made a file stays `complete` under its id, although another file has the name now."""
    first = stack.upload("made twice", b"first")
    stack.upload("made twice", b"second file", if_exists="replace")
    query = {"upload_id": first["upload_id"]}
    status = stack.request("GET /status/{filename+}", filename="made twice", query=query).json
    assert (status["state"], status["etag"], status["size"]) == ("complete", first["etag"], 5)
