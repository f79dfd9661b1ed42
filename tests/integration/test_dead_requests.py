"""Requests that died, and uploads about to expire, with the AWS adapters and a clock that is ahead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ferry import wiring
from ferry.aws.clock import wall_clock
from ferry.errors import BackendUnavailable
from ferry.ports.object_store import ObjectStore
from ferry.rules.durations import DAY_MS, SECOND_MS
from tests.integration.conftest import new_stack
from tests.integration.stack import Result, Stack

KIB = 1024
CHUNK_BYTES = 64 * KIB
OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}
FIRST, OTHER = bytes(CHUNK_BYTES), b"x" * CHUNK_BYTES


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Yield a stack of its own, whose processes may be ahead in time."""
    with new_stack() as stack:
        yield stack


def start_upload(stack: Stack, name: str, chunks: int) -> Result:
    start = {"filename": name, "size": chunks * CHUNK_BYTES, "chunk_size": CHUNK_BYTES, "fingerprint": "a"}
    return stack.post_json("POST /upload/start", start)


def send_chunk(stack: Stack, name: str, index: int, body: bytes) -> Result:
    query = {"filename": name, "chunk_index": str(index)}
    return stack.request("POST /upload/chunk", query=query, headers=OCTET_STREAM_HEADERS, body=body)


def advance(stack: Stack, patch: pytest.MonkeyPatch, milliseconds: int) -> None:
    """Continue with new processes whose clocks are ahead of the real one."""
    patch.setattr(wiring, "wall_clock", lambda: wall_clock() + milliseconds)
    stack.new_process()
    stack.forget_tokens()


def send_and_fail(stack: Stack, patch: pytest.MonkeyPatch, name: str, index: int, body: bytes) -> None:
    """Send a chunk in a request that is answered with 503 after it has stored its digest."""

    def fail(*_: object, **__: object) -> None:
        raise BackendUnavailable

    with patch.context() as broken:
        store: type[ObjectStore] = type(wiring.services().object_store)
        broken.setattr(store, "put", fail)
        broken.setattr(store, "upload_part", fail)
        assert send_chunk(stack, name, index, body).code == "backend_unavailable"


def test_other_bytes_are_accepted_once_the_dead_request_cannot_live(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of a request that got a 503 block others for the function's timeout, and no longer."""
    start_upload(stack, "dead", 2)
    send_and_fail(stack, monkeypatch, "dead", 1, FIRST)
    blocked = send_chunk(stack, "dead", 1, OTHER)
    assert (blocked.status, blocked.code) == (409, "chunk_conflict")
    assert "in 29 seconds" in blocked.json["detail"]
    advance(stack, monkeypatch, 29 * SECOND_MS)
    assert send_chunk(stack, "dead", 1, OTHER).status == 200
    assert send_chunk(stack, "dead", 1, FIRST).code == "chunk_conflict"
    assert send_chunk(stack, "dead", 2, FIRST).status == 200
    advance(stack, monkeypatch, 59 * SECOND_MS)
    assert send_chunk(stack, "dead", 2, OTHER).code == "chunk_conflict"
    assert stack.post_json("POST /upload/complete", {"filename": "dead"}).status == 200
    assert stack.request("GET /download", query={"filename": "dead"}).body == OTHER + FIRST


@pytest.mark.parametrize("what", ["start", "chunk", "parts", "complete"])
def test_request_just_before_idle_timeout_postpones_expiry(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A resuming start, a repeated chunk, a signing and an attempt to complete each give the upload another day."""
    start_upload(stack, "idle", 2)
    send_chunk(stack, "idle", 1, FIRST)
    for days in (1, 2):
        advance(stack, monkeypatch, days * (DAY_MS - 10 * SECOND_MS))
        before = stack.request("GET /status", query={"filename": "idle"}).json
        assert before["state"] == "partial"
        if what == "start":
            assert start_upload(stack, "idle", 2).json["expires_at"] > before["expires_at"]
        elif what == "chunk":
            assert send_chunk(stack, "idle", 1, FIRST).status == 200
        elif what == "parts":
            parts = {"filename": "idle", "parts": [{"part_number": 1}]}
            assert stack.post_json("POST /upload/parts", parts).status == 200
        else:
            rejected = stack.post_json("POST /upload/complete", {"filename": "idle"})
            assert (rejected.code, rejected.json["missing"]) == ("upload_incomplete", [[2, 2]])
        after = stack.request("GET /status", query={"filename": "idle"}).json
        assert after["expires_at"] > before["expires_at"]
        assert after["version"] > before["version"]
    advance(stack, monkeypatch, 3 * DAY_MS)
    assert send_chunk(stack, "idle", 2, FIRST).code == "upload_expired"
