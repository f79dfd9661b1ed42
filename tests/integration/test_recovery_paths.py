"""What is done only after something went wrong, or long after: with the adapters, so that AWS would see these calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ferry import wiring
from ferry.aws.clock import wall_clock
from ferry.model.uploads import object_key
from ferry.rules.durations import DAY_MS
from ferry.uploads import complete
from tests.integration.conftest import new_stack
from tests.integration.stack import READ, Stack, function_modules

KIB = 1024
MIB = 1024 * KIB
OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """One for each test: what the sweep finds is what the test has left."""
    with new_stack() as made:
        yield made


def start_upload(stack: Stack, name: str, size: int) -> str:
    """A started upload of 64 KiB chunks; its id."""
    started = stack.post_json("POST /upload/start", {"filename": name, "size": size, "chunk_size": 64 * KIB})
    upload_id: str = started.json["upload_id"]
    return upload_id


def send_chunk(stack: Stack, name: str, index: int, body: bytes) -> None:
    query = {"filename": name, "chunk_index": str(index)}
    assert stack.request("POST /upload/chunk", query=query, headers=OCTET_STREAM_HEADERS, body=body).status == 200


def sign_part(stack: Stack, name: str) -> None:
    """From now on chunks are staged, whatever else they are."""
    assert stack.post_json("POST /upload/parts", {"filename": name, "parts": [{"part_number": 1}]}).status == 200


def advance_days(stack: Stack, patch: pytest.MonkeyPatch, days: int) -> None:
    """Fresh processes, whose clocks are ahead; tokens of before are over."""
    patch.setattr(wiring, "wall_clock", lambda: wall_clock() + days * DAY_MS)
    stack.new_process()
    stack.forget_tokens()


def put_only_part(name: str, content: bytes, *, complete: bool = False) -> None:
    """S3's side of the upload that the name has: its only part is put there, and perhaps it is completed, by others."""
    slot = wiring.services().upload_repository.get_current_upload("demo", name)
    assert slot is not None
    upload = wiring.services().upload_repository.get_upload(slot.upload_id)
    assert upload is not None
    s3 = boto3.client("s3")
    where: Any = {"Bucket": "bucket", "Key": upload.record.object_key, "UploadId": upload.record.multipart_id}
    part = s3.upload_part(**where, PartNumber=1, Body=content)
    if complete:
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def object_keys() -> list[str]:
    s3 = boto3.client("s3")
    uploads = s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return [entry["Key"] for entry in [*s3.list_objects_v2(Bucket="bucket").get("Contents", []), *uploads]]


def test_cancelled_upload_leaves_nothing_in_s3(stack: Stack) -> None:
    """Its multipart upload is aborted, its stages are deleted, and what may have become its object."""
    upload_id = start_upload(stack, "cancelled", 2 * 64 * KIB)
    send_chunk(stack, "cancelled", 1, bytes(64 * KIB))
    assert [key for key in object_keys() if upload_id in key]
    assert stack.request("DELETE /upload/{filename}", filename="cancelled").status == 204
    assert not [key for key in object_keys() if upload_id in key]


