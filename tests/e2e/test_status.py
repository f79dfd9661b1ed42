"""Status, long polling, listings and the cleanup route."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from dev.local.client import FerryClient, expect, put_part, quote_filename
from tests.e2e.clients import CHUNK_BYTES, MIB, chunk_body, problem_code, random_bytes, send_chunks, upload_file

FIELDS = {
    *("filename", "upload_id", "state", "size", "received_bytes", "percent", "chunk_size", "chunk_count", "missing"),
    *("next_offset", "created_at", "updated_at", "expires_at", "version"),
}


def test_status_follows_upload_to_completion(api: FerryClient, name: str) -> None:
    """The status is 404, pending, partial with the missing chunks, then complete; its version increases."""
    content = random_bytes(20 * MIB)
    assert problem_code(api.status(name)) == (404, "not_found")
    plan = api.start(name, len(content)).json
    pending = api.status(name).json
    assert pending.keys() == FIELDS
    assert (pending["state"], pending["missing"], pending["next_offset"]) == ("pending", [[1, 5]], 0)
    assert pending["upload_id"] == plan["upload_id"]

    send_chunks(api, name, content, [1, 4])
    partial = api.status(name).json
    assert (partial["state"], partial["missing"], partial["next_offset"]) == ("partial", [[2, 3], [5, 5]], CHUNK_BYTES)
    assert (partial["received_bytes"], partial["percent"]) == (2 * CHUNK_BYTES, 40.0)

    part = api.presign_parts(name, 3).json["parts"][0]
    assert put_part(part, content[16 * MIB :]).status == 200
    assert api.status(name).json["missing"] == [[2, 3]]

    send_chunks(api, name, content, [2, 3])
    file = expect(api.complete(name), 200, "complete").json
    complete = api.status(name).json
    assert (complete["state"], complete["missing"], complete["percent"]) == ("complete", [], 100.0)
    assert (complete["etag"], complete["checksum"]) == (file["etag"], file["checksum"])
    assert pending["version"] < partial["version"] < complete["version"]


def test_status_missing_matches_complete(api: FerryClient, name: str) -> None:
    """The error of an incomplete upload lists the same missing chunks as its status."""
    content = random_bytes(20 * MIB)
    api.start(name, len(content))
    send_chunks(api, name, content, [2])
    api.presign_parts(name, 2)
    rejected = api.complete(name)
    assert problem_code(rejected) == (409, "upload_incomplete")
    assert rejected.json["missing"] == api.status(name).json["missing"] == [[1, 1], [3, 5]]


def test_long_poll_returns_on_next_chunk(api: FerryClient, name: str) -> None:
    """`wait` and `since` return a newer status at once, and the same status after the time."""
    content = random_bytes(2 * CHUNK_BYTES)
    api.start(name, len(content))
    version = api.status(name).json["version"]
    started_at = time.monotonic()
    assert api.status(name, wait=1, since=version).json["version"] == version
    assert time.monotonic() - started_at >= 1
    assert api.status(name, wait=20, since=version - 1).json["version"] == version
    with ThreadPoolExecutor(1) as pool:
        long_poll = pool.submit(api.status, name, wait=20, since=version)
        api.send_chunk(name, 1, chunk_body(content, 1))
        update = long_poll.result().json
    assert update["version"] > version
    assert update["received_bytes"] == CHUNK_BYTES
    assert time.monotonic() - started_at < 20  # less than the time of the long poll alone


def test_status_unchanged_returns_304(api: FerryClient, name: str) -> None:
    """The ETag of a status changes with the status."""
    api.start(name, 2 * CHUNK_BYTES)
    first = api.status(name)
    path = f"/status/{quote_filename(name)}"
    same = api.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    api.send_chunk(name, 2, bytes(CHUNK_BYTES))
    assert api.request("GET", path, headers={"If-None-Match": first.headers["etag"]}).status == 200


def test_status_replacement_upload_shows_current_file(api: FerryClient, name: str) -> None:
    """The status of a replacement has the completed file as `current_file`."""
    file = upload_file(api, name, random_bytes(10))
    api.start(name, 20, if_exists="replace")
    status = api.status(name).json
    assert (status["state"], status["size"], status["current_file"]) == ("pending", 20, file)


def test_listings_are_paginated(other: FerryClient) -> None:
    """Listings of files and open uploads have pages and show one namespace only."""
    names = [f"list/{index}".replace("/", "-") for index in range(5)]
    for name in names:
        upload_file(other, name, random_bytes(3))
    listed_names: list[str] = []
    target = "/files?prefix=list-&limit=2"
    while target:
        page = other.request("GET", target).json
        assert len(page["files"]) <= 2
        listed_names += [file["filename"] for file in page["files"]]
        target = f"/files?prefix=list-&limit=2&cursor={quote_filename(page['cursor'])}" if "cursor" in page else ""
    assert listed_names == names

    for name in names:
        assert other.request("DELETE", f"/files/{name}").status == 204
        assert other.start(f"open-{name}", 5).status == 201
    uploads: set[str] = set()
    target = "/status?limit=2"
    while target:
        page = other.request("GET", target).json
        uploads |= {entry["filename"] for entry in page["uploads"]}
        target = f"/status?limit=2&cursor={quote_filename(page['cursor'])}" if "cursor" in page else ""
    assert uploads == {f"open-{name}" for name in names}
    for name in names:
        assert other.request("DELETE", f"/upload/open-{name}").status == 204


def test_cleanup_route_dry_run_then_expires_upload(
    other: FerryClient, reader: FerryClient, api: FerryClient, name: str
) -> None:
    """A dry run changes nothing; a cleanup expires only the matching uploads of its namespace."""
    completed, mine = random_bytes(70_000, seed=8), f"mine-{name}"
    upload_file(other, f"completed-{name}", completed)
    api.start(mine, CHUNK_BYTES)
    other.start(name, 2 * CHUNK_BYTES)
    other.send_chunk(name, 1, bytes(CHUNK_BYTES))
    dry = other.request("DELETE", "/cleanup?older_than=0&dry_run=true")
    assert dry.status == 200
    assert (dry.json["expired"], dry.json["bytes_reclaimed"], dry.json["dry_run"]) == (1, CHUNK_BYTES, True)
    assert other.status(name).json["state"] == "partial"
    assert other.request("DELETE", "/cleanup").json["expired"] == 0
    assert other.request("DELETE", f"/cleanup?older_than=0&filename=not-{name}").json["expired"] == 0

    report = other.request("DELETE", "/cleanup?older_than=0").json
    assert report.keys() >= {"examined", "expired", "bytes_reclaimed", "orphans", "errors", "complete", "dry_run"}
    assert report["orphans"].keys() == {"multipart_uploads", "staged_objects", "objects"}
    assert (report["expired"], report["bytes_reclaimed"], report["errors"], report["complete"]) == (
        1,
        CHUNK_BYTES,
        0,
        True,
    )
    assert other.status(name).json["state"] == "expired"
    assert problem_code(other.send_chunk(name, 1, bytes(CHUNK_BYTES))) == (410, "upload_expired")
    assert other.request("DELETE", "/cleanup?older_than=0").json["expired"] == 0
    assert other.download(f"completed-{name}").body == completed
    assert api.status(mine).json["state"] == "pending"
    assert problem_code(reader.request("DELETE", "/cleanup")) == (403, "insufficient_scope")
    assert api.request("DELETE", f"/upload/{mine}").status == 204
