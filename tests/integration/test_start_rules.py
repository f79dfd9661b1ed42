"""Starts of a name that has an open upload: what joins, what is rejected, and what the plan says."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from ferry.rules.digests import crc32c, crc32c_to_base64
from ferry.rules.layout import MIB
from tests.integration.stack import Result, Stack

CONTENT = b"hello"


def start(stack: Stack, name: str, **members: object) -> Result:
    return stack.post_json("POST /upload/start", {"filename": name, "size": len(CONTENT), **members})


def send(stack: Stack, name: str, **members: object) -> Result:
    chunk = {"filename": name, "chunk_index": 1, "data": base64.b64encode(CONTENT).decode(), **members}
    return stack.post_json("POST /upload/chunk", chunk)


def complete(stack: Stack, name: str, **members: object) -> Result:
    return stack.post_json("POST /upload/complete", {"filename": name, **members})


def test_start_without_proof_after_bytes_names_the_ways_out(stack: Stack) -> None:
    """The 409 has the open upload, and its detail names `resume`, `fingerprint` and `restart`."""
    first = start(stack, "two devices")
    assert first.status == 201
    assert send(stack, "two devices").status == 200
    rejected = start(stack, "two devices")
    assert (rejected.status, rejected.code) == (409, "upload_in_progress")
    assert (rejected.json["upload_id"], rejected.json["size"]) == (first.json["upload_id"], len(CONTENT))
    assert rejected.json["expires_at"].endswith("Z")
    assert all(word in rejected.json["detail"] for word in ("resume", "fingerprint", "restart"))
    resumed = start(stack, "two devices", resume=True)
    assert (resumed.status, resumed.json["received_bytes"]) == (200, len(CONTENT))
    assert complete(stack, "two devices").status == 200


def test_restart_received_before_other_start_answered_is_rejected(stack: Stack) -> None:
    """The gateway's time of receipt decides whether a restart raced with the start of the upload in progress."""
    received_at = time.time_ns() // 1_000_000 - 1
    first = start(stack, "racing restarts", restart=True)
    body = {"filename": "racing restarts", "size": len(CONTENT), "restart": True}
    raced = stack.post_json("POST /upload/start", body, received_at=received_at)
    assert (raced.status, raced.code) == (409, "upload_in_progress")
    assert (raced.json["upload_id"], "same time" in raced.json["detail"]) == (first.json["upload_id"], True)
    assert stack.post_json("POST /upload/start", body).status == 201


@pytest.mark.parametrize("way_out", ["checksum", "resume"])
def test_joined_upload_completes_only_with_checksum_or_resume(stack: Stack, way_out: str) -> None:
    """A completion of a joined upload is a 422 at `checksum`; `upload_incomplete` comes first, and the upload stays."""
    name = f"joined, {way_out}"
    assert [start(stack, name).status for _ in range(2)] == [201, 200]
    assert complete(stack, name).code == "upload_incomplete"
    send(stack, name)
    rejected = complete(stack, name)
    assert (rejected.status, rejected.code) == (422, "checksum_required")
    assert rejected.json["errors"][0]["loc"] == ["checksum"]
    if way_out == "resume":
        assert start(stack, name, resume=True).status == 200
        assert complete(stack, name).status == 200
    else:
        checksum = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(CONTENT))}
        assert complete(stack, name, checksum=checksum).status == 200


def test_restart_over_bytes_takes_requests_by_id_only(stack: Stack) -> None:
    """The plan says `upload_id_required`; every request by name is a 409 `upload_id_required`."""
    name = "thrown out"
    assert "upload_id_required" not in start(stack, name).json
    assert "upload_id_required" not in start(stack, name, restart=True).json
    send(stack, name)
    plan = start(stack, name, restart=True).json
    assert plan["upload_id_required"] is True
    parts = {"filename": name, "parts": [{"part_number": 1}]}
    by_name = [
        send(stack, name),
        stack.post_json("POST /upload/parts", parts),
        complete(stack, name),
        stack.request("DELETE /upload/{filename+}", filename=name),
        stack.request("DELETE /upload", query={"filename": name}),
    ]
    assert {(got.status, got.code) for got in by_name} == {(409, "upload_id_required")}
    by_id = {"upload_id": plan["upload_id"]}
    assert send(stack, name, **by_id).status == 200
    assert stack.post_json("POST /upload/parts", parts | by_id).status == 200
    assert complete(stack, name, **by_id).status == 200


def test_plan_has_most_careful_if_exists_and_first_metadata(stack: Stack) -> None:
    """`replace` and then the default `fail` is `fail`; type and metadata are those of the first start."""
    name, proof = "careful", {"fingerprint": "a"}
    stack.upload(name, b"older")
    first = start(stack, name, if_exists="replace", content_type="text/plain", metadata={"a": "1"}, **proof)
    second = start(stack, name, content_type="image/png", metadata={"b": "2"}, **proof)
    third = start(stack, name, if_exists="replace", **proof)
    plans = [
        {key: got.json[key] for key in ("if_exists", "content_type", "metadata")} for got in (first, second, third)
    ]
    of_first: dict[str, Any] = {"content_type": "text/plain", "metadata": {"a": "1"}}
    assert plans == [{"if_exists": choice, **of_first} for choice in ("replace", "fail", "fail")]
    send(stack, name)
    assert complete(stack, name).code == "file_exists"
    assert complete(stack, name, if_exists="replace").json["content_type"] == "text/plain"


def test_finished_file_with_other_checksum_is_another_file(stack: Stack) -> None:
    """The checksum decides, whatever the fingerprint says."""
    start(stack, "decided", fingerprint="a")
    send(stack, "decided")
    checksum = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(CONTENT))}
    assert complete(stack, "decided", checksum=checksum).json["checksum"] == checksum
    other = {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(b"other"))}
    assert start(stack, "decided", checksum=checksum, fingerprint="b").json["state"] == "complete"
    assert start(stack, "decided", fingerprint="a").json["state"] == "complete"
    for proof in ({"checksum": other, "fingerprint": "a"}, {"fingerprint": "b"}, {}):
        assert start(stack, "decided", **proof).code == "file_exists"


def test_part_size_is_a_wish(stack: Stack) -> None:
    """The plan has the next multiple of the chunk size; below S3's minimum is a 422 at `part_size`."""
    plan = start(stack, "parts", size=20 * MIB, chunk_size=MIB, part_size=5 * MIB + 1).json
    assert (plan["part_size"], plan["part_count"], plan["chunks_per_part"]) == (6 * MIB, 4, 6)
    for wish in (5 * MIB - 1, 5 * 1024 * MIB + 1):
        rejected = start(stack, "small parts", part_size=wish)
        assert (rejected.status, rejected.code, rejected.json["errors"][0]["loc"]) == (
            422,
            "validation_failed",
            ["part_size"],
        )


def test_start_with_resume_and_restart_is_rejected(stack: Stack) -> None:
    """The two contradict each other."""
    rejected = start(stack, "both", resume=True, restart=True)
    assert (rejected.status, rejected.json["errors"][0]["loc"]) == (422, ["resume"])
