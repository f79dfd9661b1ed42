"""What is done only after something went wrong, or long after: with the adapters, so that AWS would see these calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ferry import wiring
from ferry.aws.clock import wall_clock
from ferry.engine import DAY
from ferry.model import object_key
from ferry.uploads import complete
from tests.integration.conftest import new_stack
from tests.integration.stack import READ, Stack, modules

KIB = 1024
MIB = 1024 * KIB
OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """One for each test: what the sweep finds is what the test has left."""
    with new_stack() as made:
        yield made


def begin(stack: Stack, name: str, size: int) -> str:
    """A started upload of 64 KiB chunks; its id."""
    started = stack.post("POST /upload/start", {"filename": name, "size": size, "chunk_size": 64 * KIB})
    upload_id: str = started.json["upload_id"]
    return upload_id


def send(stack: Stack, name: str, index: int, body: bytes) -> None:
    query = {"filename": name, "chunk_index": str(index)}
    assert stack.call("POST /upload/chunk", query=query, headers=OCTETS, body=body).status == 200


def sign(stack: Stack, name: str) -> None:
    """From now on chunks are staged, whatever else they are."""
    assert stack.post("POST /upload/parts", {"filename": name, "parts": [{"part_number": 1}]}).status == 200


def later(stack: Stack, patch: pytest.MonkeyPatch, days: int) -> None:
    """Fresh processes, whose clocks are ahead; tokens of before are over."""
    patch.setattr(wiring, "wall_clock", lambda: wall_clock() + days * DAY)
    stack.new_process()
    stack.forget_tokens()


def multipart(name: str, content: bytes, *, complete: bool = False) -> None:
    """S3's side of the upload that the name has: its only part is put there, and perhaps it is completed, by others."""
    slot = wiring.engine().ledger.slot("demo", name)
    assert slot is not None
    upload = wiring.engine().ledger.upload(slot.upload_id)
    assert upload is not None
    s3 = boto3.client("s3")
    where: Any = {"Bucket": "bucket", "Key": upload.session.object_key, "UploadId": upload.session.multipart_id}
    part = s3.upload_part(**where, PartNumber=1, Body=content)
    if complete:
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def in_bucket() -> list[str]:
    s3 = boto3.client("s3")
    uploads = s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return [entry["Key"] for entry in [*s3.list_objects_v2(Bucket="bucket").get("Contents", []), *uploads]]


def test_a_cancelled_upload_leaves_nothing_in_s3(stack: Stack) -> None:
    """Its multipart upload is aborted, its stages are deleted, and what may have become its object."""
    upload_id = begin(stack, "cancelled", 2 * 64 * KIB)
    send(stack, "cancelled", 1, bytes(64 * KIB))
    assert [key for key in in_bucket() if upload_id in key]
    assert stack.call("DELETE /upload/{filename}", filename="cancelled").status == 204
    assert not [key for key in in_bucket() if upload_id in key]


