"""Recovery and late cleanup with the AWS adapters, so that the permissions of these rare calls are checked too."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from ferry import wiring
from ferry.aws.clock import wall_clock
from ferry.model.files import IfExists
from ferry.model.uploads import object_key
from ferry.rules.durations import DAY_MS
from ferry.uploads import complete
from tests.integration.conftest import new_stack
from tests.integration.stack import READ, Stack, function_modules
from tests.integration.stored_parts import put_only_part

KIB = 1024
MIB = 1024 * KIB
OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Yield one stack per test, so that the sweep finds only what this test left."""
    with new_stack() as stack:
        yield stack


def start_upload(stack: Stack, name: str, size: int) -> str:
    """Start an upload with 64 KiB chunks and return its id."""
    started = stack.post_json("POST /upload/start", {"filename": name, "size": size, "chunk_size": 64 * KIB})
    upload_id: str = started.json["upload_id"]
    return upload_id


def send_chunk(stack: Stack, name: str, index: int, body: bytes) -> None:
    query = {"filename": name, "chunk_index": str(index)}
    assert stack.request("POST /upload/chunk", query=query, headers=OCTET_STREAM_HEADERS, body=body).status == 200


def sign_part(stack: Stack, name: str) -> None:
    """Presign part 1. From then on every chunk of the upload is staged."""
    assert stack.post_json("POST /upload/parts", {"filename": name, "parts": [{"part_number": 1}]}).status == 200


def advance_days(stack: Stack, patch: pytest.MonkeyPatch, days: int) -> None:
    """Continue with new processes whose clocks are ahead. Access tokens are renewed, because the old ones expired."""
    patch.setattr(wiring, "wall_clock", lambda: wall_clock() + days * DAY_MS)
    stack.new_process()
    stack.forget_tokens()


def object_keys() -> list[str]:
    """Return the keys of all objects and open multipart uploads."""
    s3 = boto3.client("s3")
    uploads = s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return [entry["Key"] for entry in [*s3.list_objects_v2(Bucket="bucket").get("Contents", []), *uploads]]


def test_cancelled_upload_leaves_nothing_in_s3(stack: Stack) -> None:
    """The cancellation aborts the multipart upload and deletes the staged chunks and the object."""
    upload_id = start_upload(stack, "cancelled", 2 * 64 * KIB)
    send_chunk(stack, "cancelled", 1, bytes(64 * KIB))
    assert [key for key in object_keys() if upload_id in key]
    assert stack.request("DELETE /upload/{filename+}", filename="cancelled").status == 204
    assert not [key for key in object_keys() if upload_id in key]