def test_long_completion_continues_asynchronously(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion that may put no part together asks the clean-up function to, which does, from the stages."""
    content = bytes(64 * KIB) + b"rest"
    start_upload(stack, "handed on", len(content))
    sign_part(stack, "handed on")
    send_chunk(stack, "handed on", 1, content[: 64 * KIB])
    send_chunk(stack, "handed on", 2, content[64 * KIB :])
    with monkeypatch.context() as slow:
        slow.setenv("FERRY_ASSEMBLY_BUDGET_SECONDS", "0")
        slow.setattr(complete, "WAIT_FOR_LEASE_SECONDS", 0)
        slow.setenv("FERRY_CLEANUP_FUNCTION", "the clean-up function")
        stack.new_process()
        still = stack.post_json("POST /upload/complete", {"filename": "handed on"})
        assert (still.status, still.json["state"]) == (202, "completing")
    stack.new_process()
    upload = wiring.services().upload_repository.get_upload(still.json["upload_id"])
    assert upload is not None
    event = {"ferry": "continue_completion", "upload_id": still.json["upload_id"], "lease_id": upload.record.lease_id}
    assert stack.invoke("cleanup", event) == {}
    assert stack.request("GET /download/{filename}", filename="handed on").body == content


def test_presigned_parts_are_found_in_s3(stack: Stack) -> None:
    """Once a URL was signed, status asks S3 what has landed; when S3 has completed it unheard, for the object."""
    start_upload(stack, "landed", 5)
    sign_part(stack, "landed")
    put_only_part("landed", b"hello")
    assert stack.request("GET /status/{filename}", filename="landed").json["received_bytes"] == 5
    put_only_part("landed", b"hello", complete=True)
    assert stack.request("GET /status/{filename}", filename="landed").json["received_bytes"] == 5


def test_missing_multipart_upload_expires_upload(stack: Stack) -> None:
    """Neither the multipart upload nor the object: nothing has been received, and nobody is told otherwise."""
    start_upload(stack, "lost", 5)
    sign_part(stack, "lost")
    s3 = boto3.client("s3")
    (entry,) = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    s3.abort_multipart_upload(Bucket="bucket", Key=entry["Key"], UploadId=entry["UploadId"])
    assert stack.request("GET /status/{filename}", filename="lost").json["received_bytes"] == 0


def test_lost_completion_response_is_recovered_by_request(stack: Stack) -> None:
    """S3 has completed it, Ferry never heard: the object is looked at, and becomes the file."""
    start_upload(stack, "unheard", 5)
    sign_part(stack, "unheard")
    put_only_part("unheard", b"hello", complete=True)
    done = stack.post_json("POST /upload/complete", {"filename": "unheard"})
    assert (done.status, done.json["size"]) == (200, 5)
    assert stack.request("GET /download/{filename}", filename="unheard").body == b"hello"


def test_lost_completion_response_is_recovered_by_sweep(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function died under its lease, S3 had completed: the object is looked at, and becomes the file."""
    upload_id = start_upload(stack, "died", 5)
    sign_part(stack, "died")
    put_only_part("died", b"hello", complete=True)
    ledger, now = wiring.services().upload_repository, wiring.services().clock()
    upload = ledger.get_upload(upload_id)
    assert upload is not None
    ledger.acquire_lease(
        upload, lease_id="of the dead", expires_at=now + 35_000, now=now, replace_existing=False, crc32c=None
    )
    advance_days(stack, monkeypatch, days=1)
    assert stack.invoke("cleanup", {"ferry": "sweep"})["errors"] == 0
    assert stack.request("GET /download/{filename}", filename="died").body == b"hello"


def test_file_with_missing_object_returns_503(stack: Stack) -> None:
    """S3 says 404, not 403: the bytes are absent, not forbidden. Never an empty or another file."""
    file = stack.upload("gone", b"hello")
    boto3.client("s3").delete_object(Bucket="bucket", Key=object_key(file["upload_id"]))
    assert stack.request("GET /download/{filename}", filename="gone").status == 503


def test_sweep_deletes_due_storage(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object of a deleted file, the stages and rows of a finished upload, an expired upload, and an orphan."""
    deleted = stack.upload("deleted", b"x")
    assert stack.request("DELETE /files/{filename}", filename="deleted").status == 204
    kept = start_upload(stack, "kept", 64 * KIB + 1)
    send_chunk(stack, "kept", 1, bytes(64 * KIB))
    send_chunk(stack, "kept", 2, b"x")
    assert stack.post_json("POST /upload/complete", {"filename": "kept"}).status == 200
    expired = start_upload(stack, "expired", 2 * 64 * KIB)
    send_chunk(stack, "expired", 1, bytes(64 * KIB))
    orphan = boto3.client("s3").create_multipart_upload(Bucket="bucket", Key=object_key(kept))["Key"]
    nobodys = object_key("f" * 32)
    boto3.client("s3").put_object(Bucket="bucket", Key=nobodys, Body=b"x")
    assert [key for key in object_keys() if key.startswith(f"st/{kept}/")]
    assert object_keys().count(orphan) == 2
    advance_days(stack, monkeypatch, days=2)
    report = stack.invoke("cleanup", {"ferry": "sweep"})
    assert (report["errors"], report["expired"]) == (0, 1)
    assert report["orphans"] == {"multipart_uploads": 1, "staged_objects": 0, "objects": 1}
    left = object_keys()
    assert (left.count(orphan), left.count(nobodys)) == (1, 1)
    assert object_key(deleted["upload_id"]) not in left
    assert not [key for key in left if expired in key or key.startswith(f"st/{kept}/")]
    advance_days(stack, monkeypatch, days=60)
    stack.invoke("cleanup", {"ferry": "sweep"})
    assert object_keys() == [object_key(kept)]


@pytest.mark.parametrize("function", [name for name, module in sorted(function_modules().items()) if name != "auth"])
def test_function_reads_published_keys(stack: Stack, function: str) -> None:
    """In a process that has verified no token yet; a token with too little scope needs no more than that."""
    narrow = stack.token("demo", READ)
    routes = function_modules()[function].app.scopes
    key = next(key for key, scope in routes.items() if scope != READ or not key.startswith("HEAD"))
    stack.new_process()
    assert stack.request(key, token=narrow, query={"filename": "nothing there"}).status in (403, 404)