def test_what_takes_too_long_is_handed_on_and_finished(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion that may put no part together asks the clean-up function to, which does, from the stages."""
    content = bytes(64 * KIB) + b"rest"
    begin(stack, "handed on", len(content))
    sign(stack, "handed on")
    send(stack, "handed on", 1, content[: 64 * KIB])
    send(stack, "handed on", 2, content[64 * KIB :])
    with monkeypatch.context() as slow:
        slow.setenv("FERRY_MENDING", "0")
        slow.setattr(complete, "PATIENCE", 0)
        slow.setenv("FERRY_CLEANUP_FUNCTION", "the clean-up function")
        stack.new_process()
        still = stack.post("POST /upload/complete", {"filename": "handed on"})
        assert (still.status, still.json["state"]) == (202, "completing")
    stack.new_process()
    upload = wiring.engine().ledger.upload(still.json["upload_id"])
    assert upload is not None
    event = {"ferry": "finish", "upload_id": still.json["upload_id"], "attempt": upload.session.attempt}
    assert stack.handle("cleanup", event) == {}
    assert stack.call("GET /download/{filename}", filename="handed on").body == content


def test_parts_put_straight_to_s3_are_found_there(stack: Stack) -> None:
    """Once a URL was signed, status asks S3 what has landed; when S3 has completed it unheard, for the object."""
    begin(stack, "landed", 5)
    sign(stack, "landed")
    multipart("landed", b"hello")
    assert stack.call("GET /status/{filename}", filename="landed").json["received_bytes"] == 5
    multipart("landed", b"hello", complete=True)
    assert stack.call("GET /status/{filename}", filename="landed").json["received_bytes"] == 5


def test_a_multipart_upload_that_s3_has_lost_is_no_file(stack: Stack) -> None:
    """Neither the multipart upload nor the object: nothing has been received, and nobody is told otherwise."""
    begin(stack, "lost", 5)
    sign(stack, "lost")
    s3 = boto3.client("s3")
    (entry,) = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    s3.abort_multipart_upload(Bucket="bucket", Key=entry["Key"], UploadId=entry["UploadId"])
    assert stack.call("GET /status/{filename}", filename="lost").json["received_bytes"] == 0


def test_a_completion_whose_answer_was_lost_is_found(stack: Stack) -> None:
    """S3 has completed it, Ferry never heard: the object is looked at, and becomes the file."""
    begin(stack, "unheard", 5)
    sign(stack, "unheard")
    multipart("unheard", b"hello", complete=True)
    done = stack.post("POST /upload/complete", {"filename": "unheard"})
    assert (done.status, done.json["size"]) == (200, 5)
    assert stack.call("GET /download/{filename}", filename="unheard").body == b"hello"


def test_the_sweep_finds_a_completion_whose_answer_was_lost(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function died under its lease, S3 had completed: the object is looked at, and becomes the file."""
    upload_id = begin(stack, "died", 5)
    sign(stack, "died")
    multipart("died", b"hello", complete=True)
    ledger, now = wiring.engine().ledger, wiring.engine().clock()
    upload = ledger.upload(upload_id)
    assert upload is not None
    ledger.lease(upload, attempt="of the dead", until=now + 35_000, now=now, replace=False, crc32c=None)
    later(stack, monkeypatch, days=1)
    assert stack.handle("cleanup", {"ferry": "sweep"})["errors"] == 0
    assert stack.call("GET /download/{filename}", filename="died").body == b"hello"


def test_a_file_whose_object_is_gone_is_a_503(stack: Stack) -> None:
    """S3 says 404, not 403: the bytes are absent, not forbidden. Never an empty or another file."""
    file = stack.upload("gone", b"hello")
    boto3.client("s3").delete_object(Bucket="bucket", Key=object_key(file["upload_id"]))
    assert stack.call("GET /download/{filename}", filename="gone").status == 503


def test_the_sweep_takes_away_what_its_time_has_come_for(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object of a deleted file, the stages and rows of a finished upload, an expired upload, and an orphan."""
    deleted = stack.upload("deleted", b"x")
    assert stack.call("DELETE /files/{filename}", filename="deleted").status == 204
    kept = begin(stack, "kept", 64 * KIB + 1)
    send(stack, "kept", 1, bytes(64 * KIB))
    send(stack, "kept", 2, b"x")
    assert stack.post("POST /upload/complete", {"filename": "kept"}).status == 200
    expired = begin(stack, "expired", 2 * 64 * KIB)
    send(stack, "expired", 1, bytes(64 * KIB))
    orphan = boto3.client("s3").create_multipart_upload(Bucket="bucket", Key=object_key(kept))["Key"]
    nobodys = object_key("f" * 32)
    boto3.client("s3").put_object(Bucket="bucket", Key=nobodys, Body=b"x")
    assert [key for key in in_bucket() if key.startswith(f"st/{kept}/")]
    assert in_bucket().count(orphan) == 2
    later(stack, monkeypatch, days=2)
    report = stack.handle("cleanup", {"ferry": "sweep"})
    assert (report["errors"], report["expired"]) == (0, 1)
    assert report["orphans"] == {"multipart_uploads": 1, "staged_objects": 0, "objects": 1}
    left = in_bucket()
    assert (left.count(orphan), left.count(nobodys)) == (1, 1)
    assert object_key(deleted["upload_id"]) not in left
    assert not [key for key in left if expired in key or key.startswith(f"st/{kept}/")]
    later(stack, monkeypatch, days=60)
    stack.handle("cleanup", {"ferry": "sweep"})
    assert in_bucket() == [object_key(kept)]


@pytest.mark.parametrize("function", [name for name, module in sorted(modules().items()) if name != "auth"])
def test_every_function_reads_the_published_keys_for_itself(stack: Stack, function: str) -> None:
    """In a process that has verified no token yet; a token with too little scope needs no more than that."""
    narrow = stack.token("demo", READ)
    routes = modules()[function].app.scopes
    key = next(key for key, scope in routes.items() if scope != READ or not key.startswith("HEAD"))
    stack.new_process()
    assert stack.call(key, token=narrow, query={"filename": "nothing there"}).status in (403, 404)
