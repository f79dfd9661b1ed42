"""Uploads by chunks and by presigned parts, from start to completion, cancellation or replacement."""

from __future__ import annotations

import base64
import hashlib

import google_crc32c

from dev.local.client import FerryClient, crc32c_checksum, put_part, quote_filename
from dev.local.launcher import LocalService
from tests.e2e.clients import (
    CHUNK_BYTES,
    MIB,
    chunk_body,
    problem_code,
    random_bytes,
    s3_client_and_bucket,
    send_chunks,
    upload_file,
)


def test_raw_chunks_out_of_order_assemble_file(api: FerryClient, name: str) -> None:
    """Chunks sent in reverse order, four at a time, give the file, which the completion verifies by its checksum."""
    content = random_bytes(5 * CHUNK_BYTES + 12_345)
    checksum = crc32c_checksum(google_crc32c.value(content))
    plan = api.start(name, len(content), content_type="video/mp4", metadata={"camera": "3"})
    assert plan.status == 201
    assert plan.json["state"] == "pending"
    assert (plan.json["chunk_size"], plan.json["chunk_count"], plan.json["part_count"]) == (CHUNK_BYTES, 6, 3)
    responses = send_chunks(api, name, content, range(6, 0, -1))
    assert {response["chunk_index"] for response in responses} == set(range(1, 7))
    assert max(response["received_bytes"] for response in responses) == len(content)

    completed = api.complete(name, checksum=checksum)
    assert completed.status == 200
    file = completed.json
    assert (file["size"], file["checksum"], file["state"]) == (len(content), checksum, "complete")
    assert (file["content_type"], file["metadata"]) == ("video/mp4", {"camera": "3"})
    assert api.complete(name, checksum=checksum).json == file
    assert api.download(name).body == content


def test_json_chunks_follow_contract(api: FerryClient, name: str) -> None:
    """Chunks as JSON with base64 are accepted, up to the largest size, with and without a checksum."""
    content = random_bytes(CHUNK_BYTES + 3)
    assert api.post("/upload/start", filename=name, size=len(content)).status == 201
    first, second = chunk_body(content, 1), chunk_body(content, 2)
    plain = api.post("/upload/chunk", filename=name, chunk_index=1, data=base64.b64encode(first).decode())
    assert plain.status == 200
    assert plain.json.keys() == {"filename", "upload_id", "chunk_index", "received_bytes", "size", "state"}
    checked = api.post(
        "/upload/chunk",
        filename=name,
        chunk_index=2,
        data=base64.b64encode(second).decode(),
        checksum={"algorithm": "sha256", "value": base64.b64encode(hashlib.sha256(second).digest()).decode()},
        upload_id=plain.json["upload_id"],
    )
    assert (checked.status, checked.json["received_bytes"]) == (200, len(content))
    assert api.complete(name).json["size"] == len(content)
    assert api.download(name).body == content


def test_json_chunk_of_3_mib_is_accepted(api: FerryClient, name: str) -> None:
    """A chunk of 3 MiB as JSON with base64 is accepted, behind SAM CLI too."""
    content = random_bytes(3 * MIB)
    assert api.post("/upload/start", filename=name, size=len(content), chunk_size=CHUNK_BYTES).status == 201
    sent = api.post("/upload/chunk", filename=name, chunk_index=1, data=base64.b64encode(content).decode())
    assert (sent.status, sent.json["received_bytes"]) == (200, len(content))
    completed = api.complete(name, checksum=crc32c_checksum(google_crc32c.value(content)))
    assert (completed.status, completed.json["size"]) == (200, len(content))


def test_chunks_and_presigned_parts_mix_in_one_upload(api: FerryClient, name: str) -> None:
    """Parts by chunks, by a presigned PUT, and by both give one file."""
    content = random_bytes(24 * MIB + 77)
    plan = api.start(name, len(content)).json
    assert (plan["part_size"], plan["part_count"]) == (8 * MIB, 4)
    # One after the other, so that the last chunk of part 1 assembles it and is not staged.
    for index in (2, 1, 5):
        send_chunks(api, name, content, [index])
    signed = api.presign_parts(name, 2, 3, 4)
    assert signed.status == 200
    for part in signed.json["parts"]:
        first = (part["part_number"] - 1) * plan["part_size"]
        assert part.keys() == {"part_number", "url", "headers", "size", "expires_at"}
        assert put_part(part, content[first : first + part["size"]]).status == 200
    status = api.status(name).json
    assert (status["received_bytes"], status["missing"], status["percent"]) == (len(content), [], 100.0)
    completed = api.complete(name, checksum=crc32c_checksum(google_crc32c.value(content)))
    assert completed.status == 200, completed.body
    assert api.download(name).body == content