def test_long_completion_continues_asynchronously(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion without time to assemble parts answers 202, and the cleanup function assembles the staged chunks."""
    content = bytes(64 * KIB) + b"rest"
    start_upload(stack, "asynchronous", len(content))
    sign_part(stack, "asynchronous")
    send_chunk(stack, "asynchronous", 1, content[: 64 * KIB])
    send_chunk(stack, "asynchronous", 2, content[64 * KIB :])
    with monkeypatch.context() as slow:
        slow.setenv("FERRY_ASSEMBLY_BUDGET_SECONDS", "0")
        slow.setattr(complete, "WAIT_FOR_LEASE_SECONDS", 0)
        slow.setenv("FERRY_CLEANUP_FUNCTION", "the cleanup function")
        stack.new_process()
        accepted = stack.post_json("POST /upload/complete", {"filename": "asynchronous"})
        assert (accepted.status, accepted.json["state"]) == (202, "completing")
    stack.new_process()
    upload = wiring.services().upload_repository.get_upload(accepted.json["upload_id"])
    assert upload is not None
    event = {
        "ferry": "continue_completion",
        "upload_id": accepted.json["upload_id"],
        "lease_id": upload.record.lease_id,
    }
    assert stack.invoke("cleanup", event) == {}
    assert stack.request("GET /download/{filename+}", filename="asynchronous").body == content


def test_status_after_presigned_put_counts_bytes_in_s3(stack: Stack) -> None:
    """Status lists the parts in S3 once a URL was presigned, and reads the object once S3 has completed it."""
    start_upload(stack, "in s3", 5)
    sign_part(stack, "in s3")
    assert stack.request("GET /status/{filename+}", filename="in s3").json["received_bytes"] == 0
    put_only_part("in s3", b"hello")
    assert stack.request("GET /status/{filename+}", filename="in s3").json["received_bytes"] == 5
    put_only_part("in s3", b"hello", complete=True)
    assert stack.request("GET /status/{filename+}", filename="in s3").json["received_bytes"] == 5


def test_status_of_missing_multipart_upload_counts_no_bytes(stack: Stack) -> None:
    """Without the multipart upload and the object, the bytes that S3 had are no longer received."""
    start_upload(stack, "lost", 5)
    sign_part(stack, "lost")
    put_only_part("lost", b"hello")
    assert stack.request("GET /status/{filename+}", filename="lost").json["received_bytes"] == 5
    s3 = boto3.client("s3")
    (entry,) = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    s3.abort_multipart_upload(Bucket="bucket", Key=entry["Key"], UploadId=entry["UploadId"])
    assert stack.request("GET /status/{filename+}", filename="lost").json["received_bytes"] == 0


def test_lost_completion_response_is_recovered_by_request(stack: Stack) -> None:
    """S3 has completed the upload and Ferry has not recorded it: the next request makes the object the file."""
    start_upload(stack, "unrecorded", 5)
    sign_part(stack, "unrecorded")
    put_only_part("unrecorded", b"hello", complete=True)
    completed = stack.post_json("POST /upload/complete", {"filename": "unrecorded"})
    assert (completed.status, completed.json["size"]) == (200, 5)
    assert stack.request("GET /download/{filename+}", filename="unrecorded").body == b"hello"


def test_lost_completion_response_is_recovered_by_sweep(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 has completed the upload and the function crashed with its lease: the sweep makes the object the file."""
    upload_id = start_upload(stack, "crashed", 5)
    sign_part(stack, "crashed")
    put_only_part("crashed", b"hello", complete=True)
    repository, now = wiring.services().upload_repository, wiring.services().clock()
    upload = repository.get_upload(upload_id)
    assert upload is not None
    repository.acquire_lease(
        upload,
        lease_id="of the crashed function",
        expires_at=now + 35_000,
        now=now,
        if_exists=IfExists.FAIL,
        crc32c=None,
    )
    advance_days(stack, monkeypatch, days=1)
    assert stack.invoke("cleanup", {"ferry": "sweep"})["errors"] == 0
    assert stack.request("GET /download/{filename+}", filename="crashed").body == b"hello"


def test_file_with_missing_object_returns_503(stack: Stack) -> None:
    """A download without its object is an error: never an empty file, never another one."""
    file = stack.upload("gone", b"hello")
    boto3.client("s3").delete_object(Bucket="bucket", Key=object_key(file["upload_id"]))
    assert stack.request("GET /download/{filename+}", filename="gone").status == 503


def test_sweep_deletes_due_storage(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep deletes a deleted file's object, staged chunks, expired uploads and, after their retention, orphans."""
    deleted = stack.upload("deleted", b"x")
    assert stack.request("DELETE /files/{filename+}", filename="deleted").status == 204
    kept = start_upload(stack, "kept", 64 * KIB + 1)
    send_chunk(stack, "kept", 1, bytes(64 * KIB))
    stack.new_process()  # It fetches what another process has staged.
    send_chunk(stack, "kept", 2, b"x")
    assert stack.post_json("POST /upload/complete", {"filename": "kept"}).status == 200
    expired = start_upload(stack, "expired", 2 * 64 * KIB)
    send_chunk(stack, "expired", 1, bytes(64 * KIB))
    orphan_upload = boto3.client("s3").create_multipart_upload(Bucket="bucket", Key=object_key(kept))["Key"]
    orphan_object = object_key("f" * 32)
    boto3.client("s3").put_object(Bucket="bucket", Key=orphan_object, Body=b"x")
    assert [key for key in object_keys() if key.startswith(f"st/{kept}/")]
    assert object_keys().count(orphan_upload) == 2
    advance_days(stack, monkeypatch, days=2)
    report = stack.invoke("cleanup", {"ferry": "sweep"})
    assert (report["errors"], report["expired"]) == (0, 1)
    assert report["orphans"] == {"multipart_uploads": 1, "staged_objects": 0, "objects": 1}
    remaining = object_keys()
    assert (remaining.count(orphan_upload), remaining.count(orphan_object)) == (1, 1)
    assert object_key(deleted["upload_id"]) not in remaining
    assert not [key for key in remaining if expired in key or key.startswith(f"st/{kept}/")]
    advance_days(stack, monkeypatch, days=60)
    stack.invoke("cleanup", {"ferry": "sweep"})
    assert object_keys() == [object_key(kept)]


@pytest.mark.parametrize(
    "function", [name for name, module in sorted(function_modules().items()) if any(module.app.scopes.values())]
)
def test_function_in_new_process_verifies_token(stack: Stack, function: str) -> None:
    """A function that has verified no token yet reads the published keys, which template.yaml must permit."""
    token = stack.token("demo", READ)
    routes = function_modules()[function].app.scopes
    protected = {key: scope for key, scope in routes.items() if scope is not None}
    route_key = next(key for key, scope in protected.items() if scope != READ or not key.startswith("HEAD"))
    stack.new_process()
    response = stack.request(route_key, token=token, query={"filename": "no such file"})
    assert response.status == (404 if routes[route_key] == READ else 403)