def test_small_chunks_assemble_valid_s3_parts(service: LocalService, api: FerryClient, name: str) -> None:
    """64 KiB chunks become S3 parts of at least 5 MiB, numbered from 1 without gaps, before the completion."""
    content = random_bytes(9 * MIB + 1)
    plan = api.start(name, len(content), chunk_size=65_536).json
    assert (plan["chunk_size"], plan["chunk_count"], plan["part_size"]) == (65_536, 145, 8 * MIB)
    send_chunks(api, name, content, range(plan["chunk_count"], 0, -1), 65_536)

    s3, bucket = s3_client_and_bucket(service)
    open_uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=f"o/{plan['upload_id']}")["Uploads"]
    assert len(open_uploads) == 1
    key, multipart_id = open_uploads[0]["Key"], open_uploads[0]["UploadId"]
    parts = s3.list_parts(Bucket=bucket, Key=key, UploadId=multipart_id)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, 8 * MIB), (2, MIB + 1)]
    assert key.isascii()
    assert name not in key

    assert api.complete(name).status == 200
    assert api.download(name).body == content


def test_empty_file_needs_no_chunk(api: FerryClient, name: str) -> None:
    """An empty file has no chunk and no part, and its download is empty."""
    plan = api.start(name, 0).json
    assert (plan["chunk_count"], plan["part_count"]) == (0, 0)
    assert api.complete(name).json["size"] == 0
    response = api.download(name)
    assert (response.status, response.body, response.headers["content-length"]) == (200, b"", "0")


def test_start_repeated_resumes_or_reports_complete(api: FerryClient, name: str) -> None:
    """The same start again resumes the upload or returns the file; a start for other content is a conflict."""
    content = random_bytes(2 * CHUNK_BYTES + 5)
    first = api.start(name, len(content), fingerprint="inode 7").json
    send_chunks(api, name, content, [2])
    again = api.start(name, len(content), fingerprint="inode 7")
    assert (again.status, again.json["upload_id"]) == (200, first["upload_id"])
    assert again.json["received"] == {"chunks": [[2, 2]], "parts": []}
    assert (again.json["received_bytes"], again.json["state"]) == (CHUNK_BYTES, "partial")

    rejected = api.start(name, len(content) + 1, fingerprint="inode 7")
    assert problem_code(rejected) == (409, "upload_in_progress")
    assert (rejected.json["upload_id"], rejected.json["size"]) == (first["upload_id"], len(content))
    assert rejected.json["expires_at"].endswith("Z")

    send_chunks(api, name, content, [1, 3])
    file = api.complete(name).json
    same = api.start(name, len(content), fingerprint="inode 7")
    assert (same.status, same.json["state"], same.json["upload_id"]) == (200, "complete", file["upload_id"])
    assert problem_code(api.start(name, len(content), fingerprint="inode 8")) == (409, "file_exists")


def test_chunk_repeated_succeeds_and_different_bytes_conflict(api: FerryClient, name: str) -> None:
    """A chunk may be sent again with the same bytes only, and not after the completion."""
    content = random_bytes(CHUNK_BYTES + 9)
    api.start(name, len(content))
    sent = api.send_chunk(name, 2, chunk_body(content, 2))
    assert api.send_chunk(name, 2, chunk_body(content, 2)).body == sent.body
    assert problem_code(api.send_chunk(name, 2, bytes(9))) == (409, "chunk_conflict")
    incomplete = api.complete(name)
    assert problem_code(incomplete) == (409, "upload_incomplete")
    assert incomplete.json["missing"] == [[1, 1]]
    assert problem_code(api.send_chunk(name, 1, chunk_body(content, 1), upload_id="0" * 32)) == (
        409,
        "upload_superseded",
    )
    assert api.send_chunk(name, 1, chunk_body(content, 1)).status == 200
    wrong = api.complete(name, checksum=crc32c_checksum(google_crc32c.value(content) ^ 1))
    assert problem_code(wrong) == (400, "checksum_mismatch")
    assert api.complete(name).status == 200
    assert problem_code(api.send_chunk(name, 1, chunk_body(content, 1))) == (409, "upload_complete")
    assert api.download(name).body == content


def test_cancelled_upload_returns_410(api: FerryClient, name: str) -> None:
    """After a cancellation every write is 410, the existing file stays, and a restart creates another upload."""
    old, new = random_bytes(1000, seed=2), random_bytes(2000, seed=3)
    upload_file(api, name, old)
    assert api.start(name, len(new), if_exists="replace").status == 201
    for _ in range(2):
        assert api.request("DELETE", f"/upload/{quote_filename(name)}").status == 204
    assert problem_code(api.send_chunk(name, 1, new)) == (410, "upload_cancelled")
    assert problem_code(api.presign_parts(name, 1)) == (410, "upload_cancelled")
    assert problem_code(api.complete(name)) == (410, "upload_cancelled")
    assert api.download(name).body == old

    started = api.start(name, len(new), if_exists="replace").json
    restarted = api.start(name, len(new) + 1, if_exists="replace", restart=True)
    assert restarted.status == 201
    assert restarted.json["upload_id"] != started["upload_id"]
    assert problem_code(api.send_chunk(name, 1, new, upload_id=started["upload_id"])) == (409, "upload_superseded")
    assert api.request("DELETE", f"/upload?filename={quote_filename(name)}").status == 204


def test_file_replace_and_delete_take_effect(api: FerryClient, name: str) -> None:
    """A file is replaced only with `if_exists`; a deleted file is 404."""
    old, new = random_bytes(3000, seed=4), random_bytes(3000, seed=5)
    first = upload_file(api, name, old)
    assert problem_code(api.start(name, len(new))) == (409, "file_exists")
    second = upload_file(api, name, new, if_exists="replace")
    assert first["etag"] != second["etag"]
    assert api.download(name).body == new
    assert api.request("DELETE", f"/files/{quote_filename(name)}").status == 204
    assert problem_code(api.request("DELETE", f"/files/{quote_filename(name)}")) == (404, "not_found")
    assert problem_code(api.request("GET", f"/download/{quote_filename(name)}")) == (404, "not_found")


def test_second_device_joins_only_with_proof(api: FerryClient, name: str) -> None:
    """A device without proof joins an empty upload, which then needs the checksum; later it must say `resume`."""
    content = random_bytes(1000, seed=6)
    checksum = crc32c_checksum(google_crc32c.value(content))
    first = api.start(name, len(content)).json
    joined = api.start(name, len(content))
    assert (joined.status, joined.json["upload_id"]) == (200, first["upload_id"])
    assert api.send_chunk(name, 1, content).status == 200
    rejected = api.start(name, len(content))
    assert problem_code(rejected) == (409, "upload_in_progress")
    assert all(word in rejected.json["detail"] for word in ("resume", "fingerprint", "restart"))
    assert problem_code(api.complete(name)) == (422, "checksum_required")
    assert problem_code(api.complete(name, checksum=crc32c_checksum(1))) == (400, "checksum_mismatch")
    assert api.start(name, len(content), resume=True, if_exists="replace").json["if_exists"] == "fail"
    assert api.complete(name).json["checksum"] == checksum
    assert api.download(name).body == content


def test_restarted_upload_takes_requests_by_id_only(api: FerryClient, name: str) -> None:
    """A device whose upload was restarted after it had sent something cannot write into the new one by name."""
    old, new = random_bytes(1000, seed=7), random_bytes(1000, seed=8)
    api.start(name, len(old))
    assert api.send_chunk(name, 1, old).status == 200
    plan = api.start(name, len(new), restart=True).json
    assert plan["upload_id_required"] is True
    for response in (
        api.send_chunk(name, 1, old),
        api.presign_parts(name, 1),
        api.complete(name),
        api.request("DELETE", f"/upload/{quote_filename(name)}"),
    ):
        assert problem_code(response) == (409, "upload_id_required")
    by_id = {"upload_id": plan["upload_id"]}
    assert api.send_chunk(name, 1, new, **by_id).status == 200
    assert api.complete(name, **by_id).status == 200
    assert api.download(name).body == new


def test_chunk_url_takes_chunks(api: FerryClient) -> None:
    """The plan's `chunk_url` is an absolute URL of this service, and takes a chunk."""
    plan = api.start("by chunk_url", 5, if_exists="replace", restart=True).json
    assert plan["chunk_url"] == f"{api.base_url}/upload/chunk"
    by_id = {"upload_id": plan["upload_id"]}
    assert api.send_chunk(plan["filename"], 1, b"hello", chunk_url=plan["chunk_url"], **by_id).status == 200
    assert api.complete("by chunk_url", **by_id).status == 200
    assert api.request("DELETE", "/files?filename=by+chunk_url").status == 204
